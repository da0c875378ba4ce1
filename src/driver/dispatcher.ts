import { type DataLossPolicy, errorMessage, isTidemarkError, TaskFailedError, type TidemarkError } from '../core/errors.ts'
import type { TaskInfo } from '../core/events.ts'
import type { ExecutorRun, RecordErrorPolicy, TaskGroup, TaskResult } from '../core/executor.ts'
import type { RunnableJob } from '../core/runnable-job.ts'
import type { Isolation } from '../core/source.ts'
import type { TimeWindow } from '../core/time-window.ts'
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
  readonly timestamps?: TimeWindow | undefined
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
  const { signal } = abort
  // Not a signal that follows two others: ten thousand groups look at it again and again.
  const onAbort = () => abort.abort(request.signal.reason)
  request.signal.throwIfAborted()
  request.signal.addEventListener('abort', onAbort)
  const needsOrder = (outputs: readonly string[]) => outputs.some(name => request.job.outputs.get(name)?.sink.ordering === 'partition')
  const previous = new Map<string, Promise<unknown>>()

  const runRange = (range: OffsetRange, index: number): Promise<readonly TaskResult[]> => {
    const outputs = request.outputsOf(range)
    if (!needsOrder(outputs)) return runGroup(executor, world, request, { range, index, outputs }, signal)
    // Slices of one partition go one after another into an output that needs their order.
    const key = partitionKey(range)
    const before = previous.get(key) ?? Promise.resolve()
    const run = before.then(() => runGroup(executor, world, request, { range, index, outputs }, signal))
    previous.set(key, run)
    return run
  }
  const onFailure = (error: unknown) => {
    abort.abort(error)
    throw error
  }
  try {
    const ended = await Promise.allSettled(request.batch.ranges.map((range, index) => runRange(range, index).catch(onFailure)))
    if (request.signal.aborted) throw request.signal.reason
    // The first failure aborted the others; what those threw is its echo.
    if (signal.aborted) throw signal.reason
    return ended.flatMap(result => (result.status === 'fulfilled' ? result.value : []))
  } finally {
    request.signal.removeEventListener('abort', onAbort)
  }
}

type PlannedGroup = { readonly range: OffsetRange; readonly index: number; readonly outputs: readonly string[] }

async function runGroup(
  executor: ExecutorRun,
  world: World,
  request: DispatchRequest,
  { range, index, outputs }: PlannedGroup,
  signal: AbortSignal,
): Promise<readonly TaskResult[]> {
  const { job, batch, epoch, onTaskEnd, onRetry } = request
  return retrying(world, { forMs: request.retryForMs, signal, onRetry }, async number => {
    const attempt = `${epoch}-${batch.id}-${index}-${number}-${world.random.id(8)}`
    const tasks = outputs.map(
      (output): Task => ({ stream: job.stream, batchId: batch.id, epoch, index, range, batchTime: batch.batchTime, output, attempt }),
    )
    const estimatedBytes = request.weigh(range)
    const group: TaskGroup = {
      range,
      ...(estimatedBytes !== undefined && { estimatedBytes }),
      isolation: request.isolationOf(range),
      timeoutMs: request.taskTimeoutMs,
      onDataLoss: request.onDataLoss,
      onRecordError: request.onRecordError,
      ...(request.timestamps !== undefined && { timestamps: request.timestamps }),
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
