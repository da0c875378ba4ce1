import { type DataLossPolicy, errorMessage, isTidemarkError, TaskFailedError, type TidemarkError } from '../core/errors.ts'
import type { TaskInfo } from '../core/events.ts'
import type { ExecutorRun, RecordErrorPolicy, TaskGroup, TaskResult } from '../core/executor.ts'
import type { RunnableJob } from '../core/runnable-job.ts'
import type { Isolation } from '../core/source.ts'
import { type Batch, type OffsetRange, partitionKey, showRange, type Task } from '../core/values.ts'
import type { World } from './driver-job.ts'
import { retrying } from './retry.ts'

export type DispatchRequest = {
  readonly job: RunnableJob
  readonly batch: Batch
  /** The lease's epoch: a replayed batch runs under the new one. */
  readonly epoch: number
  /** The batch's outputs that the range's topic goes to: a job may have several sources. */
  readonly outputsOf: (range: OffsetRange) => readonly string[]
  readonly isolationOf: (range: OffsetRange) => Isolation
  /** Bytes the range is expected to weigh. */
  readonly weigh: (range: OffsetRange) => number | undefined
  readonly retryForMs: number
  readonly taskTimeoutMs: number
  readonly onDataLoss: DataLossPolicy
  readonly onRecordError: RecordErrorPolicy
  readonly signal: AbortSignal
  readonly onTaskEnd: (task: TaskInfo) => void
  /** Told of each failure that is tried again. */
  readonly onRetry: (error: TidemarkError) => void
}

/**
 * Gives every task of a batch to the executor, again under a new attempt where it failed in a way that may pass. Resolves when all are in;
 * rejects with the first failure after all others were aborted and have ended.
 */
export async function dispatch(executor: ExecutorRun, world: World, request: DispatchRequest): Promise<TaskResult[]> {
  const abort = new AbortController()
  const signal = AbortSignal.any([request.signal, abort.signal])
  const needsOrder = (range: OffsetRange) =>
    request.outputsOf(range).some(name => request.job.outputs.get(name)?.sink.ordering === 'partition')
  const previous = new Map<string, Promise<unknown>>()

  const groups = request.batch.ranges.map(async (range, index) => {
    const key = partitionKey(range)
    const before = needsOrder(range) ? previous.get(key) : undefined
    const run = (async () => {
      // Slices of one partition go one after another into an output that needs their order.
      if (before !== undefined) await before
      return runGroup(executor, world, request, range, index, signal)
    })()
    previous.set(key, run)
    try {
      return await run
    } catch (error) {
      abort.abort(error)
      throw error
    }
  })
  const ended = await Promise.allSettled(groups)
  if (request.signal.aborted) throw request.signal.reason
  // The first failure aborted the others; what those threw is its echo.
  if (abort.signal.aborted) throw abort.signal.reason
  return ended.flatMap(result => (result.status === 'fulfilled' ? result.value : []))
}

async function runGroup(
  executor: ExecutorRun,
  world: World,
  request: DispatchRequest,
  range: OffsetRange,
  index: number,
  signal: AbortSignal,
): Promise<readonly TaskResult[]> {
  const { job, batch, epoch, onTaskEnd, onRetry } = request
  return retrying(world, { forMs: request.retryForMs, signal, onRetry }, async number => {
    const attempt = `${epoch}-${batch.id}-${index}-${number}-${world.random.id(8)}`
    const tasks = request
      .outputsOf(range)
      .map((output): Task => ({ stream: job.stream, batchId: batch.id, epoch, index, range, batchTime: batch.batchTime, output, attempt }))
    const estimatedBytes = request.weigh(range)
    const group: TaskGroup = {
      range,
      ...(estimatedBytes !== undefined && { estimatedBytes }),
      isolation: request.isolationOf(range),
      timeoutMs: request.taskTimeoutMs,
      onDataLoss: request.onDataLoss,
      onRecordError: request.onRecordError,
      tasks,
    }
    const startTime = world.clock.now()
    try {
      const results = await executor.run(group, { signal })
      for (const { task, gathered: _, ...result } of results) onTaskEnd({ task, status: 'completed', ...result })
      return results
    } catch (error) {
      const failure = explainFailure(error, batch, range)
      const ended = { status: 'failed', willRetry: failure.retryable, startTime, endTime: world.clock.now(), error: failure } as const
      // A task that was told to stop has not failed.
      if (!signal.aborted) for (const task of tasks) onTaskEnd({ task, ...ended })
      throw failure
    }
  })
}

/** Our own errors say enough; anything else was thrown by the output's or the job's own code, and is told with where it happened. */
function explainFailure(error: unknown, batch: Batch, range: OffsetRange): { retryable: boolean } & Error {
  if (isTidemarkError(error)) return error
  return new TaskFailedError(`Task ${showRange(range)} of batch ${batch.id} failed: ${errorMessage(error)}`, {
    details: { ...range, batchId: batch.id },
    cause: error,
  })
}
