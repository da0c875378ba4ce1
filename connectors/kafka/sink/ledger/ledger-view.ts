import type { FenceRow } from '../../../../src/core/fence-rules.ts'
import type { OffsetRange } from '../../../../src/core/values.ts'
import { type LedgerOwner, type LedgerRecord, LedgerRecordReader } from './ledger-records.ts'
import type { LedgerBatch } from './read-ledger-batches.ts'

/** A task of the ledger. */
export type AppliedTask = { readonly batchId: number; readonly index: number }

/** What an output's ledger says, as far as its log has been read: fence, applied tasks, ids in use. Pure: it is fed batches in the log's order. */
export class LedgerView {
  readonly #reader: LedgerRecordReader
  readonly #tasks = new Map<number, Map<number, OffsetRange>>()
  readonly #ids = new Set<number>()
  /** Records of transactions that have not ended, by producer: it has one transaction at a time. */
  readonly #open = new Map<number | bigint, LedgerRecord[]>()
  #fence: FenceRow | undefined

  constructor(owner: LedgerOwner) {
    this.#reader = new LedgerRecordReader(owner)
  }

  get fence(): FenceRow | undefined {
    return this.#fence
  }

  /** The range that is in for a task. */
  applied({ batchId, index }: AppliedTask): OffsetRange | undefined {
    return this.#tasks.get(batchId)?.get(index)
  }

  /**
   * Whether a transaction that has not ended has the row of a task, or of any task of a batch: it may be committed already, and its marker on the way.
   */
  isUnderWay({ batchId, index }: Pick<AppliedTask, 'batchId'> & Partial<AppliedTask>): boolean {
    for (const records of this.#open.values()) {
      for (const record of records) {
        if (record.kind !== 'task' || record.range === undefined) continue
        if (record.batchId === batchId && (index === undefined || record.index === index)) return true
      }
    }
    return false
  }

  count(batchId: number): number {
    return this.#tasks.get(batchId)?.size ?? 0
  }

  /** Applied tasks of the batches for which `wanted` holds. */
  tasks(wanted: (batchId: number) => boolean): AppliedTask[] {
    return Array.from(this.#tasks).flatMap(([batchId, own]) =>
      wanted(batchId) ? Array.from(own.keys(), index => ({ batchId, index })) : [],
    )
  }

  /** Whether an id is known to be in use by a transaction that committed: it needs no announcement. */
  isAnnounced(index: number): boolean {
    return this.#ids.has(index)
  }

  /** Every id that may be in somebody's hands, those announced by transactions that are open included. */
  idsInUse(): number[] {
    const ids = new Set(this.#ids)
    for (const record of [...this.#open.values()].flat()) if (record.kind === 'id' && record.isUsed) ids.add(record.index)
    return [...ids].sort((a, b) => a - b)
  }

  /** Whether a producer has written something here that is neither committed nor aborted yet. */
  isOpen(producerId: number): boolean {
    return this.#open.has(producerId)
  }

  feed(batch: LedgerBatch): void {
    const { producerId } = batch
    if (batch.kind !== 'records') {
      const records = this.#open.get(producerId) ?? []
      this.#open.delete(producerId)
      if (batch.kind === 'commit') for (const record of records) this.apply(record)
      return
    }
    for (const { key, value } of batch.records) {
      const record = this.#reader.read(key, value)
      if (record === undefined) continue
      if (!batch.isTransactional) this.apply(record)
      else if (this.#open.has(producerId)) this.#open.get(producerId)?.push(record)
      else this.#open.set(producerId, [record])
    }
  }

  /** Takes over what is committed: from the log, or by this process itself before the log has said so. */
  apply(record: LedgerRecord): void {
    switch (record.kind) {
      case 'fence':
        this.#fence = record.row
        return
      case 'task':
        this.#applyTask(record.batchId, record.index, record.range)
        return
      case 'id':
        if (record.isUsed) this.#ids.add(record.index)
        else this.#ids.delete(record.index)
        return
      default:
        record satisfies never
    }
  }

  #applyTask(batchId: number, index: number, range: OffsetRange | undefined): void {
    const own = this.#tasks.get(batchId)
    if (range === undefined) {
      own?.delete(index)
      if (own?.size === 0) this.#tasks.delete(batchId)
    } else if (own === undefined) this.#tasks.set(batchId, new Map([[index, range]]))
    else own.set(index, range)
  }
}
