import { fileURLToPath } from 'node:url'
import { styleText } from 'node:util'
import { errorMessage, isTidemarkError } from '../core/errors.ts'

/** The folders of this package's own code, as stacks show them. */
const OWN_CODE = ['../', '../../connectors/', '../../offsets/'].map(folder => fileURLToPath(new URL(folder, import.meta.url)))

/** Says on stderr why a command failed, without a stack trace for what the user can mend, and gives the exit code. */
export function reportFailure(error: unknown): number {
  const lines = [`${styleText('red', 'tidemark:', { stream: process.stderr })} ${errorMessage(error)}`]
  for (let cause = (error as Error | undefined)?.cause; cause !== undefined; cause = (cause as Error).cause) {
    const said = lines.join('\n')
    const text = errorMessage(cause)
    // kafkajs says what the system said once more, as in `Connection error: connect ECONNREFUSED …`.
    if (!said.includes(text) && !said.includes(text.replace(/^[\w ]+: /, ''))) lines.push(`  because: ${text}`)
    const frame = ownFrame(cause)
    if (frame !== undefined && !said.includes(frame)) lines.push(`  ${frame}`)
    if (!(cause instanceof Error)) break
  }
  // What is not an error of ours is a fault of ours or of the job's: there the stack is the message.
  if (process.env.TIDEMARK_DEBUG || !isTidemarkError(error)) lines.push(error instanceof Error ? (error.stack ?? '') : '')
  process.stderr.write(`${lines.filter(line => line !== '').join('\n')}\n`)
  return exitCode(error)
}

/** The exit code that scripts can rely on. */
function exitCode(error: unknown): number {
  if (!isTidemarkError(error)) return 1
  switch (error.code) {
    case 'CONFIG':
    case 'JOB':
      return 2
    case 'DATA_LOSS':
      return 3
    case 'FENCED':
    case 'LEASE_HELD':
      return 4
    default:
      return 1
  }
}

/** The first line of a stack that is neither Node's, nor a package's, nor ours: where in the job it was thrown. */
function ownFrame(error: unknown): string | undefined {
  // A syntax error has no frame in the file that it is about.
  if (!(error instanceof Error) || error instanceof SyntaxError || isTidemarkError(error)) return undefined
  const frames = error.stack?.split('\n').filter(line => /^\s+at /.test(line)) ?? []
  const first = frames.find(line => !/node:|node_modules/.test(line) && !OWN_CODE.some(folder => line.includes(folder)))
  return first?.trim()
}
