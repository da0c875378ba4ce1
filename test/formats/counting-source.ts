import { type OffsetRange, type PartitionOffset, partitionKey } from '../../src/core/values.ts'
import type { Source } from '../../src/index.ts'

/** A source whose records are their own offsets, so that any range of any log can be read: the logs that fixtures speak of are gone. */
export function countingSource(latest: readonly PartitionOffset[]): Source<number> & { readonly reads: OffsetRange[] } {
  const partitions = new Set(latest.map(partitionKey))
  const reads: OffsetRange[] = []
  return {
    name: 'counting',
    reads,
    partitions: async () => latest.map(({ topic, partition }) => ({ topic, partition })),
    earliestOffsets: async () => latest.map(at => ({ ...at, offset: 0 })),
    latestOffsets: async () => [...latest],
    offsetsForTimestamp: async () => [...latest],
    async *read(range) {
      if (!partitions.has(partitionKey(range))) throw new Error(`there is no ${partitionKey(range)}`)
      reads.push(range)
      yield Array.from({ length: range.untilOffset - range.fromOffset }, (_, at) => range.fromOffset + at)
    },
    close: async () => {},
  }
}
