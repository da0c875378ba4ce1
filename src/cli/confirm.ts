import { createInterface } from 'node:readline/promises'
import { ConfigError } from '../core/errors.ts'

/** How a changing command is told that it may. */
export type ConfirmOptions = { readonly yes?: boolean; readonly dryRun?: boolean }

/** Where a person is asked: stdout holds results and may be a pipe, so not there. */
export type Terminal = {
  readonly input: NodeJS.ReadableStream & { readonly isTTY?: boolean }
  readonly output: NodeJS.WritableStream & { readonly isTTY?: boolean }
}

const PROCESS: Terminal = { input: process.stdin, output: process.stderr }

/** What a command may do about the change that it shows: make it, ask, or only show it. */
export function howToGo({ yes = false, dryRun = false }: ConfirmOptions, terminal = PROCESS): 'do' | 'ask' | 'show' | 'refuse' {
  if (dryRun) return 'show'
  if (yes) return 'do'
  return terminal.input.isTTY && terminal.output.isTTY ? 'ask' : 'refuse'
}

/** What a command ends with that may not ask, after it has shown what it would do. */
export function cannotAsk(): ConfigError {
  return new ConfigError('Nothing was changed: there is no terminal to ask on. Add --yes to go through with it, or --dry-run to only look.')
}

/** Asks a question that only `y` or `yes` answers with yes; Ctrl-C and the end of the input are a no. */
export async function askYes(
  question: string,
  { signal, terminal = PROCESS }: { readonly signal?: AbortSignal; readonly terminal?: Terminal },
): Promise<boolean> {
  const lines = createInterface({ input: terminal.input, output: terminal.output })
  let isOver = false
  const ended = new Promise<string>(resolve => {
    const leave = () => {
      // Without an answer the cursor still stands behind the question.
      if (!isOver) terminal.output.write('\n')
      resolve('')
    }
    lines.once('SIGINT', leave)
    lines.once('close', leave)
  })
  try {
    const answer = await Promise.race([lines.question(`${question} [y/N] `, signal === undefined ? {} : { signal }), ended])
    return /^y(es)?$/i.test(answer.trim())
  } catch (error) {
    // Why it was cut short is what counts: the lease was lost meanwhile.
    throw signal?.aborted ? signal.reason : error
  } finally {
    isOver = true
    lines.close()
  }
}
