import { relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { errorMessage, isTidemarkError, JobError } from '../core/errors.ts'

/** Says why a job module did not load, in which file and line, and what to mend. Errors of ours are told as they are. */
export function explainLoadFailure(error: unknown, path: string): unknown {
  // A wrong option in the job: it says itself what is wrong.
  if (isTidemarkError(error)) return error
  const code = (error as { code?: string } | null)?.code
  const text = errorMessage(error)
  switch (code) {
    case 'ERR_UNSUPPORTED_TYPESCRIPT_SYNTAX':
      return doesNotLoad('Node runs TypeScript by leaving the types out, so enum, namespace and parameter properties cannot be used.')
    case 'ERR_MODULE_NOT_FOUND':
    case 'ERR_UNSUPPORTED_DIR_IMPORT':
      return doesNotLoad(
        text.startsWith('Cannot find package')
          ? 'Is it installed where the job lies?'
          : "Imports of your own files carry their extension, as in './orders.ts'.",
      )
    default:
      if (error instanceof SyntaxError) {
        return doesNotLoad(
          /outside a module|top level bodies of modules/.test(text)
            ? 'Node takes it for CommonJS: name it .mts (or .mjs), or set "type": "module" in the package.json beside it.'
            : undefined,
        )
      }
      return new JobError(`${path} failed while it was loaded: ${text}`, { cause: error })
  }

  function doesNotLoad(advice?: string): JobError {
    const where = errorPlace(error)
    const sentence = `${path} does not load: ${text}${where === undefined ? '' : ` (${where})`}`
    return new JobError(advice === undefined ? sentence : `${sentence}. ${advice}`, { cause: error })
  }
}

/** Node puts the place of a syntax error, which may be in a file that the job imports, in front of the stack: `file:line`, then the line. */
function errorPlace(error: unknown): string | undefined {
  const [first = ''] = (error instanceof Error ? (error.stack ?? '') : '').split('\n', 1)
  const match = /^((?:file:\/\/|\/|[A-Z]:\\).*):(\d+)$/i.exec(first)
  if (match === null) return undefined
  const [, file = '', line] = match
  const place = file.startsWith('file://') ? fileURLToPath(file) : file
  const near = relative(process.cwd(), place)
  return `${near.startsWith('..') ? place : near}:${line}`
}
