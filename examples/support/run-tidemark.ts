import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'

const ROOT = join(import.meta.dirname, '..', '..')

/** What a command printed as its result, and its exit code. */
export type Ran = { readonly code: number; readonly stdout: string }

/** Starts `tidemark` as one would type it, in a process of its own; says the command, and lets its log and its result through, to stderr. */
export function startTidemark(...args: readonly string[]): ChildProcess {
  return start(args, process.stderr.fd)
}

/** Runs `tidemark` to its end. Its log goes through, its result is shown and given. */
export async function runTidemark(...args: readonly string[]): Promise<Ran> {
  const child = start(args, 'pipe')
  let stdout = ''
  child.stdout?.setEncoding('utf8').on('data', (text: string) => {
    stdout += text
    process.stderr.write(text)
  })
  const [code] = await once(child, 'close')
  return { code: code ?? 1, stdout }
}

function start(args: readonly string[], stdout: 'pipe' | number): ChildProcess {
  process.stderr.write(`$ tidemark ${args.map(arg => (arg.startsWith(ROOT) ? arg.slice(ROOT.length + 1) : arg)).join(' ')}\n`)
  return spawn(process.execPath, [join(ROOT, 'bin', 'tidemark.js'), ...args], { cwd: ROOT, stdio: ['ignore', stdout, 'inherit'] })
}
