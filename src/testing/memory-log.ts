/** A record as `memorySource` holds it; it has the shape of a record of Kafka. */
export type MemoryRecord = {
  readonly topic: string
  readonly partition: number
  readonly offset: number
  readonly timestamp: number
  readonly key: Buffer | null
  readonly value: Buffer | null
  readonly headers: readonly (readonly [string, Buffer | null])[]
}

/**
 * One partition's log with what can happen to it: growth, gaps, retention and truncation. Offsets are positions, not indexes, so compacted and
 * aborted records leave holes.
 */
export class MemoryLog {
  #records: MemoryRecord[] = []
  #startOffset: number
  #endOffset: number
  #epochs: { readonly epoch: number; readonly startOffset: number }[]

  constructor(startOffset = 0) {
    this.#startOffset = startOffset
    this.#endOffset = startOffset
    this.#epochs = [{ epoch: 0, startOffset }]
  }

  get startOffset(): number {
    return this.#startOffset
  }

  get endOffset(): number {
    return this.#endOffset
  }

  get leaderEpoch(): number {
    return this.#epochs.at(-1)?.epoch ?? 0
  }

  append(record: Omit<MemoryRecord, 'offset'>): number {
    this.#records.push({ ...record, offset: this.#endOffset })
    return this.#endOffset++
  }

  /** Offsets that no reader gets, as compaction, markers and aborted transactions leave them. */
  skip(count: number): void {
    this.#endOffset += count
  }

  /** Retention: records before `offset` are gone. */
  deleteBefore(offset: number): void {
    this.#startOffset = Math.max(this.#startOffset, Math.min(offset, this.#endOffset))
    this.#records = this.#records.slice(this.#indexOf(this.#startOffset))
  }

  /** An unclean election: records at and after `offset` are gone, and other ones will get their offsets under the next leader epoch. */
  truncate(offset: number): void {
    this.#records.length = this.#indexOf(offset)
    this.#epochs = [...this.#epochs.filter(({ startOffset }) => startOffset < offset), { epoch: this.leaderEpoch + 1, startOffset: offset }]
    this.#endOffset = offset
  }

  /** A clean election: the same log under the next leader epoch. */
  electLeader(): void {
    this.truncate(this.#endOffset)
  }

  /** Where the log of `epoch` ends, as OffsetForLeaderEpoch answers. */
  endOffsetOf(epoch: number): number {
    return this.#epochs.find(other => other.epoch > epoch)?.startOffset ?? this.#endOffset
  }

  /** The first offset whose record's timestamp is at or after `timestamp`. */
  offsetFor(timestamp: number): number {
    return this.#records.find(record => record.timestamp >= timestamp)?.offset ?? this.#endOffset
  }

  slice(fromOffset: number, untilOffset: number, maxRecords: number): MemoryRecord[] {
    const first = this.#indexOf(fromOffset)
    return this.#records.slice(first, Math.min(first + maxRecords, this.#indexOf(untilOffset)))
  }

  #indexOf(offset: number): number {
    let low = 0
    let high = this.#records.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((this.#records[middle]?.offset ?? offset) < offset) low = middle + 1
      else high = middle
    }
    return low
  }
}
