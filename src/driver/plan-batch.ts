import { z } from 'zod'
import type { OffsetRange, PartitionOffset, TopicPartition } from '../core/values.ts'
import { parseOptions } from '../util/parse-options.ts'
import { capByRate } from './cap-by-rate.ts'
import { matchPartitions, type PartitionSpan } from './match-partitions.ts'
import { shareLimit } from './share-limit.ts'

/** How much one batch may read. All that are given hold at once. */
export type BatchLimits = {
  /** Records a batch, shared out in proportion to each partition's lag; may be exceeded by a record for each lagging partition. */
  readonly maxRecordsPerBatch?: number | undefined
  /** Records a second and partition; 0 is no limit. */
  readonly maxRatePerPartition?: number | ((at: TopicPartition) => number) | undefined
  /** Records a *batch* and partition, whatever the rates say (the name is Spark's). @default 1 */
  readonly minRatePerPartition?: number | ((at: TopicPartition) => number) | undefined
  /** Records a second over all partitions until there is an estimate; 0 is no limit. */
  readonly initialRate?: number | undefined
}

/** What a batch is planned from. */
export type PlanInput = {
  /** Where each partition's next record to read is. */
  readonly from: readonly PartitionOffset[]
  /** How far each partition can be read. */
  readonly latest: readonly PartitionOffset[]
  /** The time a batch stands for, which turns rates into records: the interval, or what has passed where that is 0. @default 1000 */
  readonly batchIntervalMs?: number | undefined
  /** Records a second over all partitions, from the estimator; absent, or not positive, while there is no estimate. */
  readonly rate?: number | undefined
  readonly limits?: BatchLimits | undefined
}

const perPartition = z.union([z.number().nonnegative(), z.custom<(at: TopicPartition) => number>(value => typeof value === 'function')])

const settings = z.object({
  batchIntervalMs: z.number().nonnegative().default(1000),
  rate: z.number().optional(),
  limits: z
    .object({
      maxRecordsPerBatch: z.int().nonnegative().optional().describe('a whole number of records, 0 or more; leave it out for no limit'),
      maxRatePerPartition: perPartition.default(0).describe('records a second, 0 (no limit) or more, or a function of the partition'),
      minRatePerPartition: perPartition.default(1).describe('a whole number of records a batch, 0 or more, or a function of the partition'),
      initialRate: z.number().nonnegative().default(0).describe('records a second, 0 (no limit) or more'),
    })
    .prefault({}),
})

/**
 * The ranges of the next batch, sorted by topic and partition: a pure function, so that the same offsets and limits give the same ranges.
 *
 * A partition has a range where `latest` is above `from`; one that is missing on either side has none. A range carries the topic id and leader
 * epoch of the log that will be read. The rates are those of Spark's direct stream (`DirectKafkaInputDStream.maxMessagesPerPartition`),
 * `maxRecordsPerBatch` is `maxOffsetsPerTrigger` (`KafkaMicroBatchStream.rateLimit`), to the same numbers; where both are given the lower end wins.
 *
 * Throws `ConfigError` for an offset that is no safe non-negative integer, a partition listed twice, or a limit that is negative or not a number.
 */
export function planBatch(input: PlanInput): OffsetRange[] {
  const { batchIntervalMs, rate, limits } = parseOptions(settings, input, 'planBatch')
  const spans = matchPartitions(input.from, input.latest)
  const byRate = capByRate(spans, { ...limits, rate: rate ?? 0, batchIntervalMs })
  const byShare = shareLimit(spans, limits.maxRecordsPerBatch)

  const ranges: OffsetRange[] = []
  for (const [index, span] of spans.entries()) {
    const records = Math.min(
      span.latest - span.from,
      byRate?.[index] ?? Number.POSITIVE_INFINITY,
      byShare?.[index] ?? Number.POSITIVE_INFINITY,
    )
    if (records > 0) ranges.push(toRange(span, records))
  }
  return ranges
}

function toRange(span: PartitionSpan, records: number): OffsetRange {
  return {
    topic: span.topic,
    partition: span.partition,
    fromOffset: span.from,
    untilOffset: span.from + records,
    ...(span.topicId !== undefined && { topicId: span.topicId }),
    ...(span.leaderEpoch !== undefined && { leaderEpoch: span.leaderEpoch }),
  }
}
