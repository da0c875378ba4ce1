import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { comparePartitions, type OffsetRange, type PartitionOffset, partitionKey } from '../../src/core/values.ts'
import { planBatch } from '../../src/driver/plan-batch.ts'
import { ByteShares } from '../../src/driver/share-bytes.ts'
import { splitRanges } from '../../src/driver/split-ranges.ts'

type Log = PartitionOffset & { readonly end: number }

const offset = fc.oneof(fc.nat(1000), fc.nat(Number.MAX_SAFE_INTEGER - 2_000_000))
const lag = fc.oneof(fc.nat(5), fc.nat(300), fc.nat(1_000_000))

/** Partitions with a start and an end, in any order, no two the same. */
const logs: fc.Arbitrary<Log[]> = fc.uniqueArray(
  fc
    .record({ topic: fc.constantFrom('orders', 'a', 'orders:1', 'é'), partition: fc.nat(12), offset, lag })
    .map(({ lag, ...at }) => ({ ...at, end: at.offset + lag })),
  { selector: partitionKey, maxLength: 12 },
)

const limits = fc.record(
  {
    maxRecordsPerBatch: fc.integer({ min: 1, max: 1_000_000 }),
    maxRatePerPartition: fc.nat(100_000),
    minRatePerPartition: fc.integer({ min: 1, max: 50 }),
    initialRate: fc.nat(1_000_000),
  },
  { requiredKeys: [] },
)

const split = fc.record(
  { minTasks: fc.integer({ min: 1, max: 64 }), maxRecordsPerTask: fc.integer({ min: 5000, max: 1_000_000 }) },
  { requiredKeys: [] },
)

const latestOf = (log: readonly Log[]) => log.map(({ topic, partition, end }) => ({ topic, partition, offset: end }))
const sizeOf = (range: OffsetRange) => range.untilOffset - range.fromOffset
const sum = (numbers: readonly number[]) => numbers.reduce((total, each) => total + each, 0)

describe('batch after batch', () => {
  test('ranges tile the log with no gap and no overlap until nothing is left', () => {
    fc.assert(
      fc.property(logs, limits, split, fc.integer({ min: 0, max: 50_000 }), (log, caps, options, rate) => {
        const position = new Map(log.map(at => [partitionKey(at), at.offset]))
        const left = () => sum(log.map(at => at.end - (position.get(partitionKey(at)) ?? 0)))
        // Tiny limits over a long log would take for ever: what is checked is 200 batches, and then one without limits.
        for (let batch = 0; batch <= 200 && left() > 0; batch++) {
          const from = log.map(at => ({ ...at, offset: position.get(partitionKey(at)) ?? 0 }))
          const input = { from, latest: latestOf(log), ...(batch < 200 && { limits: caps, rate, batchIntervalMs: 500 }) }
          const before = left()
          for (const range of splitRanges(planBatch(input), options)) {
            expect(range.fromOffset).toBe(position.get(partitionKey(range)))
            expect(range.untilOffset).toBeGreaterThan(range.fromOffset)
            position.set(partitionKey(range), range.untilOffset)
          }
          expect(left()).toBeLessThan(before)
        }
        expect([...position.values()]).toEqual(log.map(at => at.end))
      }),
      { numRuns: 150 },
    )
  })
})

describe('a plan', () => {
  test('holds every limit: the batch by at most a record for each lagging partition, a partition by its rate and its minimum', () => {
    fc.assert(
      fc.property(logs, limits, fc.integer({ min: 1, max: 10_000 }), (log, caps, batchIntervalMs) => {
        const plan = planBatch({ from: log, latest: latestOf(log), limits: caps, batchIntervalMs })
        const lagging = log.filter(at => at.end > at.offset).length
        expect(sum(plan.map(sizeOf))).toBeLessThanOrEqual((caps.maxRecordsPerBatch ?? Number.POSITIVE_INFINITY) + lagging)
        const rate = caps.maxRatePerPartition || Number.POSITIVE_INFINITY
        const most = Math.max((rate * batchIntervalMs) / 1000, caps.minRatePerPartition ?? 1)
        for (const range of plan) expect(sizeOf(range)).toBeLessThanOrEqual(most)
      }),
    )
  })

  test('is the same for the same input, whatever its order', () => {
    const shuffled = logs.chain(log =>
      fc.tuple(fc.constant(log), fc.shuffledSubarray(log, { minLength: log.length }), fc.shuffledSubarray(log, { minLength: log.length })),
    )
    fc.assert(
      fc.property(shuffled, limits, fc.nat(100_000), ([log, one, other], caps, rate) => {
        const plan = planBatch({ from: log, latest: latestOf(log), limits: caps, rate })
        expect(planBatch({ from: one, latest: latestOf(other), limits: caps, rate })).toEqual(plan)
        expect([...plan].sort(comparePartitions)).toEqual(plan)
      }),
    )
  })

  test('starves no partition that lags', () => {
    fc.assert(
      fc.property(logs, limits, (log, caps) => {
        const planned = planBatch({ from: log, latest: latestOf(log), limits: caps }).map(partitionKey)
        expect(planned.sort()).toEqual(
          log
            .filter(at => at.end > at.offset)
            .map(partitionKey)
            .sort(),
        )
      }),
    )
  })
})

