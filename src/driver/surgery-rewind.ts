import { ConfigError } from '../core/errors.ts'
import type { HistoryEntry } from '../core/offset-store.ts'
import { comparePartitions, type OffsetRange, type PartitionOffset, partitionKey } from '../core/values.ts'

/** Where a stream stood before its newest batches. */
export type Rewind = {
  /** The ids of the batches that are taken back, newest first. */
  readonly batchIds: readonly number[]
  /** Of the partitions that they moved. */
  readonly positions: readonly PartitionOffset[]
}

/**
 * Finds where the stream stood before its newest `count` committed batches, from where it stands and from its history, newest entry first.
 *
 * A batch counts where the stream stands behind some of what it read. Otherwise: batches 3 and 4 read [60, 100), a first rewind by 2 puts the stream back
 * to 60, a second one by 1 would find batch 4 to be the newest and put the stream forward to 90, and 30 records would be read by nobody. So batches that a
 * reset has taken back already are passed over, and a rewind never puts a partition forward. What an earlier log of a topic held counts for nothing.
 *
 * Throws `ConfigError` where the history does not reach that far.
 */
export async function findRewind(
  history: AsyncIterable<HistoryEntry>,
  committed: readonly PartitionOffset[],
  count: number,
): Promise<Rewind> {
  const stands = new Map(committed.map(at => [partitionKey(at), at]))
  const positions = new Map<string, PartitionOffset>()
  const batchIds: number[] = []
  for await (const entry of history) {
    if (entry.kind !== 'batch') continue
    // Of several ranges of a partition the first is where it stood, and it comes last here.
    const behind = entry.batch.ranges.toReversed().filter(range => isBehind(range, stands))
    if (behind.length === 0) continue
    for (const { fromOffset: offset, untilOffset: _, ...at } of behind) {
      stands.set(partitionKey(at), { ...at, offset })
      positions.set(partitionKey(at), { ...at, offset })
    }
    batchIds.push(entry.batch.id)
    if (batchIds.length === count) return { batchIds, positions: [...positions.values()].sort(comparePartitions) }
  }
  const has = batchIds.length === 0 ? 'no batch' : batchIds.length === 1 ? 'only 1 batch' : `only ${batchIds.length} batches`
  throw new ConfigError(
    `The stream cannot be rewound by ${count}: its history has ${has} to take back. To put it where you want it, use \`offsets reset --to\`.`,
  )
}

function isBehind(range: OffsetRange, stands: ReadonlyMap<string, PartitionOffset>): boolean {
  const position = stands.get(partitionKey(range))
  if (position === undefined || range.fromOffset >= position.offset) return false
  return range.topicId === undefined || position.topicId === undefined || range.topicId === position.topicId
}
