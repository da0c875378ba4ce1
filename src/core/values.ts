/** Anything that survives `JSON.parse(JSON.stringify(x))`. */
export type Json = string | number | boolean | null | readonly Json[] | { readonly [key: string]: Json }

/** One partition of a topic. Under a source's `alias` the topic's name carries the alias, so it is unique within a job. */
export type TopicPartition = { readonly topic: string; readonly partition: number }

/**
 * A position in a partition: the offset of the next record to read.
 * `topicId` (KIP-516, the textual UUID) and `leaderEpoch` (KIP-320) say which incarnation of the log the offset belongs to.
 */
export type PartitionOffset = TopicPartition & { readonly offset: number; readonly topicId?: string; readonly leaderEpoch?: number }

/** A half-open piece of a partition: `fromOffset` is in it, `untilOffset` is not (Spark's `OffsetRange`). */
export type OffsetRange = TopicPartition & {
  readonly fromOffset: number
  readonly untilOffset: number
  readonly topicId?: string
  readonly leaderEpoch?: number
}

/**
 * The planned work of one tick. A begun batch never changes: `ranges` keep their order, for a task's index is its range's place here.
 * `batchTime` is milliseconds since the epoch; `facts` is what else a replay must know (outputs, isolation, the job's hash).
 */
export type Batch = {
  readonly id: number
  readonly batchTime: number
  readonly epoch: number
  readonly ranges: readonly OffsetRange[]
  readonly facts?: Json
}

/** One range × one output: plain data, so that it can go to a thread or to another machine. Same task, same result. */
export type Task = {
  readonly stream: string
  readonly batchId: number
  readonly epoch: number
  /** The place of `range` in the batch's ranges. */
  readonly index: number
  readonly range: OffsetRange
  readonly batchTime: number
  /** The output's name, unique in the job. */
  readonly output: string
  /** Names one attempt; no two attempts of a task share it. */
  readonly attempt: string
}

/** A key for maps and sets. The partition comes first because a topic's name may hold any separator. */
export function partitionKey(at: TopicPartition): string {
  return `${at.partition}:${at.topic}`
}

/** `orders/3`, the way messages name a partition. */
export function showPartition(at: TopicPartition): string {
  return `${at.topic}/${at.partition}`
}

/** `orders/3 [120, 180)`, the way messages name a range. */
export function showRange(range: OffsetRange): string {
  return `${showPartition(range)} [${range.fromOffset}, ${range.untilOffset})`
}

/** Orders by topic, then partition: the order of every result that lists partitions. */
export function comparePartitions(a: TopicPartition, b: TopicPartition): number {
  if (a.topic !== b.topic) return a.topic < b.topic ? -1 : 1
  return a.partition - b.partition
}

/** How many offsets a range has; the records in it may be fewer. */
export function countOffsets({ fromOffset, untilOffset }: OffsetRange): number {
  return untilOffset - fromOffset
}

/** Whether two ranges cover the same offsets of the same partition. `topicId` and `leaderEpoch` do not count. */
export function sameRange(a: OffsetRange, b: OffsetRange): boolean {
  return a.topic === b.topic && a.partition === b.partition && a.fromOffset === b.fromOffset && a.untilOffset === b.untilOffset
}
