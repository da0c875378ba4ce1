import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'

/** Lets a part import the sources by the package's name; without it, what it imports so is `dist/`, as people have it. */
export const SOURCES = '--conditions=tidemark-source'

/** Runs a part of the bench in a process of its own and gives the JSON of its last line. Memory and warm code are then its alone. */
export function runChild<Result>(file: string, args: readonly unknown[], nodeArguments: readonly string[] = [SOURCES]): Promise<Result> {
  return spawnChild<Result>(file, args, nodeArguments).result
}

/** The same, with the process at hand; what it says on stderr is passed on. */
export function spawnChild<Result>(
  file: string,
  args: readonly unknown[],
  nodeArguments: readonly string[] = [SOURCES],
): { readonly process: ChildProcess; readonly result: Promise<Result> } {
  const child = spawn(
    process.execPath,
    [...nodeArguments, '--disable-warning=TimeoutNegativeWarning', join(import.meta.dirname, file), JSON.stringify(args)],
    { stdio: ['ignore', 'pipe', 'pipe'] },
  )
  child.stderr.pipe(process.stderr, { end: false })
  let printed = ''
  child.stdout.setEncoding('utf8').on('data', text => {
    printed += text
  })
  const result = once(child, 'close').then(([code]): Result => {
    if (code !== 0) throw new Error(`${file} ended with exit code ${code}.`)
    return JSON.parse(printed.trimEnd().split('\n').at(-1) ?? '')
  })
  return { process: child, result }
}

/** The arguments of a part, in its process. */
export function childArguments<Args>(): Args {
  return JSON.parse(process.argv[2] ?? '[]')
}

/** Prints a part's result, as its last act. */
export function giveResult(result: unknown): void {
  process.stdout.write(`${JSON.stringify(result)}\n`, () => process.exit(0))
}
