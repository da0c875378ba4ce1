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
  /** Those of them whose lost records are dead letters. */
  readonly watchedOf: (range: OffsetRange) => readonly string[]
  readonly isolationOf: (range: OffsetRange) => Isolation
  /** Bytes the range is expected to weigh. */
  readonly weigh: (range: OffsetRange) => number | undefined
  readonly retryForMs: number
  readonly taskTimeoutMs: number
  readonly maxOutputWaitMs: number
  readonly onDataLoss: DataLossPolicy
  readonly onRecordError: RecordErrorPolicy
  readonly timestamps?: TimeWindow | undefined
  readonly signal: AbortSignal
  readonly onTaskEnd: (task: TaskInfo) => void
  /** Told of each failure that is tried again. */
  readonly onRetry: (error: TidemarkError) => void
}

/**
 * Gives every task of a batch to the executor. Each output has its own progress: the tasks of a range go out together once, for they share a read, and one
 * that fails in a way that may pass is tried again alone, while those that are in stay in and are not run again. Resolves when all are in; rejects with the
 * first failure that does not pass, after all others were aborted and have ended.
 */
export async function dispatch(executor: ExecutorRun, world: World, request: DispatchRequest): Promise<TaskResult[]> {
  const abort = new AbortController()
  // Not a signal that follows two others: ten thousand groups look at it again and again.
  const onAbort = () => abort.abort(request.signal.reason)
  request.signal.throwIfAborted()
  request.signal.addEventListener('abort', onAbort)
  const onFailure = (error: unknown) => {
    abort.abort(error)
    throw error
  }
  const runs = new RangeDispatcher(executor, world, request, { signal: abort.signal, onFailure })
  const needsOrder = (outputs: readonly string[]) => outputs.some(name => request.job.outputs.get(name)?.sink.ordering === 'partition')
  const previous = new Map<string, RunningRange>()
  try {
    const ended = await Promise.allSettled(
      request.batch.ranges.map((range, index) => {
        const planned = { range, index, outputs: request.outputsOf(range) }
        if (!needsOrder(planned.outputs)) return runs.runFree(planned)
        // Slices of one partition go one after another into an output that needs their order.
        const key = partitionKey(range)
        const run = runs.run(planned, previous.get(key))
        previous.set(key, run)
        return run.done
      }),
    )
    if (request.signal.aborted) throw request.signal.reason
    // The first failure aborted the others; what those threw is its echo.
    if (abort.signal.aborted) throw abort.signal.reason
    return ended.flatMap(result => (result.status === 'fulfilled' ? result.value : []))
  } finally {
    request.signal.removeEventListener('abort', onAbort)
  }
}

type PlannedRange = { readonly range: OffsetRange; readonly index: number; readonly outputs: readonly string[] }

/** A range whose tasks are under way, as the slice behind it sees it. */
type RunningRange = {
  /** The outputs that are left behind, when the tasks that went out together have ended: their tasks of later slices wait for them, alone. */
  readonly apart: Promise<ReadonlyMap<string, Promise<unknown>>>
  /** All of its tasks are in. */
  readonly done: Promise<TaskResult[]>
}

type RunParts = {
  readonly before?: RunningRange | undefined
  readonly onParted?: (apart: ReadonlyMap<string, Promise<unknown>>) => void
  readonly first?: Promise<TaskResult[]>
}

class RangeDispatcher {
  readonly #executor: ExecutorRun
  readonly #world: World
  readonly #request: DispatchRequest
  readonly #signal: AbortSignal
  readonly #onFailure: (error: unknown) => never
  readonly #policy: ReturnType<typeof policyOf>

  /** `onFailure` is told of what ends the batch, as soon as it is known. */
  constructor(
    executor: ExecutorRun,
    world: World,
    request: DispatchRequest,
    { signal, onFailure }: { readonly signal: AbortSignal; readonly onFailure: (error: unknown) => never },
  ) {
    this.#executor = executor
    this.#world = world
    this.#request = request
    this.#signal = signal
    this.#onFailure = onFailure
    this.#policy = policyOf(request)
  }

  /**
   * A range that waits for no slice before it, and that none behind it waits for. While all goes well it has one attempt and nothing else: a batch may have ten
   * thousand such ranges, all under way at a time, and what is made for each costs its collection twice.
   */
  runFree(planned: PlannedRange): Promise<TaskResult[]> {
    const first = this.#attempt(planned, 1)
    const goOn = () => this.#run(planned, { first })
    return first.then(results => (results.some(result => 'error' in result) ? goOn() : results), goOn)
  }

  run(planned: PlannedRange, before?: RunningRange): RunningRange {
    const apart = Promise.withResolvers<ReadonlyMap<string, Promise<unknown>>>()
    // Nobody may be behind it.
    apart.promise.catch(() => {})
    const done = this.#run(planned, { before, onParted: apart.resolve })
    // Where it was stopped before its tasks parted, those behind it are too.
    done.catch(apart.reject)
    return { apart: apart.promise, done }
  }

