import type { CallOptions } from './source.ts'
import type { Batch, PartitionOffset, TopicPartition } from './values.ts'

/** The right to write to a stream, until a newer one is granted. `epoch` is the fencing number: it only grows. */
export type Lease = {
  readonly stream: string
  readonly owner: string
  readonly epoch: number
  /** Made at random with the stream; a stream that was removed and made again has another. */
  readonly streamId: string
  readonly ttlMs: number
}

/** A consistent snapshot of a stream. A stream the store has never seen is empty, with `streamId` undefined and epoch 0. */
export type StreamState = {
  readonly streamId: string | undefined
  readonly epoch: number
  /** Committed positions, sorted by topic and partition. */
  readonly offsets: readonly PartitionOffset[]
  /** The last batch that was committed or discarded; 0 before the first. A begun batch is `lastBatchId + 1`. */
  readonly lastBatchId: number
  /** The batch that was begun and not committed. */
  readonly pending: Batch | undefined
  /** Why the stream can be read and never acquired again, if it was retired. */
  readonly retired?: string
}

/**
 * What happened to a stream. `seq` grows by one an entry and is never used twice; `at` is the store's clock, ms since the epoch; `epoch` is the
 * lease's that wrote it.
 */
export type HistoryEntry = { readonly seq: number; readonly at: number; readonly epoch: number } & (
  | { readonly kind: 'start'; readonly offsets: readonly PartitionOffset[] }
  | { readonly kind: 'batch'; readonly batch: Batch }
  | {
      readonly kind: 'reset'
      readonly reason: string
      readonly offsets: readonly PartitionOffset[]
      readonly forgotten: readonly TopicPartition[]
    }
  | { readonly kind: 'discard'; readonly reason: string; readonly batch: Batch }
)

/** A whole stream as plain data: what `export`, `import` and `copy` carry. `history` is oldest first. */
export type StreamSnapshot = {
  readonly v: 1
  readonly stream: string
  readonly streamId: string
  readonly epoch: number
  readonly offsets: readonly PartitionOffset[]
  readonly lastBatchId: number
  readonly lastCommittedId: number
  readonly pending: Batch | null
  readonly history: readonly HistoryEntry[]
}

export type AcquireOptions = CallOptions & { readonly steal?: boolean }
export type ResetOptions = CallOptions & {
  /** Kept in the history; `start` makes the entry one of kind `start`. @default 'reset' */
  readonly reason?: string
  /** Partitions whose offsets go. */
  readonly forget?: readonly TopicPartition[]
  /** Drops a begun batch; its id counts as used and the history keeps it. */
  readonly discard?: boolean
}
export type HistoryOptions = CallOptions & {
  /** Only entries with a smaller `seq`. */
  readonly before?: number
  /** @default all */
  readonly limit?: number
}

/**
 * Where committed offsets live. Every write is a compare-and-set on the store's side: nothing that a client read before decides anything.
 * A call whose outcome is unknown (connection lost after sending) is sent again. Rules: the contract suite in `tidemark/testing`.
 *
 * Errors: `FencedError` for a lease that is not the newest or was released; `LeaseHeldError` from `acquire`; `ConflictError` for the rest.
 */
export interface OffsetStore {
  /**
   * Grants the lease and with it the next epoch. Refused while another owner's lease lives by the store's clock, unless `steal`.
   * The same owner may acquire again at once. From the moment it resolves the previous lease is dead.
   */
  acquire(stream: string, owner: string, ttlMs: number, options?: AcquireOptions): Promise<Lease>
  /** Keeps the lease for another `ttlMs`. One that lapsed and that nobody took may be renewed: time never decides who may write. */
  renew(lease: Lease, options?: CallOptions): Promise<void>
  /** Ends the lease. A begun batch stays begun. */
  release(lease: Lease, options?: CallOptions): Promise<void>
  read(stream: string, options?: CallOptions): Promise<StreamState>
  /**
   * Makes the intent durable. Refused, in this order: a dead lease; a pending batch, an id that is not next, ranges that do not go on where the
   * committed offsets end and tile upwards. The very batch that is pending again is a no-op.
   */
  begin(lease: Lease, batch: Batch, options?: CallOptions): Promise<void>
  /** All partitions of the pending batch, or none. The batch that was committed last again is a no-op. */
  commit(lease: Lease, batchId: number, options?: CallOptions): Promise<void>
  /** New positions, recorded in the history; partitions not named stay. Refused while a batch is pending, unless `discard`. */
  reset(lease: Lease, offsets: readonly PartitionOffset[], options?: ResetOptions): Promise<void>
  /** Newest first. The newest 100,000 entries are kept; `start` and `reset` stay. */
  history(stream: string, options?: HistoryOptions): AsyncIterable<HistoryEntry>
  /** The names of all streams, sorted. */
  streams(options?: CallOptions): Promise<string[]>
  snapshot(stream: string, options?: CallOptions): Promise<StreamSnapshot>
  /** Refused where the stream exists. Its next lease gets a higher epoch than the snapshot's. */
  restore(snapshot: StreamSnapshot, options?: CallOptions): Promise<void>
  /** The stream stays readable and can never be acquired again; `note` says why. The lease ends. */
  retire(lease: Lease, note: string, options?: CallOptions): Promise<void>
  remove(lease: Lease, options?: CallOptions): Promise<void>
  /** Releases the leases this store still holds and closes what it made itself. */
  close(): Promise<void>
}
