import { ConfigError } from '../core/errors.ts'
import { showPartition, type TopicPartition } from '../core/values.ts'
import type { PartitionSpan } from './match-partitions.ts'

type PerPartition = number | ((at: TopicPartition) => number)

type Rates = {
  /** Records a second over all partitions; 0 or less where there is no estimate. */
  readonly rate: number
  readonly initialRate: number
  readonly maxRatePerPartition: PerPartition
  readonly minRatePerPartition: PerPartition
  readonly batchIntervalMs: number
}

/**
 * Records each span may have by the rates, or undefined where they set no limit. The arithmetic, in this order, is that of Spark's
 * `DirectKafkaInputDStream.maxMessagesPerPartition`: the rate is shared out by lag and capped by the partition's maximum; without a rate the
 * maximum alone counts; then the partition's minimum, which also lifts a lower maximum.
 */
export function capByRate(spans: readonly PartitionSpan[], rates: Rates): number[] | undefined {
  const maxima = spans.map(span => resolve(rates.maxRatePerPartition, span, 'maxRatePerPartition'))
  const minima = spans.map(span => resolve(rates.minRatePerPartition, span, 'minRatePerPartition'))
  // Spark publishes an estimate truncated to an integer, and one below 1 counts as none.
  const estimate = Math.trunc(rates.rate)
  const rate = estimate > 0 ? estimate : rates.initialRate
  const perSecond = rate > 0 ? shareRate(spans, rate, maxima) : maxima
  // Nothing lags: the shares are 0 / 0, and a sum that is NaN is no limit either.
  if (!(perSecond.reduce((sum, each) => sum + each, 0) > 0)) return undefined
  const seconds = rates.batchIntervalMs / 1000
  return perSecond.map((each, index) => Math.max(Math.trunc(seconds * each), minima[index] ?? 0))
}

function shareRate(spans: readonly PartitionSpan[], rate: number, maxima: readonly number[]): number[] {
  const lags = spans.map(span => Math.max(span.latest - span.from, 0))
  const total = lags.reduce((sum, lag) => sum + lag, 0)
  return lags.map((lag, index) => {
    const share = (lag / total) * rate
    const maximum = maxima[index] ?? 0
    return maximum > 0 ? Math.min(share, maximum) : share
  })
}

function resolve(rate: PerPartition, span: PartitionSpan, name: 'maxRatePerPartition' | 'minRatePerPartition'): number {
  const { topic, partition } = span
  const value = typeof rate === 'function' ? rate({ topic, partition }) : rate
  // A minimum is added to an offset as it is.
  const valid = name === 'minRatePerPartition' ? Number.isSafeInteger(value) : Number.isFinite(value)
  if (valid && value >= 0) return value
  const expected = name === 'minRatePerPartition' ? 'a whole number of records a batch' : 'a number of records a second'
  throw new ConfigError(`planBatch: limits.${name} is ${value} for ${showPartition(span)}: expected ${expected}, 0 or more`)
}
