import type { Batch } from '../../../src/core/values.ts'

export const PARTITIONS = 40
const RECORDS = 10

/** The batch of this id, the same in every process: every partition moves on by as much, so one glance tells whether a batch was torn. */
export function plannedBatch(id: number): Batch {
  const ranges = Array.from({ length: PARTITIONS }, (_, partition) => ({
    topic: 'orders',
    partition,
    fromOffset: (id - 1) * RECORDS,
    untilOffset: id * RECORDS,
  }))
  return { id, batchTime: id, epoch: 1, ranges, facts: { planned: id } }
}

/** Where every partition stands after the batch of this id. */
export function offsetAfter(id: number): number {
  return id * RECORDS
}
