/**
 * Kafka direct streams and an offset manager.
 *
 *     import { stream } from 'tidemark'
 *     import { json, kafkaSource } from 'tidemark/kafka'
 *     import { jsonlSink } from 'tidemark/files'
 *
 *     export default stream({ name: 'orders' })
 *       .from(kafkaSource({ kafka: { brokers: ['localhost:9092'] }, topics: ['orders'] }))
 *       .map(json<Order>())
 *       .filter(order => order.total > 0)
 *       .to(jsonlSink({ directory: 'out' }))
 *
 * Then `tidemark run orders.ts`.
 */

export { type Clock, systemClock } from './core/clock.ts'
export type { DeadLetter } from './core/dead-letters/dead-letter.ts'
export {
  AuthError,
  ConfigError,
  ConflictError,
  ConnectionError,
  type DataLossCause,
  DataLossError,
  DecodeError,
  type ErrorCode,
  FencedError,
  isTidemarkError,
  JobError,
  LeaseHeldError,
  LedgerConflictError,
  RecordError,
  TaskFailedError,
  TidemarkError,
  TimeoutError,
  UnsupportedError,
} from './core/errors.ts'
export type { BatchInfo, Listener, OutputOperationInfo, StreamEvent, TaskInfo } from './core/events.ts'
export type { Executor, ExecutorContext, ExecutorRun, RunOptions, TaskGroup, TaskResult } from './core/executor.ts'
export type { Log } from './core/log.ts'
export type {
  AcquireOptions,
  HistoryEntry,
  HistoryOptions,
  Lease,
  OffsetStore,
  ResetOptions,
  StreamSnapshot,
  StreamState,
} from './core/offset-store.ts'
export type { JobOrigin, RangeContext, RunnableJob, RunnableOutput, Stage } from './core/runnable-job.ts'
export type { BatchContext, CompletedBatch, FenceMark, Guarantee, Ordering, ReadBackQuery, Sink, SinkContext } from './core/sink.ts'
export type { CallOptions, Isolation, ReadOptions, Source, StartingOffsets } from './core/source.ts'
export { type RunnerContext, runTasks } from './core/task-runner.ts'
export type { TimeWindow } from './core/time-window.ts'
export type { Batch, Json, OffsetRange, PartitionOffset, Task, TopicPartition } from './core/values.ts'
export type { BackfillFrom, BackfillTo } from './driver/backfill/asked.ts'
export type { BackfillPlan } from './driver/backfill/plan-backfill.ts'
export type { Until } from './driver/driver-job.ts'
export { PidRateEstimator } from './driver/pid-rate-estimator.ts'
export { planBatch } from './driver/plan-batch.ts'
export type { RunSummary } from './driver/run-summary.ts'
export { splitRanges } from './driver/split-ranges.ts'
export { type InProcessOptions, inProcess } from './executors/in-process.ts'
export { type ThreadsOptions, threads } from './executors/threads.ts'
export type { BackfillRun } from './streams/backfill.ts'
export type { BackfillOptions } from './streams/backfill-options.ts'
export { type DeadLetterPolicy, deadLetter } from './streams/dead-letter.ts'
export type { CommitOptions, DirectBatch, DirectStream, DirectStreamOptions, NextOptions } from './streams/direct/direct-stream.ts'
export { openDirectStream } from './streams/direct/open-direct-stream.ts'
export type { Flow, OutputOptions, StageOptions } from './streams/flow.ts'
export type { LetterRange } from './streams/letter-source.ts'
export type { LimitOptions, PartitionRate, PidWeights, StreamOptions } from './streams/options.ts'
export type { Run, StartOptions } from './streams/run.ts'
export { type StreamJob, stream } from './streams/stream.ts'
