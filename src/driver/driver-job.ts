import type { Clock } from '../core/clock.ts'
import type { DataLossPolicy } from '../core/errors.ts'
import type { Listener } from '../core/events.ts'
import type { Executor, RecordErrorPolicy } from '../core/executor.ts'
import type { Log } from '../core/log.ts'
import type { OffsetStore } from '../core/offset-store.ts'
import type { Random } from '../core/random.ts'
import type { RunnableJob } from '../core/runnable-job.ts'
import type { BatchContext, Guarantee } from '../core/sink.ts'
import type { Isolation, Source, StartingOffsets } from '../core/source.ts'
import type { PartitionOffset, TopicPartition } from '../core/values.ts'

/** How much a batch may hold. Records are counted as offsets, as Spark counts them. */
export type Limits = {
  readonly maxRecordsPerBatch: number
  /** By what offsets weighed in recent batches. */
  readonly maxBytesPerBatch: number
  /** A batch with fewer waits, for `maxBatchDelayMs` at the longest. */
  readonly minRecordsPerBatch: number
  readonly maxBatchDelayMs: number
  readonly maxRatePerPartition?: number | ((partition: TopicPartition) => number) | undefined
  readonly minRatePerPartition?: number | ((partition: TopicPartition) => number) | undefined
  readonly initialRate?: number | undefined
  /** Records a second over the whole job, of a backfill that others read beside. */
  readonly maxRate?: number | undefined
  readonly minTasks?: number | undefined
  readonly maxRecordsPerTask?: number | undefined
}

/** The weights of the PID rate estimator. */
export type PidOptions = { readonly proportional: number; readonly integral: number; readonly derivative: number; readonly minRate: number }

/** The options that concern the driver, complete: every default is in. */
export type DriverOptions = {
  readonly batchIntervalMs: number
  readonly limits: Limits
  readonly backpressure: 'off' | { readonly pid: PidOptions }
  readonly onDataLoss: DataLossPolicy
  readonly onRecordError: RecordErrorPolicy
  readonly retryForMs: number
  readonly taskTimeoutMs: number
  readonly maxOutputWaitMs: number
  readonly leaseTtlMs: number
  readonly owner: string
}

export type JobSource = {
  readonly name: string
  readonly source: Source<unknown>
  readonly isolation: Isolation
  readonly startingOffsets: StartingOffsets
}

/** What runs on the driver with a batch's rows, in the order of the batch's ranges. */
export type BatchFunction = (rows: readonly unknown[], batch: BatchContext) => unknown

/** A job as the driver needs it: streams compile to this. */
export type DriverJob = RunnableJob & {
  readonly sources: readonly JobSource[]
  /** The driver's part of outputs that gather their rows, by output name. */
  readonly batchFunctions: ReadonlyMap<string, BatchFunction>
  /** What the stream demands of its outputs. */
  readonly demanded: Guarantee | undefined
  /** Of the job's shape: sources, stages, outputs. It goes into every intent. */
  readonly hash: string
  readonly store: OffsetStore
  readonly executor: Executor
  readonly options: DriverOptions
  readonly listeners: readonly Listener[]
  readonly log: Log
  readonly world: World
}

/** Time and chance, so that a simulated world can run the same driver. The network is behind sources, sinks, stores and executors. */
export type World = { readonly clock: Clock; readonly random: Random }

/** Where a run ends by itself: what was there at the start, the first record at or after a time (ms), or exact positions. */
export type Until =
  | 'latest'
  | { readonly at: 'timestamp'; readonly timestamp: number }
  | { readonly at: 'exact'; readonly offsets: readonly PartitionOffset[] }
