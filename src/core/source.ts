import type { DataLossError } from './errors.ts'
import type { OffsetRange, PartitionOffset, TopicPartition } from './values.ts'

/** Which records are visible: all, or only those of committed transactions and of none. */
export type Isolation = 'read_committed' | 'read_uncommitted'

/** Where a stream begins in the topics it names, used only for partitions that the store has no offset for. */
export type StartingOffsets =
  | { readonly at: 'earliest' }
  | { readonly at: 'latest' }
  | { readonly at: 'committed'; readonly group: string }
  | { readonly at: 'timestamp'; readonly timestamp: number; readonly noMatch?: 'fail' | 'latest' }
  | { readonly at: 'exact'; readonly offsets: readonly PartitionOffset[] }
  | {
      readonly at: 'each'
      readonly partitions: readonly (TopicPartition & {
        readonly start: 'earliest' | 'latest' | { readonly offset: number } | { readonly timestamp: number }
      })[]
    }

/** What every call that waits accepts. */
export type CallOptions = { readonly signal?: AbortSignal | undefined }

export type ReadOptions = CallOptions & {
  /** @default the source's own; a replay says the one its batch was begun with */
  readonly isolation?: Isolation
  /** Told of bytes as they arrive: a batch's weight, and the sign that a slow task still moves. */
  readonly onBytes?: (bytes: number) => void
  /**
   * Asked about records of the range that are gone: where it returns, the read goes on with what is left; where it throws, the read fails with
   * that. @default the read fails
   */
  readonly onDataLoss?: (loss: DataLossError) => void
}

/**
 * Where records come from. It knows offsets and reads ranges; it keeps no position, so any executor can read any range at any time.
 * Making one connects nothing.
 */
export interface Source<out R> {
  /** Every partition there is now, sorted by topic and partition. */
  partitions(options?: CallOptions): Promise<TopicPartition[]>
  /** The first offset that is still there, per partition. */
  earliestOffsets(options?: CallOptions): Promise<PartitionOffset[]>
  /** Where a read can go up to: the last stable offset under read_committed, the high watermark otherwise. */
  latestOffsets(options?: CallOptions): Promise<PartitionOffset[]>
  /** The first offset whose record's timestamp is at or after `timestamp` (ms); the latest offset where there is none. */
  offsetsForTimestamp(timestamp: number, options?: CallOptions): Promise<PartitionOffset[]>
  /** Exactly the records of the range, in offset order, in arrays of at most 4,096. */
  read(range: OffsetRange, options?: ReadOptions): AsyncIterable<readonly R[]>
  close(): Promise<void>

  /** For messages, the intent and the UI: kind and target, without secrets. */
  readonly name?: string
  /** Where it reads from, without secrets: brokers and topics. An executor whose job reads elsewhere is given nothing. */
  readonly target?: string
  /** Where to begin where the store has no offset. @default { at: 'earliest' } */
  readonly startingOffsets?: StartingOffsets
  /** @default 'read_uncommitted' for a source without transactions */
  readonly isolation?: Isolation
  /** Told of ranges that will be read soon, in that order: a source may fetch small ones together. */
  prefetch?(ranges: readonly OffsetRange[], options: ReadOptions): void
  /** Whether the topic is one of its own, there or not. A committed topic that no source of a job names is left alone. @default every topic is */
  names?(topic: string): boolean
  /** Whether topics may come to it by themselves, as with a regular expression. @default false */
  readonly findsTopics?: boolean
  /**
   * Told, before anything is asked, of topics that the stream has read: one that is gone was deleted, and is left out of the answers like any
   * other that goes, instead of being taken for a name that was never right.
   */
  remember?(topics: readonly string[]): void
  /**
   * Where the leader epoch of each position ended in its log, as the leader knows it: KIP-320's test for a log that was cut and has grown again.
   * Partitions that the leader knows nothing of are left out.
   */
  epochEndOffsets?(positions: readonly PartitionOffset[], options?: CallOptions): Promise<PartitionOffset[]>
  /** What a consumer group of Kafka has committed: for `{ at: 'committed' }`. */
  committedOffsets?(group: string, options?: CallOptions): Promise<PartitionOffset[]>
  /**
   * Tells whatever else shows positions where the stream stands, told after they are in the store: a cosmetic mirror that nothing reads back. Topics
   * that are not its own are passed over. Only where its options name a group. The driver logs what fails here and goes on.
   */
  commitToGroup?(offsets: readonly PartitionOffset[], options?: CallOptions): Promise<void>
  /**
   * Waits until some partition has something beyond `from`, without polling, and says how far those partitions reach now.
   * May resolve empty after a while; the caller asks again.
   */
  awaitRecords?(from: readonly PartitionOffset[], options?: CallOptions): Promise<PartitionOffset[]>
}
