import type { HistoryEntry } from '../../src/core/offset-store.ts'
import type { StreamHead } from '../../src/core/store-rules.ts'
import { type Batch, type PartitionOffset, partitionKey } from '../../src/core/values.ts'
import type { LogListener } from './partition-reader.ts'
import type { LogBatch, LogRecord } from './record-batch.ts'
import { decodeHead, decodeKey, decodeValue, type EntryKey, type HeadValue, keyPrefix, unpackOffsets } from './stream-records.ts'
import { type OpenWrite, TransactionFilter } from './transaction-filter.ts'

/** Where a history entry lies in the log; its value is read when it is asked for. */
export type PlacedEntry = {
  readonly seq: number
  readonly kind: HistoryEntry['kind']
  readonly parts: number
  /** Of its value as it is written, all parts together. */
  readonly bytes: number
  readonly firstOffset: number
  readonly lastOffset: number
}

/** The newest value of a kind that has one: its parts, and what they say once somebody has asked. */
type Slot = { readonly streamId: string; readonly pieces: (Buffer | undefined)[]; parts: number }

/**
 * What the log says of one stream, up to {@link position}. It is a cache: whoever decides by it has read on to the high watermark, or writes in a
 * producer session that nobody has fenced since it did.
 */
export class StreamView implements LogListener {
  readonly stream: string
  /** The offset that the next read goes on from. */
  position = 0
  /** When the newest record of the partition was appended, by the broker's clock; undefined before the first. */
  newestMs: number | undefined
  readonly #filter: TransactionFilter
  #head: (HeadValue & { readonly renewedAtMs: number }) | undefined
  #offsets: Slot | undefined
  #pending: Slot | undefined
  #entries = new Map<number, PlacedEntry>()
  #entriesOf: string | undefined
  #positions: ReadonlyMap<string, PartitionOffset> | undefined
  #batch: Batch | undefined

  constructor(stream: string) {
    const prefix = keyPrefix(stream)
    this.stream = stream
    this.#filter = new TransactionFilter(key => key.subarray(0, prefix.length).equals(prefix))
  }

  /** What somebody has written to the stream and not ended, or has and its marker is still on the way. */
  get openWrites(): readonly OpenWrite[] {
    return this.#filter.open
  }

  /** Of the write that the newest head came with. */
  get newestWrite(): string | undefined {
    return this.#head?.write
  }

  /** What the rules decide by; undefined where there is no such stream. */
  get head(): StreamHead | undefined {
    if (this.#head === undefined || this.#head.isRemoved) return undefined
    const { streamId, epoch, lease, lastBatchId, lastCommittedId, lastSeq, retired, renewedAtMs } = this.#head
    return {
      streamId,
      epoch,
      lease: lease === null ? undefined : { owner: lease.owner, ttlMs: lease.ttlMs, renewedAtMs },
      lastBatchId,
      lastCommittedId,
      lastSeq,
      retired: retired ?? undefined,
    }
  }

  /** Committed positions by partition. */
  get positions(): ReadonlyMap<string, PartitionOffset> {
    this.#positions ??= new Map(this.#unpack().map(position => [partitionKey(position), position]))
    return this.#positions
  }

  get hasPending(): boolean {
    return this.head !== undefined && this.#head?.hasPending === true
  }

  /** The batch that was begun and not committed. */
  get pending(): Batch | undefined {
    if (!this.hasPending) return undefined
    this.#batch ??= decodeValue<Batch>(this.#pending?.pieces.slice(0, this.#pending.parts) ?? [], `The begun batch of ${this.stream}`)
    return this.#batch
  }

  /** Where the history is, by `seq`. */
  get entries(): ReadonlyMap<number, PlacedEntry> {
    return this.head === undefined ? new Map() : this.#entries
  }

  /** How many parts the values have that are there. */
  get parts(): { readonly offsets: number; readonly pending: number } {
    return { offsets: this.#offsets?.pieces.length ?? 0, pending: this.#pending?.pieces.length ?? 0 }
  }

  onBatch(batch: LogBatch): void {
    if (batch.marker === undefined) this.newestMs = batch.appendedAtMs
    for (const record of this.#filter.take(batch)) this.#apply(record)
  }

  onRestart(): void {
    this.position = 0
    this.#filter.clear()
    this.#head = undefined
    this.#forgetLife()
  }

  /**
   * Takes what a session of this client has committed. Nobody else can have written to the stream since the session began, so the next read goes on
   * behind it.
   */
  onWritten(records: readonly LogRecord[], positions: ReadonlyMap<string, PartitionOffset> | undefined): void {
    for (const record of records) this.#apply(record)
    const newest = records.at(-1)
    if (newest === undefined) return
    this.position = newest.offset + 1
    this.newestMs = newest.appendedAtMs
    this.#filter.clear()
    if (positions !== undefined) this.#positions = positions
  }

  #apply({ key, value, offset, appendedAtMs, parts }: LogRecord): void {
    const decoded = decodeKey(key)
    switch (decoded[1]) {
      case 'head':
        if (value !== null) this.#applyHead(decodeHead(value), appendedAtMs)
        return
      case 'offsets':
        this.#offsets = filled(this.#offsets, decoded[2], decoded[3], value, parts)
        this.#positions = undefined
        return
      case 'pending':
        this.#pending = filled(this.#pending, decoded[2], decoded[3], value, parts)
        this.#batch = undefined
        return
      case 'entry':
        if (value === null) this.#entries.delete(decoded[3])
        else this.#applyEntry(decoded, offset, value.length)
        return
      default:
        decoded satisfies never
    }
  }

  #applyHead(head: HeadValue, appendedAtMs: number): void {
    if (head.isRemoved) this.#forgetLife()
    this.#head = { ...head, renewedAtMs: head.lease?.renewedAtMs ?? appendedAtMs }
  }

  #applyEntry([, , streamId, seq, kind, part]: EntryKey, offset: number, length: number): void {
    if (this.#entriesOf !== streamId) this.#entries = new Map()
    this.#entriesOf = streamId
    const before = part === 0 ? undefined : this.#entries.get(seq)
    const bytes = (before?.bytes ?? 0) + length
    this.#entries.set(seq, { seq, kind, parts: part + 1, bytes, firstOffset: before?.firstOffset ?? offset, lastOffset: offset })
  }

  #forgetLife(): void {
    this.#offsets = undefined
    this.#pending = undefined
    this.#positions = undefined
    this.#batch = undefined
    this.#entries = new Map()
  }

  #unpack(): PartitionOffset[] {
    if (this.head === undefined || this.#offsets === undefined) return []
    return unpackOffsets(decodeValue(this.#offsets.pieces.slice(0, this.#offsets.parts), `The positions of ${this.stream}`))
  }
}

/** The slot with a part put in; those of an earlier life of the stream are dropped. */
function filled(slot: Slot | undefined, streamId: string, part: number, value: Buffer | null, parts: number): Slot | undefined {
  const kept = slot?.streamId === streamId ? slot : { streamId, pieces: [], parts }
  // Copied, or a small value would keep the whole answer alive that it came in.
  kept.pieces[part] = value === null ? undefined : Buffer.from(value)
  if (value !== null) kept.parts = parts
  return kept
}
