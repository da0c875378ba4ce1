import { ConfigError } from '../core/errors.ts'
import { comparePartitions, type PartitionOffset, showPartition, type TopicPartition } from '../core/values.ts'

/** A partition that can be planned: read up to `from`, there up to `latest`, which is lower where the log was truncated. */
export type PartitionSpan = TopicPartition & {
  readonly from: number
  readonly latest: number
  readonly topicId: string | undefined
  readonly leaderEpoch: number | undefined
}

/**
 * The partitions of both lists, sorted by topic and partition. Throws `ConfigError` for a bad offset and for a partition listed twice.
 *
 * Both lists are sorted and merged, which builds no key a partition: that counts with 100,000 of them a tick.
 */
export function matchPartitions(from: readonly PartitionOffset[], latest: readonly PartitionOffset[]): PartitionSpan[] {
  const starts = checkAndSort(from, 'from')
  const ends = checkAndSort(latest, 'latest')
  const spans: PartitionSpan[] = []
  let next = 0
  for (const end of ends) {
    let start = starts[next]
    while (start !== undefined && comparePartitions(start, end) < 0) start = starts[++next]
    if (start === undefined) break
    if (comparePartitions(start, end) === 0) spans.push(toSpan(start, end))
  }
  return spans
}

function checkAndSort(offsets: readonly PartitionOffset[], side: 'from' | 'latest'): PartitionOffset[] {
  for (const at of offsets) {
    if (Number.isSafeInteger(at.offset) && at.offset >= 0) continue
    throw new ConfigError(
      `planBatch: ${side} has offset ${at.offset} for ${showPartition(at)}: expected a safe integer, 0 or more. ` +
        'Resolve earliest, latest and timestamps to offsets before planning.',
    )
  }
  const sorted = sortByTopic(offsets)
  let before: PartitionOffset | undefined
  for (const at of sorted) {
    if (before !== undefined && comparePartitions(before, at) === 0) {
      throw new ConfigError(`planBatch: ${side} lists ${showPartition(at)} twice. Give each partition one offset.`)
    }
    before = at
  }
  return sorted
}

/** Sorts as `comparePartitions` does, with a comparison of text a topic and not several a partition: a third of the time for 10,000. */
function sortByTopic(offsets: readonly PartitionOffset[]): PartitionOffset[] {
  const topics = new Map<string, PartitionOffset[]>()
  for (const at of offsets) {
    const others = topics.get(at.topic)
    if (others === undefined) topics.set(at.topic, [at])
    else others.push(at)
  }
  const sorted = [...topics].sort(([a], [b]) => (a < b ? -1 : 1))
  return sorted.flatMap(([, partitions]) => partitions.sort((a, b) => a.partition - b.partition))
}

function toSpan(start: PartitionOffset, end: PartitionOffset): PartitionSpan {
  // The old log's leader epochs mean nothing in a topic that was made again under the same name.
  const sameLog = start.topicId === undefined || end.topicId === undefined || start.topicId === end.topicId
  return {
    topic: end.topic,
    partition: end.partition,
    from: start.offset,
    latest: end.offset,
    topicId: end.topicId ?? start.topicId,
    leaderEpoch: end.leaderEpoch ?? (sameLog ? start.leaderEpoch : undefined),
  }
}
