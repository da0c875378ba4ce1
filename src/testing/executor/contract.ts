import assert from 'node:assert/strict'
import { setTimeout } from 'node:timers/promises'
import { type ErrorCode, isRetryable, isTidemarkError, type TidemarkError } from '../../core/errors.ts'
import type { Executor, ExecutorRun, RunOptions, TaskGroup, TaskResult } from '../../core/executor.ts'
import { systemRandom } from '../../core/random.ts'
import type { RunnableJob } from '../../core/runnable-job.ts'
import type { OffsetRange, Task } from '../../core/values.ts'
import type { LedgerEntry } from './contract-sinks.ts'
import type { Note, WorkerId } from './notes.ts'

/** The faults that the executor contract can try. */
export type ExecutorFault = 'kill' | 'pause' | 'drain'

/**
 * How to make the faults. A worker is named as it noted itself: where tasks run in processes, `pid` is enough. A fault that is not declared may be
 * left out.
 */
export type ExecutorFaults = {
  /** Ends the worker as `kill -9` does. Resolves when it has ended; whether another takes its place is up to you, as long as one is left. */
  kill?(worker: WorkerId): Promise<void>
  /** Stops the worker as SIGSTOP does. Resolves when it stands still; `resume` lets it go on. */
  pause?(worker: WorkerId): Promise<{ resume(): Promise<void> }>
  /** Tells the worker to end in good order, as SIGTERM does. Resolves when it was told; `ended` when it has gone. */
  drain?(worker: WorkerId): Promise<{ readonly ended: Promise<void> }>
}

/** What a test of the contract is given: an executor at work for a run of the contract's job under a name that no other test uses. */
export type ContractWorld = {
  readonly executor: Executor
  /** An executor over the same workers, as another driver has it. */
  readonly another: () => Promise<Executor>
  readonly stream: string
  readonly run: ExecutorRun
  /** The job as `run` was given it. */
  readonly job: RunnableJob
  /** Starts another run, which is closed at the end. */
  readonly start: (executor: Executor, options?: { readonly stream?: string; readonly outputs?: readonly string[] }) => Promise<ExecutorRun>
  /** Gives a group to the run, or to another; it is aborted at the end of the test where it still runs. */
  readonly give: (group: TaskGroup, options?: Partial<RunOptions>, run?: ExecutorRun) => Promise<readonly TaskResult[]>
  readonly notes: (stream?: string) => readonly Note[]
  readonly ledger: (stream?: string) => readonly LedgerEntry[]
  /** Lets tasks of `held` and `trickle` go on: all, or those of one worker. */
  readonly openGate: (worker?: WorkerId) => void
  /** What {@link ExecutorFaults} has, each checked to be there. */
  readonly faults: Required<ExecutorFaults>
  /** Ends everything in good order, before the test does: closes the runs and what was opened. */
  readonly end: () => Promise<void>
}

/** Defines one test of the contract. */
export type DefineTest = (title: string, body: (world: ContractWorld) => Promise<void>) => void

const NO_LOSS = { retention: 'fail', truncation: 'fail', recreated: 'fail', removed: 'fail' } as const
/** Long enough for locks to lapse and processes to start on a busy machine; what does not happen by then never will. */
const PATIENCE_MS = 30_000
const LOOK_EVERY_MS = 10

type GroupOptions = Partial<Omit<TaskGroup, 'range' | 'tasks'>> & {
  readonly topic?: string
  readonly partition?: number
  readonly from?: number
  readonly until?: number
  readonly outputs?: readonly string[]
  readonly index?: number
  readonly batchId?: number
  readonly epoch?: number
}

