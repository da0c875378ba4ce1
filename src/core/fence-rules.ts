import { ConflictError, FencedError, LedgerConflictError } from './errors.ts'
import type { FenceMark } from './sink.ts'
import { type OffsetRange, sameRange, showRange, type Task } from './values.ts'

/**
 * The rules of a destination's fence and ledger as pure functions, so that every exactly-once output decides by the same code. A sink loads its fence
 * row inside its own transaction, asks here, and writes what it was told.
 */

/** What a destination keeps of a stream's output. */
export type FenceRow = {
  readonly streamId: string
  readonly epoch: number
  readonly owner: string
  readonly lastBegun: number
  readonly lastComplete: number
}

/** What the ledger of a destination answers for one batch. */
export type LedgerCount = (batchId: number) => number | Promise<number>

/**
 * Decides whether a fence may be raised to `mark`; the row is then {@link fenceRowOf}. `destination` names the output's place (`table orders of Postgres`),
 * `countLedger` says how many tasks of a batch the ledger holds, and is asked at most once.
 *
 * The destination is a witness against the store, and the store against the destination. Each refusal is a sequence that somebody met:
 * - a lower epoch: a driver was paused, another took over, the first wakes up and begins a batch: its tasks would write under the other's fence;
 * - the same epoch in other hands: a failover of the store lost the grant, and granted the epoch a second time;
 * - another stream id: the store was replaced by an empty one, whose batch 1 has other ranges than the batch 1 whose ledger row is here;
 * - a batch that the store does not know: the store was rolled back, and would use the batch's id, and its offsets, a second time;
 * - a complete batch that the destination does not know: the destination was rolled back, and its rows are nowhere.
 *
 * Throws `FencedError` for the first, `ConflictError` for the others, each with the way out.
 */
export async function checkFence(destination: string, row: FenceRow | undefined, mark: FenceMark, countLedger: LedgerCount): Promise<void> {
  if (mark.adopt === true) return
  if (row !== undefined) checkStore(destination, row, mark)
  const { lastWritten } = mark
  if (lastWritten === undefined || (row !== undefined && row.lastComplete >= lastWritten.batchId)) return
  // Of what was begun here only the newest batch can lack tasks: each fence says that those before are complete.
  const newest = row === undefined ? 0 : Math.min(row.lastBegun, lastWritten.batchId)
  const held = row === undefined || newest <= row.lastComplete ? 0 : await countLedger(newest)
  if (row !== undefined && newest === lastWritten.batchId && held >= (lastWritten.tasks ?? 0)) return
  throw destinationRolledBack(destination, row, mark, lastWritten, { batchId: newest, tasks: held })
}

/**
 * Names the batches to replay. Not one that is in whole and that no fence has called complete yet: an output that appends would have its rows twice. Nobody
 * here knows how many tasks that one had, so what there is of it is said.
 */
function destinationRolledBack(
  destination: string,
  row: FenceRow | undefined,
  mark: FenceMark,
  { batchId, tasks }: NonNullable<FenceMark['lastWritten']>,
  held: { readonly batchId: number; readonly tasks: number },
): ConflictError {
  const { output, stream } = mark
  const from = row === undefined ? undefined : held.tasks > 0 && held.batchId < batchId ? held.batchId + 1 : row.lastComplete + 1
  const batches = from === undefined ? `batches up to ${batchId}` : from === batchId ? `batch ${batchId}` : `batches ${from} to ${batchId}`
  const part =
    held.tasks === 0
      ? ''
      : held.batchId === batchId
        ? ` Of batch ${batchId} it has ${held.tasks} of ${tasks} tasks, and an output that appends holds their rows twice after a replay: delete them before.`
        : ` Of batch ${held.batchId} it has ${held.tasks === 1 ? '1 task' : `${held.tasks} tasks`}: if tidemark offsets history shows more, delete the ` +
          'rows of these and replay it too.'
  return new ConflictError(
    `${destination} does not have ${batches} of stream ${stream}, which the offset store says ${from === batchId ? 'is' : 'are'} complete for ` +
      `output ${output}: the destination was rolled back, or its rows were deleted. Restore it, or replay what is missing into it (tidemark replay) and ` +
      `then run with --adopt ${output}.${part}`,
    { details: { destination, stream, output, row, mark, missing: { from: from ?? null, to: batchId }, held } },
  )
}

