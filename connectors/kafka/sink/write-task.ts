import { checkApplied, checkTask } from '../../../src/core/fence-rules.ts'
import type { Task } from '../../../src/core/values.ts'
import { appliedRecord } from './ledger/ledger-records.ts'
import { idTakenOver, type Output } from './output.ts'
import { isTakenOver } from './producer/producer-errors.ts'
import type { TransactionalProducer } from './producer/transactional-producer.ts'

/** How long to look for the marker of another's commit, which is written behind its answer, ms. An attempt that died just before it commits has none. */
const MARKER_WITHIN_MS = 2_000

/** Draws the task's rows and sends them; they are in when the transaction is committed. */
export type SendRows = (producer: TransactionalProducer) => Promise<void>

/**
 * One attempt of a task: rows and ledger record in one transaction of the task's own transactional id. Resolves only when they are in, by this attempt
 * or another of the same range.
 *
 * The order is init, *then* read, then decide. The other way round: this attempt reads that the task is not in; the attempt before it commits; this one
 * initialises the id, too late to abort anything, and writes the rows a second time.
 *
 * An id says that it is in use before its attempt looks at the fence, and the fence is raised before its driver looks for ids in use. So one of them
 * sees the other: either the attempt finds the new fence and goes, or the barrier finds the id and initialises it, and the attempt can commit no more.
 */
export async function writeTask(output: Output, task: Task, sendRows: SendRows, signal: AbortSignal): Promise<void> {
  const { ledger } = output
  await ledger.see(task, signal)
  // Before the id is touched: an attempt that may not write must not fence the one that does.
  if (decide(output, task) === 'applied') return

  let producer = output.takeIdle(task.index)
  if (producer !== undefined && !(await isStillOurs(output, task, producer, signal))) producer = undefined
  const isFresh = producer === undefined
  producer ??= await output.init(task.index, signal)
  try {
    const announcement = ledger.view.isAnnounced(task.index) ? [] : [{ kind: 'id', index: task.index, isUsed: true } as const]
    if (announcement.length > 0) {
      await producer.send(output.batchesOf(announcement), signal)
      await producer.flush()
    }
    if (isFresh || announcement.length > 0) {
      await ledger.refresh(signal)
      if (decide(output, task) === 'applied') {
        await producer.abandon(ledgerSignal(output))
        return
      }
    }
    await sendRows(producer)
    signal.throwIfAborted()
    const row = appliedRecord(task)
    await producer.send(output.batchesOf([row]), signal)
    await producer.commit(signal)
    // Not the announcement: a barrier may have taken the id off the list since, and then it must be announced again. The log says which came last.
    ledger.view.apply(row)
    if (producer.isReusable) output.keep(task.index, producer)
  } catch (error) {
    await producer.abandon(ledgerSignal(output), error)
    if (!isTakenOver(error) || signal.aborted) throw error
    await settle(output, task, error, signal)
  }
}

/**
 * Whether the task is in already, as far as this process knows; one that it says is in is in. An attempt that is about to commit, or has just done so, is
 * waited for a while: a range would be fetched for nothing, and one that comes again with other bounds would be told later.
 */
export async function isApplied(output: Output, task: Task, signal: AbortSignal): Promise<boolean> {
  await output.ledger.see(task, signal)
  await output.ledger.awaitMarker(view => view.applied(task) === undefined && view.isUnderWay(task), MARKER_WITHIN_MS, signal)
  const range = output.ledger.view.applied(task)
  return range !== undefined && checkApplied(output.options.destination, range, task) === 'applied'
}

function decide(output: Output, task: Task): 'write' | 'applied' {
  return checkTask(output.options.destination, output.fenceFor(task), output.ledger.view.applied(task), task)
}

/** Begins the transaction of an id that was kept. Where another has it by now nothing is lost: no row was drawn yet. */
async function isStillOurs(output: Output, task: Task, producer: TransactionalProducer, signal: AbortSignal): Promise<boolean> {
  try {
    await producer.add([output.ledgerAt], signal)
    return true
  } catch (error) {
    await producer.abandon(ledgerSignal(output), error)
    if (!isTakenOver(error)) throw error
  }
  // The other may be of a newer epoch, or have completed the batch: then this attempt must not take the id back.
  await output.ledger.refresh(signal)
  decide(output, task)
  return false
}

/**
 * The id was taken over while the transaction was under way. By another attempt that has its rows in: then so is the task. By a newer driver's barrier:
 * `FencedError`. By an older attempt of this driver, late, or by the broker's timeout: nothing is in, and the task is to be run again.
 */
async function settle(output: Output, task: Task, cause: unknown, signal: AbortSignal): Promise<void> {
  await output.ledger.refresh(signal)
  await output.ledger.awaitMarker(view => view.isUnderWay(task), MARKER_WITHIN_MS, signal)
  if (decide(output, task) === 'applied') return
  throw idTakenOver(output.transactionalId(task.index), cause)
}

/** Ends only with the sink: an attempt that is told to stop still ends its transaction. */
function ledgerSignal(output: Output): AbortSignal {
  return output.cluster.session.closing
}
