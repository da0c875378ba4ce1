import type { DataLossCause, DataLossPolicy, TidemarkError } from './errors.ts'
import type { Log } from './log.ts'
import type { RunnableJob } from './runnable-job.ts'
import type { Isolation } from './source.ts'
import type { TimeWindow } from './time-window.ts'
import type { OffsetRange, Task } from './values.ts'

/** The tasks of one range: they share one read. Plain data, like the tasks. */
export type TaskGroup = {
  readonly range: OffsetRange
  readonly isolation: Isolation
  /** How long an attempt may take from when it begins to run, ms. */
  readonly timeoutMs: number
  readonly onDataLoss: DataLossPolicy
  /** What to do about a record that a per-row function of the job fails on. */
  readonly onRecordError: RecordErrorPolicy
  /** Records whose timestamps are outside are left out before the job's stages see them. @default all count */
  readonly timestamps?: TimeWindow
  /**
   * Where records that a function fails on become dead letters: the outputs that the range goes to, whether or not their tasks are here. A task of the
   * dead letters' output brings what any of them lost.
   */
  readonly watched?: readonly string[]
  /** How long the outputs wait for the slowest of them, over the whole read, before it goes on with a read of its own, ms. @default 5_000 */
  readonly maxOutputWaitMs?: number
  /** What the range is expected to weigh, for sharing the work; undefined before anything was weighed. */
  readonly estimatedBytes?: number
  readonly tasks: readonly Task[]
}

/** Stop with the record's place and stage; or leave the record out, and count and report it; or leave it out and bring it as a dead letter. */
export type RecordErrorPolicy = 'fail' | 'skip' | 'deadLetter'

/** Records that a task left out because a function of the job failed on them. */
export type SkippedRecords = {
  readonly count: number
  /** The first of them. */
  readonly samples: readonly { readonly offset: number | undefined; readonly stage: string; readonly message: string }[]
}

/** Records that a task found gone, where the policy is to go on. */
export type TaskLoss = {
  readonly cause: DataLossCause
  readonly message: string
  readonly missing: readonly OffsetRange[]
  readonly resumeAt?: number
}

/** What became of a task. Times are ms since the epoch by the executor's clock. */
export type TaskResult = {
  readonly task: Task
  /** Whether the destination had it already, so that nothing was read or written. */
  readonly alreadyApplied: boolean
  /** Records read. Not `untilOffset − fromOffset`: compaction, aborts and markers leave gaps. */
  readonly records: number
  /** Rows that reached the output. */
  readonly rows: number
  /** Bytes fetched for the range, as they came over the wire. */
  readonly bytes: number
  /** Records that were read and left out because their timestamps were not asked for. */
  readonly outsideTime?: number
  readonly skipped?: SkippedRecords
  readonly losses?: readonly TaskLoss[]
  readonly startTime: number
  readonly endTime: number
  /** Why the task is **not** in: it is to be run again. Others of its range may be in. */
  readonly error?: unknown
  /** The rows themselves, for an output that runs on the driver. */
  readonly gathered?: readonly unknown[]
}

export type ExecutorContext = {
  readonly streamId: string
  readonly log: Log
  /** Aborts when the run is over, however it ends. */
  readonly signal: AbortSignal
  /** Told what keeps tasks from running and is being waited out: health is red until a batch is through. */
  readonly onTrouble?: (error: TidemarkError) => void
}

/**
 * Where tasks run. It keeps no truth: a task that is lost is given out again, to anybody, under a new attempt.
 * One executor may serve several runs; its slots are then shared among them.
 */
export interface Executor {
  readonly name: string
  /**
   * Whether tasks use the very outputs and sources of the job that `start` was given, and not copies of them in other threads: then whoever gave it closes
   * them. @default false
   */
  readonly usesGivenJob?: boolean
  /** Opens what the job's tasks need, once a run of the job. */
  start(job: RunnableJob, context: ExecutorContext): Promise<ExecutorRun>
}

export type RunOptions = {
  readonly signal: AbortSignal
  /** Told, as often as it happens, that bytes came or rows went: a task that is slow and one that is stuck look alike otherwise. */
  readonly onProgress?: (() => void) | undefined
}

/** An executor at work for one run of a job. It runs as many groups at a time as it has slots and queues the rest. */
export interface ExecutorRun {
  /**
   * Runs the tasks of one range. Resolves when each has come to its end, with the results in the tasks' order; those with an `error` are not in. Rejects
   * where nothing is in for one reason that all share, after all have ended. Errors keep class, code and fields.
   */
  run(group: TaskGroup, options: RunOptions): Promise<readonly TaskResult[]>
  close(): Promise<void>
}