/** A group as a driver makes it: by default the first ten records of `plain`, into `rows`. */
export function group(stream: string, options: GroupOptions = {}): TaskGroup {
  const { topic = 'plain', partition = 0, from = 0, until = 10, outputs = ['rows'], index = 0, batchId = 1, epoch = 1, ...rest } = options
  const range: OffsetRange = { topic, partition, fromOffset: from, untilOffset: until }
  const task = { stream, batchId, epoch, index, range, batchTime: 1_700_000_000_000 + batchId, attempt: attemptOf(epoch, batchId, index) }
  return {
    range,
    isolation: 'read_uncommitted',
    timeoutMs: 600_000,
    onDataLoss: NO_LOSS,
    onRecordError: 'fail',
    ...rest,
    tasks: outputs.map((output): Task => ({ ...task, output })),
  }
}

/** The same group as a new attempt. */
export function again(old: TaskGroup): TaskGroup {
  const [{ epoch, batchId, index } = { epoch: 0, batchId: 0, index: 0 }] = old.tasks
  const attempt = attemptOf(epoch, batchId, index)
  return { ...old, tasks: old.tasks.map(task => ({ ...task, attempt })) }
}

function attemptOf(epoch: number, batchId: number, index: number): string {
  return `${epoch}-${batchId}-${index}-${systemRandom.id()}`
}

/** Gives a group until it is done, as a driver does: what may pass is tried again as a new attempt. */
export function giveUntilDone({ give }: Pick<ContractWorld, 'give'>, first: TaskGroup, maxAttempts = 10): Promise<readonly TaskResult[]> {
  const done = (async () => {
    for (let attempt = 1, next = first; ; attempt++, next = again(next)) {
      try {
        return await give(next)
      } catch (error) {
        if (!isRetryable(error) || attempt === maxAttempts) throw error
      }
    }
  })()
  return handled(done)
}

/** A test that fails elsewhere never looks at it; runners take that for another failure. */
export function handled<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => {})
  return promise
}

/** Waits for something that another thread or process does. */
export async function until(what: string, look: () => boolean): Promise<void> {
  const endsAt = performance.now() + PATIENCE_MS
  while (!look()) {
    if (performance.now() > endsAt) assert.fail(`${what} did not happen within ${PATIENCE_MS} ms`)
    await setTimeout(LOOK_EVERY_MS)
  }
}

/** Waits until a worker has begun to read the group's range, and says which; `but` are workers that do not count. */
export async function workerReading({ notes }: ContractWorld, { range }: TaskGroup, but: readonly WorkerId[] = []): Promise<WorkerId> {
  const find = () =>
    notes().find(
      entry =>
        entry.what === 'read' &&
        entry.range.topic === range.topic &&
        entry.range.partition === range.partition &&
        entry.range.fromOffset === range.fromOffset &&
        !but.some(worker => isSame(worker, entry)),
    )
  await until(`a read of ${range.topic}/${range.partition}`, () => find() !== undefined)
  const { pid, threadId } = find() ?? assert.fail('the note has gone')
  return { pid, threadId }
}

export function isSame(a: WorkerId, b: WorkerId): boolean {
  return a.pid === b.pid && a.threadId === b.threadId
}

/** The rows that reached an output for a task's range, attempt by attempt, in the order in which they came. */
export function rowsOf(notes: readonly Note[], { attempt, output }: Task): unknown[] {
  return notes.flatMap(entry =>
    entry.what === 'rows' && entry.task.attempt === attempt && entry.task.output === output ? [...entry.rows] : [],
  )
}

/** Whole numbers from `from` up to and without `to`. */
export function span(from: number, to: number): number[] {
  return Array.from({ length: to - from }, (_, at) => from + at)
}

/** What a call rejects with; that it resolves fails the test. */
export function failure(call: Promise<unknown>): Promise<unknown> {
  const failed = call.then(
    () => assert.fail('expected an error, and the call resolved'),
    (error: unknown) => error,
  )
  return handled(failed)
}

/** Waits for an error of ours with this code. */
export async function refused(call: Promise<unknown>, code: ErrorCode): Promise<TidemarkError> {
  const error = await failure(call)
  if (isTidemarkError(error, code)) return error
  throw error
}
