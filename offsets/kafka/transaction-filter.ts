import type { LogBatch, LogRecord } from './record-batch.ts'

/** A write whose transaction has no marker so far: its first record. */
export type OpenWrite = Pick<LogRecord, 'offset' | 'key'>

/**
 * Lets records through when they count: at once where they are of no transaction, at its marker where it is committed, never where it is aborted.
 *
 * This is read_committed without the last stable offset. With it, the oldest open transaction of a partition would hide all that others commit
 * behind it: stream A's driver stops inside a write, and nobody sees what stream B commits until A's transaction times out, a minute and more later.
 * Here each producer waits for its own markers and for nobody else's. Compaction keeps a marker as long as a record of its transaction is there.
 */
export class TransactionFilter {
  readonly #wants: (key: Buffer) => boolean
  readonly #open = new Map<bigint, { readonly epoch: number; readonly records: LogRecord[] }>()

  /** Only records whose key is wanted are kept, so an open transaction of others costs nothing. */
  constructor(wants: (key: Buffer) => boolean) {
    this.#wants = wants
  }

  /** Of each transaction with wanted records that has no marker yet, the first of them. */
  get open(): readonly OpenWrite[] {
    return [...this.#open.values()].flatMap(({ records }) => records.slice(0, 1))
  }

  /** The records that count from this batch on, in the order in which their transactions ended. */
  take(batch: LogBatch): readonly LogRecord[] {
    const { producerId, producerEpoch: epoch, marker } = batch
    const open = this.#open.get(producerId)
    if (marker !== undefined) {
      this.#open.delete(producerId)
      return marker === 'commit' ? (open?.records ?? []) : []
    }
    const wanted = batch.records.filter(({ key }) => this.#wants(key))
    if (wanted.length === 0 || !batch.isTransactional) return wanted
    // A reader that slept until compaction had taken an abort's marker sees the next session first. Its commit must not let the aborted records in.
    if (open?.epoch === epoch) open.records.push(...wanted)
    else this.#open.set(producerId, { epoch, records: wanted })
    return []
  }

  /** Forgets what is open: whoever has just initialised the only producer there may be knows that nothing is. */
  clear(): void {
    this.#open.clear()
  }
}
