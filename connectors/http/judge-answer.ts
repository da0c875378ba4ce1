import { AuthError, ConfigError, RecordError, type TidemarkError, UnsupportedError } from '../../src/core/errors.ts'
import type { Task } from '../../src/core/values.ts'
import { detailsOf, type RowChunk, showRows } from './chunk-rows.ts'
import { parseRetryAfter } from './retry-after.ts'
import type { HttpAnswer } from './send-request.ts'

/** What is to be done about a request. */
export type Verdict =
  | { readonly is: 'in' }
  /** It may be well another time. `isAway`: the endpoint takes nothing at all, as far as this answer says. */
  | { readonly is: 'again'; readonly reason: string; readonly retryAfterMs: number | undefined; readonly isAway: boolean }
  | { readonly is: 'unauthorized'; readonly error: TidemarkError }
  | { readonly is: 'refused'; readonly error: TidemarkError }

export type AnswerContext = {
  readonly task: Task
  readonly chunk: RowChunk
  /** As messages name it. */
  readonly endpoint: string
  readonly honoursKeys: boolean
  /** By the wall clock, ms since the epoch: a `Retry-After` may be a date. */
  readonly now: number
  /** Takes secrets out of what the endpoint said. */
  readonly redact: (text: string) => string
}

/** Answers beside the 5xx that may be another the next time: the server was slow to read, thinks it too early, or has had too much. */
const PASSING = new Set([408, 425, 429])
/** How much of an answer's body is shown. */
const EXCERPT = 300

/** What an answer means for the rows that were sent. */
export function judgeAnswer(answer: HttpAnswer, context: AnswerContext): Verdict {
  const { status, headers } = answer
  if (status >= 200 && status < 300) return { is: 'in' }
  const said = describeAnswer(answer, context)
  if (status >= 500 || PASSING.has(status)) {
    return { is: 'again', reason: said, retryAfterMs: parseRetryAfter(headers['retry-after'], context.now), isAway: true }
  }
  // Of a key: the request that had it first is still under way (the IETF draft of Idempotency-Key, 2.7).
  if (status === 409 && context.honoursKeys) {
    return { is: 'again', reason: said, retryAfterMs: parseRetryAfter(headers['retry-after'], context.now), isAway: false }
  }
  const error = refusal(answer, said, context)
  return status === 401 ? { is: 'unauthorized', error } : { is: 'refused', error }
}

function refusal({ status, headers }: HttpAnswer, said: string, { task, chunk, endpoint }: AnswerContext): TidemarkError {
  const details = { ...detailsOf(chunk, task), status }
  const refused = `${endpoint} refused ${showRows(chunk, task)} of output ${task.output} with ${said}`
  if (status >= 300 && status < 400) {
    return new ConfigError(
      `${endpoint} sends ${showRows(chunk, task)} of output ${task.output} elsewhere with ${said}${whereTo(headers.location, endpoint)}. Redirects are not ` +
        'followed: they would turn a POST into a GET, or take credentials to another host. Give the URL that it leads to.',
      { details },
    )
  }
  switch (status) {
    case 401:
    case 403:
    case 407:
      return new AuthError(`${refused}. Look at headers, or at the user and password of the URL.`, { details })
    case 404:
    case 405:
    case 410:
      return new ConfigError(`${refused}. Look at url and method.`, { details })
    case 413:
      return new ConfigError(
        `${refused}: the body has ${chunk.body.length} bytes. Lower maxBytesPerRequest or maxRowsPerRequest below what the endpoint takes.`,
        { details: { ...details, bytes: chunk.body.length } },
      )
    case 411:
    case 415:
    case 426:
      return new UnsupportedError(`${refused}. Look at body, compression and the content-type in headers.`, { details })
    default:
      return new RecordError(
        `${refused}. Mend such rows, or leave them out before this output. The first row of the request is row ${chunk.firstRow}.`,
        {
          details: { ...details, row: chunk.firstRow },
        },
      )
  }
}

/** The host only, which is all that can be shown of a URL. */
function whereTo(location: string | undefined, endpoint: string): string {
  if (location === undefined || !URL.canParse(location, endpoint)) return ''
  const { origin } = new URL(location, endpoint)
  return origin === endpoint ? ', to another path of the same host' : `, to ${origin}`
}

function describeAnswer({ status, statusText, body }: HttpAnswer, { redact }: AnswerContext): string {
  const line = redact(oneLine(body))
  const excerpt = line.length > EXCERPT ? `${line.slice(0, EXCERPT)}…` : line
  const name = redact(oneLine(statusText))
  return `${status}${name && ` ${name}`}${excerpt && `: ${excerpt}`}`
}

/** Without control characters, which would move a terminal's cursor. */
function oneLine(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is taken out.
  return text.replace(/[\u0000-\u001f\u007f-\u009f\s]+/g, ' ').trim()
}
