import type { DataLossCause, TidemarkError } from './errors.ts'
import type { SkippedRecords, TaskLoss } from './executor.ts'
import type { Guarantee } from './sink.ts'
import type { OffsetRange, PartitionOffset, Task } from './values.ts'

/**
 * A batch as listeners see it: Spark's `BatchInfo`. Times are ms since the epoch by the driver's clock; a delay is absent until it is over.
 * `schedulingDelay` = start − submission, `processingDelay` = end − start, `totalDelay` = end − submission (ms).
 */
export type BatchInfo = {
  readonly id: number
  readonly batchTime: number
  readonly ranges: readonly OffsetRange[]
  /** Whether it was begun by an earlier driver and is run again. */
  readonly isReplay: boolean
  readonly submissionTime: number
  readonly processingStartTime?: number
  readonly processingEndTime?: number
  readonly schedulingDelay?: number
  readonly processingDelay?: number
  readonly totalDelay?: number
  /** Records read; known when the batch is completed. */
  readonly numRecords?: number
  /** Bytes fetched; known when the batch is completed. */
  readonly numBytes?: number
  /** Records left out because a function failed on them, once an output; known when the batch is completed. */
  readonly numSkipped?: number
  /** Records read and left out because their timestamps were not asked for; known when the batch is completed. */
  readonly numOutsideTime?: number
  /** Dead letters that went out; known when the batch is completed. */
  readonly numDeadLetters?: number
  /** Records behind the latest offsets when the batch was planned, after this batch. */
  readonly lag?: number
  readonly outputOperations: readonly OutputOperationInfo[]
}

/** What became of one output in a batch: Spark's `OutputOperationInfo`. */
export type OutputOperationInfo = {
  readonly id: number
  readonly name: string
  readonly startTime: number
  readonly endTime?: number
  readonly rows?: number
  /** How many tasks it has in this batch, and how many of them are in. An output has its own progress: those that are in are not run again. */
  readonly numTasks?: number
  readonly numCompletedTasks?: number
  /** Attempts of its tasks that failed. */
  readonly numFailedAttempts?: number
  readonly failureReason?: string
}

/** How a task ended. */
export type TaskInfo = {
  readonly task: Task
  readonly status: 'completed' | 'failed'
  /** What a failed task is followed by. */
  readonly willRetry?: boolean
  readonly alreadyApplied?: boolean
  readonly records?: number
  readonly rows?: number
  readonly bytes?: number
  /** Records that were read and left out because their timestamps were not asked for. */
  readonly outsideTime?: number
  /** Records that were left out because a function failed on them. */
  readonly skipped?: SkippedRecords
  /** Records that were gone. */
  readonly losses?: readonly TaskLoss[]
  readonly startTime: number
  readonly endTime: number
  readonly error?: unknown
}

/** What happens to a stream, with the events and fields of Spark's `StreamingListener`. Listeners watch; they never decide. */
export type StreamEvent = { readonly stream: string; readonly time: number } & (
  | { readonly type: 'standingBy'; readonly reason: string }
  | {
      readonly type: 'streamStarted'
      readonly epoch: number
      readonly owner: string
      readonly guarantee: Guarantee
      readonly outputs: readonly string[]
      /** The batch that was begun and not committed, which is run again first. */
      readonly pendingBatchId?: number
    }
  | { readonly type: 'partitionsStarted'; readonly offsets: readonly PartitionOffset[] }
  | { readonly type: 'batchSubmitted'; readonly batch: BatchInfo }
  | { readonly type: 'batchStarted'; readonly batch: BatchInfo }
  | { readonly type: 'batchCompleted'; readonly batch: BatchInfo }
  | { readonly type: 'batchFailed'; readonly batch: BatchInfo; readonly error: unknown }
  | { readonly type: 'outputOperationStarted'; readonly batchId: number; readonly operation: OutputOperationInfo }
  | { readonly type: 'outputOperationCompleted'; readonly batchId: number; readonly operation: OutputOperationInfo }
  | {
      /** Records are gone, and the policy is to go on: found while planning, or by a task of the batch. */
      readonly type: 'dataLoss'
      readonly cause: DataLossCause
      readonly message: string
      readonly missing: readonly OffsetRange[]
      readonly resumeAt?: number
      readonly batchId?: number
    }
  | {
      /** Records that a function of the job failed on were left out, as `onRecordError: 'skip'` says. */
      readonly type: 'recordsSkipped'
      readonly batchId: number
      readonly output: string
      readonly range: OffsetRange
      readonly count: number
      readonly samples: SkippedRecords['samples']
    }
  | {
      /** The job is another than the one that ran last: what it gained and what it no longer has, in a sentence. */
      readonly type: 'jobChanged'
      readonly message: string
    }
  | { readonly type: 'taskEnded'; readonly task: TaskInfo }
  /** Something failed. `fatal` ends the stream; the rest is being retried or waited out. */
  | { readonly type: 'error'; readonly error: TidemarkError; readonly fatal: boolean }
  | { readonly type: 'health'; readonly status: 'green' | 'red'; readonly reason?: string }
  | { readonly type: 'streamStopped'; readonly reason: 'done' | 'stopped' | 'aborted' | 'failed'; readonly error?: unknown }
)

export type Listener = (event: StreamEvent) => void
