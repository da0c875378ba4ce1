import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'

/** Runs a part of the bench in a process of its own and gives the JSON of its last line. Memory and warm code are then its alone. */
export async function runChild<Result>(file: string, args: readonly unknown[], nodeArguments: readonly string[] = []): Promise<Result> {
  const child = spawn(
    process.execPath,
    [
      ...nodeArguments,
      '--conditions=tidemark-source',
      '--disable-warning=TimeoutNegativeWarning',
      join(import.meta.dirname, file),
      JSON.stringify(args),
    ],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  )
  let printed = ''
  child.stdout.setEncoding('utf8').on('data', text => {
    printed += text
  })
  const [code] = await once(child, 'close')
  if (code !== 0) throw new Error(`${file} ended with exit code ${code}.`)
  return JSON.parse(printed.trimEnd().split('\n').at(-1) ?? '')
}

/** The arguments of a part, in its process. */
export function childArguments<Args>(): Args {
  return JSON.parse(process.argv[2] ?? '[]')
}

/** Prints a part's result, as its last act. */
export function giveResult(result: unknown): void {
  process.stdout.write(`${JSON.stringify(result)}\n`, () => process.exit(0))
}
