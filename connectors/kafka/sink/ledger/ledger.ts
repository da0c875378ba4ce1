import { isDataLoss } from '../../../../src/core/errors.ts'
import type { Task } from '../../../../src/core/values.ts'
import { untilAborted } from '../../../../src/util/until-aborted.ts'
import { backOff } from '../../cluster/back-off.ts'
import { listOffsets } from '../../cluster/list-offsets.ts'
import { LIST_OFFSETS_AT } from '../../protocol/list-offsets.ts'
import { scanBatches } from '../../record-batch/scan-batches.ts'
import { PartitionFetcher } from '../../source/partition-fetcher.ts'
import type { Session } from '../../source/session.ts'
import type { LedgerOwner } from './ledger-records.ts'
import { LedgerView } from './ledger-view.ts'
import { readLedgerBatches } from './read-ledger-batches.ts'

/** Everything lies in one partition, so that it has one order; more partitions of the topic stay empty. */
export const LEDGER_PARTITION = 0

type TaskOfBatch = Pick<Task, 'epoch' | 'batchId'>

const FETCH_BYTES = 4 * 1_048_576
/** A marker is mostly there at the next look: so many looks come without a wait, and none is long. */
const LOOKS_AT_ONCE = 3
const MOST_TRIES = 3
/** How often a log that was cut or made anew while it was read is begun again. */
const MAX_RESTARTS = 3

/**
 * An output's ledger as this process knows it: read once from the log's start, then from where it stood.
 *
 * It is read *uncommitted*, up to the high watermark, and decided by the markers of each producer. Read committed it would end at the last stable
 * offset, which any open transaction of any other task holds back for as long as that task runs: the tasks of a batch would wait for each other, and
 * for a crashed one until its timeout. What a reader has to know of its own id is settled anyway: an id that is initialised has the markers of all its
 * older transactions in the log, below the high watermark asked for afterwards. What is open there is another task's, and none of its business.
 *
 * The end is asked by ListOffsets and not taken from a fetch: a leader just elected may not know yet how far the log is committed, and only ListOffsets
 * then says that it does not (KIP-207). A row missed so would be written a second time.
 */
export class Ledger {
  readonly #session: Session
  readonly #topic: string
  readonly #owner: LedgerOwner
  #view: LedgerView
  #topicId: string | undefined
  #position: number | undefined
  /** The leader epoch of the batch before the position: by it the broker finds that the log was cut. */
  #lastEpoch = -1
  #reading: Promise<void> = Promise.resolve()
  #next: Promise<void> | undefined
  #seenBatch: { readonly key: string; readonly done: Promise<void> } | undefined

  constructor(session: Session, topic: string, owner: LedgerOwner) {
    this.#session = session
    this.#topic = topic
    this.#owner = owner
    this.#view = new LedgerView(owner)
  }

  get view(): LedgerView {
    return this.#view
  }

  /** Reads to the high watermark of a moment after this call. Many who ask at once share a read; one that is under way is too old for them. */
  async refresh(signal: AbortSignal): Promise<void> {
    if (this.#next === undefined) {
      const next = this.#reading
        .catch(() => {})
        .then(() => {
          this.#next = undefined
          return this.#read()
        })
      // Nobody may be left who waits for it.
      next.catch(() => {})
      this.#next = next
      this.#reading = next
    }
    await untilAborted(this.#next, signal)
  }

  /** Reads at least once since this process first heard of the task's batch: its fence was visible by then. */
  async see(task: TaskOfBatch, signal: AbortSignal): Promise<void> {
    const key = batchKey(task)
    if (this.#seenBatch?.key !== key) {
      const done = this.refresh(this.#session.closing)
      this.#seenBatch = { key, done }
      done.catch(() => {
        if (this.#seenBatch?.done === done) this.#seenBatch = undefined
      })
    }
    await untilAborted(this.#seenBatch.done, signal)
  }

  /**
   * Reads on while `isAwaited` finds something in a transaction that has not ended, for `withinMs` at most; says whether it has ended. A commit is answered
   * before its markers are in the logs: who looks right behind it finds what is committed still open.
   */
  async awaitMarker(isAwaited: (view: LedgerView) => boolean, withinMs: number, signal: AbortSignal): Promise<boolean> {
    const giveUpAt = performance.now() + withinMs
    for (let looks = 0; isAwaited(this.#view); looks++) {
      if (performance.now() > giveUpAt) return false
      if (looks >= LOOKS_AT_ONCE) await backOff(Math.min(looks - LOOKS_AT_ONCE, MOST_TRIES), signal)
      await this.refresh(signal)
    }
    return true
  }

  /** Says that the batch's fence was read here: its driver is this process. */
  hasSeen(task: TaskOfBatch): void {
    this.#seenBatch = { key: batchKey(task), done: Promise.resolve() }
  }

  async #read(): Promise<void> {
    for (let restarts = 0; ; restarts++) {
      try {
        return await this.#readToEnd()
      } catch (error) {
        // Another log than the one that was read so far: what was read of that one says nothing any more.
        if (!isDataLoss(error) || restarts >= MAX_RESTARTS) throw error
        this.#position = undefined
      }
    }
  }

  async #readToEnd(): Promise<void> {
    const signal = this.#session.closing
    const at = { topic: this.#topic, partition: LEDGER_PARTITION }
    const offsetAt = async (timestamp: number) => {
      const [found] = await listOffsets(this.#session, [at], { timestamp, isolation: 'read_uncommitted', signal })
      return { offset: found?.offset ?? 0, topicId: found?.topicId }
    }
    const { offset: end, topicId } = await offsetAt(LIST_OFFSETS_AT.latest)
    if (this.#position === undefined || this.#position > end || this.#topicId !== topicId) {
      this.#view = new LedgerView(this.#owner)
      this.#position = (await offsetAt(LIST_OFFSETS_AT.earliest)).offset
      this.#lastEpoch = -1
      this.#topicId = topicId
    }
    if (this.#position >= end) return
    const range = { ...at, fromOffset: this.#position, untilOffset: end }
    const fetcher = new PartitionFetcher(this.#session, range, 'read_uncommitted', signal)
    try {
      while (this.#position < end) {
        const { records } = await fetcher.fetch({ offset: this.#position, lastEpoch: this.#lastEpoch, maxBytes: FETCH_BYTES })
        for (const batch of readLedgerBatches(records, at, this.#position)) this.#view.feed(batch)
        const { nextOffset, lastEpoch } = scanBatches(records)
        this.#position = Math.max(this.#position, nextOffset)
        this.#lastEpoch = lastEpoch
      }
    } finally {
      fetcher.close()
    }
  }
}

function batchKey({ epoch, batchId }: TaskOfBatch): string {
  return `${epoch}:${batchId}`
}
