import { TimeoutError } from '../../../src/core/errors.ts'
import { checkFence, fenceRowOf } from '../../../src/core/fence-rules.ts'
import type { FenceMark } from '../../../src/core/sink.ts'
import { Slots } from '../../../src/util/slots.ts'
import type { LedgerRecord } from './ledger/ledger-records.ts'
import { idTakenOver, type Output } from './output.ts'
import { isTakenOver } from './producer/producer-errors.ts'
import type { TransactionalProducer } from './producer/transactional-producer.ts'

/** How many ids are initialised at a time. */
const BARRIER_CONCURRENCY = 16
/** How long a marker may take from the coordinator to the ledger's log, ms. */
const VISIBLE_WITHIN_MS = 60_000

/**
 * The driver's side of an output: writes the fence, under a transactional id of its own. Kafka has no compare-and-set; whoever initialises the id last
 * is the only one whose fence can still be committed, and it has read what all before it committed. So the row is never lowered: a driver that is paused
 * between reading and writing finds its id in other hands.
 */
export class Fence {
  readonly #output: Output
  #producer: TransactionalProducer | undefined
  /** The lease whose barrier is through. */
  #raisedFor = ''

  constructor(output: Output) {
    this.#output = output
  }

  /**
   * Raises the fence and resolves when no attempt of an older epoch or of a complete batch can still commit.
   *
   * At a new lease that takes a barrier, for an attempt may be past its look at the fence: every id that was in use is initialised, which aborts what it
   * has open. Within a lease none is needed. A batch is complete when each of its tasks was committed by the last holder of its id, so an attempt that is
   * left over has lost its id, or finds the task in the ledger.
   */
  async raise(mark: FenceMark, signal: AbortSignal): Promise<void> {
    const lease = JSON.stringify([mark.streamId, mark.epoch, mark.owner])
    const kept = this.#raisedFor === lease && mark.adopt !== true ? this.#producer : undefined
    this.#producer = undefined
    if (kept !== undefined) {
      try {
        // Not asked for the last batch: the ledger was not read since, and tasks may have been written by other processes.
        const { lastWritten: _, ...unread } = mark
        return await this.#raiseWith(kept, unread, { isNewLease: false, lease }, signal)
      } catch (error) {
        if (!isTakenOver(error)) throw error
      }
    }
    // Before the id is touched: a driver that may not write must not fence the one that does.
    await this.#output.ledger.refresh(signal)
    await this.#check(mark, signal)
    const producer = await this.#output.init('fence', signal)
    try {
      await this.#output.ledger.refresh(signal)
      await this.#raiseWith(producer, mark, { isNewLease: true, lease }, signal)
    } catch (error) {
      throw isTakenOver(error) ? idTakenOver(this.#output.transactionalId('fence'), error) : error
    }
  }

  async #raiseWith(
    producer: TransactionalProducer,
    mark: FenceMark,
    { isNewLease, lease }: { readonly isNewLease: boolean; readonly lease: string },
    signal: AbortSignal,
  ): Promise<void> {
    try {
      await this.#check(mark, signal)
      await this.#write(producer, [{ kind: 'fence', row: fenceRowOf(mark) }, ...this.#outdated(mark)], signal)
      if (isNewLease) await this.#barrier(producer, signal)
    } catch (error) {
      await producer.abandon(this.#output.cluster.session.closing, error)
      throw error
    }
    this.#output.ledger.hasSeen({ epoch: mark.epoch, batchId: mark.lastBegun })
    this.#raisedFor = lease
    if (producer.isReusable) this.#producer = producer
  }

  /**
   * The tasks of a batch are counted when nothing of it is open: a driver commits a batch and goes, and its successor asks before the markers of the last
   * tasks are in the log. It would take the destination for one that was rolled back.
   */
  async #check(mark: FenceMark, signal: AbortSignal): Promise<void> {
    const { ledger, options } = this.#output
    const count = async (batchId: number) => {
      await ledger.awaitMarker(view => view.isUnderWay({ batchId }), VISIBLE_WITHIN_MS, signal)
      return ledger.view.count(batchId)
    }
    await checkFence(options.destination, ledger.view.fence, mark, count)
  }

  /**
   * Ledger rows that nobody asks for any more: those of complete batches, and after a look by a person those of batches that the store has forgotten. A
   * row that another process wrote since the last fence goes with the next.
   */
  #outdated({ lastBegun, lastComplete, adopt }: FenceMark): LedgerRecord[] {
    const outdated = this.#output.ledger.view.tasks(batchId => batchId <= lastComplete || (adopt === true && batchId > lastBegun))
    return outdated.map(task => ({ kind: 'task', ...task, range: undefined }))
  }

  /** Ids announced later find the new fence themselves. Those that were initialised are in nobody's hands, so they are taken off the list. */
  async #barrier(producer: TransactionalProducer, signal: AbortSignal): Promise<void> {
    const ids = this.#output.ledger.view.idsInUse()
    const slots = new Slots(BARRIER_CONCURRENCY)
    await Promise.all(ids.map(index => slots.use(() => this.#output.init(index, signal))))
    const gone = ids.map((index): LedgerRecord => ({ kind: 'id', index, isUsed: false }))
    if (gone.length > 0) await this.#write(producer, gone, signal)
  }

  /**
   * Commits records and waits until their marker is in the log. A commit is answered before its markers are written: a task that begins right after
   * would read the old fence and be refused, and an attempt of an older epoch would read it and go on.
   */
  async #write(producer: TransactionalProducer, records: readonly LedgerRecord[], signal: AbortSignal): Promise<void> {
    const { ledger } = this.#output
    for (const batch of this.#output.batchesOf(records)) await producer.send([batch], signal)
    await producer.commit(signal)
    await ledger.refresh(signal)
    if (await ledger.awaitMarker(view => view.isOpen(producer.producerId), VISIBLE_WITHIN_MS, signal)) return
    throw new TimeoutError(`The fence of ${this.#output.owner.output} did not show within ${VISIBLE_WITHIN_MS} ms.`)
  }
}
