import type { Sink } from '../../../src/core/sink.ts'
import type { OffsetRange } from '../../../src/core/values.ts'
import { completed, context, mark, rowsOf, running, task } from './files-task.ts'

/** A sink as a new driver has it: prepared, opened, and fenced at `epoch` behind batch `lastComplete`. */
export async function drive<Row>(
  make: () => Sink<Row>,
  epoch: number,
  lastComplete: number,
  parts: Parameters<typeof mark>[0] = {},
): Promise<Sink<Row>> {
  const sink = make()
  await sink.prepare?.({ ...context(), ...(parts.adopt === true && { adopt: true }) })
  await sink.open?.(context())
  await sink.fence?.(mark({ epoch, owner: `host:${epoch}`, lastBegun: lastComplete, lastComplete, ...parts }))
  return sink
}

/** When batch 0 would have been, and batches come one a second. */
const FIRST_BATCH_TIME = Date.parse('2026-11-20T10:00:00Z')

/** The batch of this id: a range a partition, and its time. */
export function batchOf(id: number, partitions: number): { readonly batchTime: number; readonly ranges: readonly OffsetRange[] } {
  const ranges = Array.from({ length: partitions }, (_, partition) => ({
    topic: 'orders',
    partition,
    fromOffset: (id - 1) * 100,
    untilOffset: id * 100,
  }))
  return { batchTime: FIRST_BATCH_TIME + id * 1_000, ranges }
}

/** Writes the tasks of a batch, one a list of rows; with `commit` the batch also counts. */
export async function runBatch<Row>(
  sink: Sink<Row>,
  id: number,
  rowsByTask: readonly (readonly Row[])[],
  { epoch = 1, commit = true }: { epoch?: number; commit?: boolean } = {},
): Promise<void> {
  const { batchTime, ranges } = batchOf(id, rowsByTask.length)
  for (const [index, range] of ranges.entries()) {
    const own = task({ batchId: id, epoch, index, range, batchTime, attempt: `${epoch}-${id}-${index}` })
    if (!(await sink.applied?.(own))) await sink.write(own, rowsOf(rowsByTask[index] ?? []), running)
  }
  if (commit) await sink.commitBatch?.(completed({ id, epoch, batchTime, ranges, facts: { v: 1, tasks: { files: ranges.length } } }))
}