function checkStore(destination: string, row: FenceRow, mark: FenceMark): void {
  const { stream, output } = mark
  const details = { destination, stream, output, row, mark }
  const afterLook = `after having looked, run with --adopt ${output}`
  const andMoved = `${afterLook} (it goes on from where the store stands: put that right before, with tidemark offsets reset)`
  if (row.streamId !== mark.streamId) {
    throw new ConflictError(
      `${destination} has the rows of stream ${stream} with id ${row.streamId}; the offset store says its id is ${mark.streamId}. Either the store ` +
        `was replaced or its stream removed, or two streams share this name. Restore the store, give one of them another name, or, ${andMoved}.`,
      { details },
    )
  }
  if (row.epoch > mark.epoch) {
    throw new FencedError(
      `${destination} was written to by epoch ${row.epoch} of stream ${stream} (${row.owner}); this driver has epoch ${mark.epoch}. Another driver ` +
        `took over, and this one stops. If there is none, the offset store was rolled back: restore it, or, ${afterLook}.`,
      { details },
    )
  }
  if (row.epoch === mark.epoch && row.owner !== mark.owner) {
    throw new ConflictError(
      `Epoch ${mark.epoch} of stream ${stream} was granted twice: to ${row.owner}, which wrote to ${destination}, and to ${mark.owner}. The offset ` +
        `store lost a write. Stop both and restore the store, or, ${andMoved}.`,
      { details },
    )
  }
  if (row.lastBegun > mark.lastBegun || row.lastComplete > mark.lastComplete) {
    const [what, here, there] =
      row.lastBegun > mark.lastBegun
        ? (['has begun', row.lastBegun, mark.lastBegun] as const)
        : (['has completed', row.lastComplete, mark.lastComplete] as const)
    throw new ConflictError(
      `${destination} ${what} batch ${here} of stream ${stream}, and the offset store knows batches up to ${there}: the store was rolled back. ` +
        `Running on would write those records a second time. Restore the store, or, ${andMoved}.`,
      { details },
    )
  }
}

/** The row to keep once {@link checkFence} has agreed: it only rises, unless a person has adopted the store's values. */
export function fenceRowOf({ streamId, epoch, owner, lastBegun, lastComplete }: FenceMark): FenceRow {
  return { streamId, epoch, owner, lastBegun, lastComplete }
}

/**
 * Decides about a task under the lock that the barrier waits for: `write` its rows with its ledger row, or `applied`, done already. `ledger` is the range
 * that the ledger has for the task. A refused task never resolves, or its driver would commit a batch whose rows are nowhere.
 *
 * Throws `LedgerConflictError` where the ledger has another range (a skip would lose rows: apache/druid#5161), and `FencedError` for an attempt of an
 * older epoch or of a batch that is complete.
 */
export function checkTask(
  destination: string,
  row: FenceRow | undefined,
  ledger: OffsetRange | undefined,
  task: Task,
): 'write' | 'applied' {
  if (ledger !== undefined) return checkApplied(destination, ledger, task)
  if (row !== undefined && row.epoch === task.epoch && task.batchId > row.lastComplete && task.batchId <= row.lastBegun) return 'write'
  throw taskFenced(destination, row, task)
}

/** A ledger row that is there: `applied` where it is of the same range. Throws `LedgerConflictError` otherwise. */
export function checkApplied(destination: string, ledger: OffsetRange, task: Task): 'applied' {
  if (sameRange(ledger, task.range)) return 'applied'
  throw new LedgerConflictError(
    `${destination} holds task ${task.index} of batch ${task.batchId} of stream ${task.stream} (output ${task.output}) as ${showRange(ledger)}; it came ` +
      `again as ${showRange(task.range)}. A batch id names one piece of work for ever: the offset store was replaced or changed by hand. Look at both.`,
    { details: { destination, task, applied: ledger } },
  )
}

/** What an attempt ends with that may no longer write. */
export function taskFenced(destination: string, row: FenceRow | undefined, task: Task): FencedError {
  const stands =
    row === undefined
      ? 'has no fence for it'
      : row.epoch !== task.epoch
        ? `is at epoch ${row.epoch} (${row.owner})`
        : row.lastComplete >= task.batchId
          ? `has batches up to ${row.lastComplete} complete`
          : `has begun batches up to ${row.lastBegun}`
  return new FencedError(
    `Task ${task.index} of batch ${task.batchId} of stream ${task.stream} carries epoch ${task.epoch}; ${destination} ${stands}. Another driver or ` +
      'another attempt has its work; this one wrote nothing.',
    { details: { destination, task, fence: row } },
  )
}
