import { pino } from 'pino'
import { errorMessage, isTidemarkError } from '../core/errors.ts'
import type { Log } from '../core/log.ts'

let shared: Log | undefined

/** The log of jobs that bring none: pino to stderr, a line a batch. TIDEMARK_LOG_LEVEL says how much of it, TIDEMARK_DEBUG adds stacks. */
export function defaultLog(): Log {
  shared ??= pino(
    { name: 'tidemark', level: process.env.TIDEMARK_LOG_LEVEL ?? 'info', serializers: { err: describeError } },
    pino.destination({ dest: 2, sync: true }),
  )
  return shared
}

/**
 * What our own errors say is made for people to act on; a stack would only hide it. Where the job's or an output's code threw, its stack is the
 * message.
 */
function describeError(error: unknown): unknown {
  if (!(error instanceof Error)) return error
  if (!isTidemarkError(error) || process.env.TIDEMARK_DEBUG) return pino.stdSerializers.err(error)
  const { name, code, message, details, retryable, cause } = error
  const isTheirs = code === 'TASK_FAILED' || code === 'RECORD'
  return {
    type: name,
    code,
    message,
    details,
    retryable,
    ...(cause !== undefined && { cause: isTheirs ? describeError(cause) : errorMessage(cause) }),
  }
}
