import { execFile } from 'node:child_process'
import { ConfigError } from '../../../src/core/errors.ts'

const MAX_OUTPUT_BYTES = 1 << 30

/** What a program that ended well had printed. */
export type ProgramOutput = { readonly stdout: string; readonly stderr: string }

/**
 * Runs a program to its end.
 *
 * @throws ConfigError with the end of what it said, when it could not be started or did not end with 0
 */
export function runProgram(program: string, args: readonly string[], { signal }: { signal?: AbortSignal } = {}): Promise<ProgramOutput> {
  return new Promise((resolve, reject) => {
    const options = { maxBuffer: MAX_OUTPUT_BYTES, encoding: 'utf8' as const, ...(signal === undefined ? {} : { signal }) }
    const child = execFile(program, args, options, (error, stdout, stderr) => {
      if (error === null) return resolve({ stdout, stderr })
      const said = tail(stderr) || tail(stdout) || error.message
      reject(new ConfigError(`${program} failed (${error.code ?? error.signal ?? 'no exit code'}): ${said}`, { cause: error }))
    })
    child.stdin?.end()
  })
}

/** The last lines of a text, the part of a log that says why something ended. */
export function tail(text: string, lines = 25): string {
  return text.trimEnd().split('\n').slice(-lines).join('\n')
}
