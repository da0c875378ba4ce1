import { errorFromWire } from '../../core/error-wire.ts'
import { type ErrorDetails, errorMessage, isTidemarkError, TaskFailedError, type TidemarkError, TimeoutError } from '../../core/errors.ts'
import type { TaskGroup } from '../../core/executor.ts'
import { showRange } from '../../core/values.ts'
import type { LastWords } from './messages.ts'

/** Why a thread is no more. */
export type Ending = {
  /** What became of it, in words that go on after "a thread that …". */
  readonly what: string
  /** What nobody caught. */
  readonly cause?: unknown
  /** Whether it came to an end by itself; else it was ended, for one of its groups did not end. */
  readonly isDeath: boolean
}

/** A group that was in so many threads that died is not run again. */
const MAX_DEATHS = 3

/** What ended a thread, by the error of its pool and what it said last. */
export function endingOf(error: unknown, lastWords: LastWords | undefined, maxHeapMiB: number): Ending {
  if ((error as { code?: unknown } | undefined)?.code === 'ERR_WORKER_OUT_OF_MEMORY') {
    const advice = 'raise maxHeapMiB of threads(), or lower limits.maxRecordsPerTask or its concurrency'
    return { what: `ran out of memory with a heap of ${maxHeapMiB} MiB (${advice})`, cause: error, isDeath: true }
  }
  if (lastWords === undefined) return { what: `ended unexpectedly (${errorMessage(error)})`, cause: error, isDeath: true }
  if ('exitCode' in lastWords) {
    return { what: `ended with exit code ${lastWords.exitCode}: the job's code, or a package of it, called process.exit`, isDeath: true }
  }
  const uncaught = errorFromWire(lastWords.uncaught)
  return { what: `ended by an error that nothing caught: ${uncaught.name}: ${uncaught.message}`, cause: uncaught, isDeath: true }
}

/** What a group fails with whose thread is no more. Retryable, but for a group that takes every thread down. */
export function threadLost(group: TaskGroup, { what, cause }: Ending, deaths: number): TaskFailedError {
  const isLast = deaths >= MAX_DEATHS
  const next = isLast ? `That was thread number ${deaths} to end with this task in it, so it is not run again.` : 'It can be run again.'
  return new TaskFailedError(`Task ${describe(group)} was in a thread that ${what}. ${next}`, {
    details: { ...detailsOf(group), deaths },
    retryable: !isLast,
    cause,
  })
}

/** What the start of a thread fails with that ended before it was open. */
export function openingFailed({ what, cause }: Ending): TidemarkError {
  if (isTidemarkError(cause)) return cause
  return new TaskFailedError(`A thread that was opening the job ${what}.`, { retryable: true, cause })
}

/** What a group fails with that did not end when it had to, and whose thread could not be told so. */
export function stuck(group: TaskGroup): TimeoutError {
  return new TimeoutError(
    `Task ${describe(group)} did not end within taskTimeoutMs, ${group.timeoutMs} ms, and its thread was ended, for it did not answer any more: ` +
      "the job's code keeps it (a loop without end, or one step that takes too long). Mend that, or raise taskTimeoutMs.",
    { details: { ...detailsOf(group), timeoutMs: group.timeoutMs } },
  )
}

function describe({ range, tasks: [task] }: TaskGroup): string {
  return `${showRange(range)} of batch ${task?.batchId}`
}

function detailsOf({ range, tasks: [task] }: TaskGroup): ErrorDetails {
  return { ...range, batchId: task?.batchId }
}