  /** `first` is the first attempt of all tasks, where it was begun already. */
  async #run(planned: PlannedRange, { before, onParted, first }: RunParts): Promise<TaskResult[]> {
    const waited = await before?.apart
    const together = planned.outputs.filter(output => !waited?.has(output))
    const apart = new Map<string, Promise<TaskResult>>()
    const setApart = (output: string, result: Promise<TaskResult>) => {
      const own = result.catch(this.#onFailure)
      // It may fail while the others are under way, and is looked at behind them only: until then it would be nobody's, which ends the process.
      own.catch(() => {})
      apart.set(output, own)
    }
    for (const output of planned.outputs) {
      const turn = waited?.get(output)
      if (turn !== undefined)
        setApart(
          output,
          turn.then(() => this.#runAlone(planned, output)),
        )
    }
    const [shared] = await Promise.allSettled([together.length === 0 ? [] : this.#runTogether({ ...planned, outputs: together }, first)])
    const results = shared.status === 'fulfilled' ? shared.value : []
    for (const { task, ...result } of results) {
      if ('error' in result) setApart(task.output, this.#runAlone(planned, task.output, { error: result.error }))
    }
    onParted?.(apart)
    // What fails aborts the rest, and it is over when they have ended.
    const ended = await Promise.allSettled(apart.values())
    if (shared.status === 'rejected') throw shared.reason
    const rest = ended.map(result => {
      if (result.status === 'rejected') throw result.reason
      return result.value
    })
    return [...results.filter(result => !('error' in result)), ...rest]
  }

  /** One attempt for all, and others while nothing of it gets in for a reason that all share. */
  #runTogether(planned: PlannedRange, first?: Promise<TaskResult[]>): Promise<readonly TaskResult[]> {
    return this.#retrying(number => (number === 1 && first !== undefined ? first : this.#attempt(planned, number))).catch(this.#onFailure)
  }

  /** One task with its own attempts and its own read; `failed` is what it failed with beside the others. */
  async #runAlone(planned: PlannedRange, output: string, failed?: { readonly error: unknown }): Promise<TaskResult> {
    return this.#retrying(async number => {
      if (failed !== undefined && number === 1) throw failed.error
      const [result] = await this.#attempt({ ...planned, outputs: [output] }, number)
      if (result === undefined || 'error' in result) throw result?.error
      return result
    })
  }

  #retrying<T>(attempt: (number: number) => Promise<T>): Promise<T> {
    const { retryForMs: forMs, onRetry } = this.#request
    return retrying(this.#world, { forMs, signal: this.#signal, onRetry }, attempt)
  }

  /** Gives an attempt to the executor. Failures are told here, each as that of its task. */
  async #attempt({ range, index, outputs }: PlannedRange, number: number): Promise<TaskResult[]> {
    const { job, batch, epoch, onTaskEnd } = this.#request
    const { clock, random } = this.#world
    const attempt = `${epoch}-${batch.id}-${index}-${number}-${random.id(8)}`
    const tasks = outputs.map(
      (output): Task => ({ stream: job.stream, batchId: batch.id, epoch, index, range, batchTime: batch.batchTime, output, attempt }),
    )
    const startTime = clock.now()
    try {
      const results = await this.#executor.run(this.#group(range, tasks), { signal: this.#signal })
      return results.map(result => {
        if (!('error' in result)) {
          onTaskEnd(completed(result))
          return result
        }
        const error = explainFailure(result.error, batch, range, result.task.output)
        this.#tellFailed(result.task, error, startTime)
        return { ...result, error }
      })
    } catch (error) {
      const failure = explainFailure(error, batch, range, outputs.length === 1 ? outputs[0] : undefined)
      for (const task of tasks) this.#tellFailed(task, failure, startTime)
      throw failure
    }
  }

  #tellFailed(task: Task, failure: Failure, startTime: number): void {
    // A task that was told to stop has not failed.
    if (this.#signal.aborted) return
    const endTime = this.#world.clock.now()
    this.#request.onTaskEnd({ task, status: 'failed', willRetry: failure.retryable, startTime, endTime, error: failure })
  }

  #group(range: OffsetRange, tasks: readonly Task[]): TaskGroup {
    const { isolationOf, weigh, watchedOf, onRecordError } = this.#request
    const estimatedBytes = weigh(range)
    const group = { ...this.#policy, range, isolation: isolationOf(range), tasks }
    const weighed = estimatedBytes === undefined ? group : { ...group, estimatedBytes }
    return onRecordError === 'deadLetter' ? { ...weighed, watched: watchedOf(range) } : weighed
  }
}

/** What is alike in all groups of a batch. Copied whole into each: putting ten thousand together field by field takes as long as the rest of a small one. */
function policyOf({ taskTimeoutMs: timeoutMs, maxOutputWaitMs, onDataLoss, onRecordError, timestamps }: DispatchRequest) {
  return { timeoutMs, maxOutputWaitMs, onDataLoss, onRecordError, ...(timestamps !== undefined && { timestamps }) }
}

function completed(result: TaskResult): TaskInfo {
  if (result.gathered === undefined) return { ...result, status: 'completed' }
  const { gathered: _, ...about } = result
  return { ...about, status: 'completed' }
}

type Failure = { readonly retryable: boolean } & Error

/** Our own errors say enough; anything else was thrown by the output's or the job's own code, and is told with where it happened. */
function explainFailure(error: unknown, batch: Batch, range: OffsetRange, output: string | undefined): Failure {
  if (isTidemarkError(error)) return error
  const into = output === undefined ? '' : ` into ${output}`
  return new TaskFailedError(`Task ${showRange(range)} of batch ${batch.id}${into} failed: ${errorMessage(error)}`, {
    details: { ...range, batchId: batch.id, ...(output !== undefined && { output }) },
    cause: error,
  })
}
