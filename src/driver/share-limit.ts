import type { PartitionSpan } from './match-partitions.ts'

/**
 * Records each span may have so that all together come to about `limit`: in proportion to the lag, a share below one rounded up, so that a
 * partition with little to read is not starved, else down. Undefined without a limit. The arithmetic, in this order, is that of Spark's
 * `KafkaMicroBatchStream.rateLimit`.
 */
export function shareLimit(spans: readonly PartitionSpan[], limit: number | undefined): number[] | undefined {
  if (limit === undefined) return undefined
  const total = spans.reduce((sum, span) => sum + Math.max(span.latest - span.from, 0), 0)
  return spans.map(span => {
    const lag = span.latest - span.from
    if (lag <= 0) return 0
    const share = limit * (lag / total)
    return share < 1 ? Math.ceil(share) : Math.floor(share)
  })
}
