import { comparePartitions, type PartitionOffset, partitionKey, type TopicPartition } from '../core/values.ts'

/** What becomes of one partition. */
export type Move = TopicPartition & {
  /** Undefined where the stream has no position in it. */
  readonly from: number | undefined
  readonly to: number
  /** Offsets that are read, and their rows written, a second time. */
  readonly readAgain: number
  /** Offsets that are never read. */
  readonly skipped: number
}

/** What new positions mean against the committed ones, sorted; partitions that stay where they are do not count. */
export function planMoves(
  committed: readonly PartitionOffset[],
  targets: readonly PartitionOffset[],
): { readonly moves: readonly Move[]; readonly offsets: readonly PartitionOffset[] } {
  const stands = new Map(committed.map(at => [partitionKey(at), at]))
  const changed = targets.filter(target => !isSame(stands.get(partitionKey(target)), target)).sort(comparePartitions)
  const moves = changed.map(({ topic, partition, offset: to, topicId }) => {
    const position = stands.get(partitionKey({ topic, partition }))
    const isSameLog = position !== undefined && (position.topicId ?? topicId) === (topicId ?? position.topicId)
    const from = position?.offset
    return {
      ...{ topic, partition, from, to },
      readAgain: isSameLog ? Math.max(0, position.offset - to) : 0,
      skipped: isSameLog ? Math.max(0, to - position.offset) : 0,
    }
  })
  return { moves, offsets: changed }
}

function isSame(position: PartitionOffset | undefined, target: PartitionOffset): boolean {
  if (position?.offset !== target.offset) return false
  return position.topicId === undefined || target.topicId === undefined || position.topicId === target.topicId
}