describe('a split', () => {
  test('tiles each range exactly, in order, within maxRecordsPerTask', () => {
    fc.assert(
      fc.property(logs, split, (log, options) => {
        const ranges = log.map(({ topic, partition, offset, end }) => ({ topic, partition, fromOffset: offset, untilOffset: end }))
        const slices = splitRanges(ranges, options)
        for (const slice of slices) expect(sizeOf(slice)).toBeLessThanOrEqual(options.maxRecordsPerTask ?? Number.POSITIVE_INFINITY)
        expect(join(slices)).toEqual(ranges.filter(range => sizeOf(range) > 0))
      }),
    )
  })

  test('reaches minTasks about, and never makes more than rounding explains', () => {
    fc.assert(
      fc.property(logs, fc.integer({ min: 1, max: 64 }), (log, minTasks) => {
        const ranges = log.map(({ topic, partition, offset, end }) => ({ topic, partition, fromOffset: offset, untilOffset: end }))
        const kept = ranges.filter(range => sizeOf(range) > 0).length
        const count = splitRanges(ranges, { minTasks }).length
        expect(count).toBeGreaterThanOrEqual(kept)
        expect(count).toBeLessThanOrEqual(Math.max(kept, minTasks + kept))
      }),
    )
  })
})

/** Adjacent slices of one partition put together again. */
function join(slices: readonly OffsetRange[]): OffsetRange[] {
  const joined: OffsetRange[] = []
  for (const slice of slices) {
    const last = joined.at(-1)
    if (last && partitionKey(last) === partitionKey(slice) && last.untilOffset === slice.fromOffset) {
      joined[joined.length - 1] = { ...last, untilOffset: slice.untilOffset }
    } else joined.push(slice)
  }
  return joined
}

describe('a limit of bytes', () => {
  const heavy = fc.uniqueArray(
    fc.record({ partition: fc.nat(40), lag: fc.integer({ min: 1, max: 5_000 }), weight: fc.integer({ min: 1, max: 2_000_000 }) }),
    {
      selector: ({ partition }) => partition,
      minLength: 1,
      maxLength: 20,
    },
  )

  test('is exceeded by one record at the most, every batch goes on, and no partition waits for ever', () => {
    fc.assert(
      fc.property(heavy, fc.integer({ min: 1, max: 50_000_000 }), (partitions, maxBytes) => {
        const shares = new ByteShares()
        const weights = new Map(partitions.map(({ partition, weight }) => [partition, weight]))
        const weightOf = ({ partition }: { partition: number }) => weights.get(partition)
        const heaviest = Math.max(...weights.values())
        const ranges = partitions
          .map(({ partition, lag }) => ({ topic: 't', partition, fromOffset: 7, untilOffset: 7 + lag }))
          .sort(comparePartitions)
        const served = new Set<number>()
        // Lags that stay as they are: whoever is not served now must be by its turn.
        for (let batch = 0; batch < partitions.length; batch++) {
          const kept = shares.limit(ranges, weightOf, maxBytes)
          expect(kept.length).toBeGreaterThan(0)
          expect(kept).toEqual([...kept].sort(comparePartitions))
          for (const range of kept) {
            const whole = ranges.find(other => other.partition === range.partition)
            expect(range.fromOffset).toBe(7)
            expect(range.untilOffset).toBeGreaterThan(7)
            expect(range.untilOffset).toBeLessThanOrEqual(whole?.untilOffset ?? 0)
            served.add(range.partition)
          }
          expect(sum(kept.map(range => sizeOf(range) * (weightOf(range) ?? 0)))).toBeLessThanOrEqual(maxBytes + heaviest)
        }
        expect(served.size).toBe(partitions.length)
      }),
    )
  })
})
