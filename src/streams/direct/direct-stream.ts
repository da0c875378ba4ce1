import type { DataLossError } from '../../core/errors.ts'
import type { Lease, OffsetStore } from '../../core/offset-store.ts'
import type { CallOptions, Isolation, Source } from '../../core/source.ts'
import type { Batch, OffsetRange, PartitionOffset } from '../../core/values.ts'
import type { Until } from '../../driver/driver-job.ts'
import type { StreamOptions } from '../options.ts'

/** What an engine says to run a stream by itself: what {@link stream} takes, without what the engine does. */
export type DirectStreamOptions<Row> = Pick<
  StreamOptions,
  'name' | 'batchIntervalMs' | 'limits' | 'onDataLoss' | 'retry' | 'leaseTtlMs' | 'owner' | 'listeners' | 'log'
> & {
  /** Where committed offsets live. It stays the caller's, who closes it. */
  readonly offsets: OffsetStore
  /** Where the records are. It stays the caller's, who closes it. */
  readonly source: Source<Row>
  /** Takes the stream over from a live owner in place of standing by. @default false */
  readonly steal?: boolean
  /** Where it ends: what is there when it is opened, a time (ms), or exact offsets. @default it goes on */
  readonly until?: Until
}

/** A batch that is begun: its ranges are in the store, and only its commit or a person's word ends it. Plain data. */
export type DirectBatch = Batch & {
  /** The epoch of the lease that runs it now, also where an older one began it: what a destination fences by. */
  readonly epoch: number
  /** Whether it was begun before this stream was opened: a part of its work may be done already. */
  readonly isReplay: boolean
  /** How it is to be read, `source.read(range, { isolation })`: as when it was begun. */
  readonly isolation: Isolation
}

/**
 * A stream whose batches another engine runs: everything a driver knows of positions, and nothing of how work is done. It holds the stream's lease,
 * gives batches, a begun one first, and commits them.
 */
export interface DirectStream extends AsyncDisposable {
  /** Who this is, for outputs that keep a ledger or a fence: `streamId` and `epoch`. */
  readonly lease: Lease
  /** Aborts when the lease is lost, with `FencedError`: another driver has the stream, and whatever is under way must stop. And when it is closed. */
  readonly signal: AbortSignal
  /** Where the stream stands, sorted by topic and partition. */
  readonly committed: readonly PartitionOffset[]
  /** Whether all up to `until` is committed; never without one. */
  readonly isDone: boolean
  /**
   * The batch to run now, begun in the store: the one that was begun and not committed, if there is one, verbatim; else the next by what there is.
   * Undefined while there is nothing to read. Until a batch is committed every call gives that one again.
   *
   * @throws DataLossError where records are gone and `onDataLoss` says fail; FencedError where another driver has the stream
   */
  next(options?: NextOptions): Promise<DirectBatch | undefined>
  /** Resolves when there may be something to read, or after some seconds. */
  awaitRecords(options?: CallOptions): Promise<void>
  /** Commits all of the batch's ranges at once. Only when every output has every row. */
  commit(batch: Pick<Batch, 'id'>, options?: CommitOptions): Promise<void>
  /** Ends the lease, so that the next driver need not wait. A begun batch stays begun, for whoever comes next. */
  close(): Promise<void>
}

export type NextOptions = CallOptions & {
  /** Records a second that the engine can take now, such as from {@link PidRateEstimator}. @default no estimate */
  readonly rate?: number
}

export type CommitOptions = {
  /** What reading the batch found gone and went on without, from `onDataLoss` of `source.read`: the partitions go on where their logs do. */
  readonly losses?: readonly Pick<DataLossError, 'lossCause' | 'message' | 'missing' | 'resumeAt'>[]
  /** What ranges weighed, from `onBytes` of `source.read`: without it `limits.maxBytesPerBatch` has nothing to go by. */
  readonly weighed?: readonly { readonly range: OffsetRange; readonly bytes: number }[]
}
