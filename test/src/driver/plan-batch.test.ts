import { describe, expect, test } from 'vitest'
import { ConfigError } from '../../../src/core/errors.ts'
import { partitionKey } from '../../../src/core/values.ts'
import { type PlanInput, planBatch } from '../../../src/driver/plan-batch.ts'
import { type OffsetTable, readCases, toOffsets } from './read-cases.ts'

type ByPartition = number | OffsetTable
type RateTable = {
  usingRateController: { batchMs: number; maxRatePerPartition: number; constantRates: number[]; expectedBatchSizes: number[] }
  cases: {
    name: string
    batchMs: number
    maxRatePerPartition: ByPartition
    minRatePerPartition: ByPartition
    backpressureLatestRate: number | null
    initialRate: number
    currentOffsets: OffsetTable
    latestOffsets: OffsetTable
    'expectedUntil(clamp)': OffsetTable
  }[]
}
type TriggerTable = {
  cases: {
    name: string
    maxOffsetsPerTrigger: number
    start: OffsetTable
    batches: { latest: OffsetTable; expectedEnd: OffsetTable; expectedCounts: OffsetTable }[]
  }[]
  minAndComposite: { name: string; maxOffsetsPerTrigger: number | null; steps: { latest?: OffsetTable; expectedEnd?: OffsetTable }[] }[]
}

/** Where every partition stands after the plan. */
function endOf(input: PlanInput): Record<string, number> {
  const ends = new Map(input.from.map(at => [partitionKey(at), { name: `${at.topic}-${at.partition}`, offset: at.offset }]))
  for (const range of planBatch(input)) {
    ends.set(partitionKey(range), { name: `${range.topic}-${range.partition}`, offset: range.untilOffset })
  }
  return Object.fromEntries([...ends.values()].map(end => [end.name, end.offset]))
}

function perPartition(rates: ByPartition) {
  if (typeof rates === 'number') return rates
  return ({ topic, partition }: { topic: string; partition: number }) => rates[`${topic}-${partition}`] ?? Number.NaN
}

const at = (topic: string, partition: number, offset: number) => ({ topic, partition, offset })

describe("the direct stream's rates", () => {
  const table = readCases<RateTable>('direct-max-messages-per-partition')

  test.each(table.cases)('as in Spark: $name', each => {
    const plan = endOf({
      from: toOffsets(each.currentOffsets),
      latest: toOffsets(each.latestOffsets),
      batchIntervalMs: each.batchMs,
      ...(each.backpressureLatestRate !== null && { rate: each.backpressureLatestRate }),
      limits: {
        maxRatePerPartition: perPartition(each.maxRatePerPartition),
        minRatePerPartition: perPartition(each.minRatePerPartition),
        initialRate: each.initialRate,
      },
    })
    // Spark's until goes below the start of a truncated partition (a bug); ours leaves it where it is.
    const expected = Object.entries(each['expectedUntil(clamp)']).map(([name, until]) => [
      name,
      Math.max(until, each.currentOffsets[name] ?? 0),
    ])
    expect(plan).toEqual(Object.fromEntries(expected))
  })

  const { batchMs, maxRatePerPartition, constantRates, expectedBatchSizes } = table.usingRateController
  test.each(constantRates.map((rate, index) => [rate, expectedBatchSizes[index]]))(
    'as in Spark: an estimate of %d records a second makes batches of %d',
    (rate, size) => {
      const limits = { maxRatePerPartition }
      const [range] = planBatch({ from: [at('t', 0, 7)], latest: [at('t', 0, 10_000)], batchIntervalMs: batchMs, rate: rate ?? 0, limits })
      expect(range).toEqual({ topic: 't', partition: 0, fromOffset: 7, untilOffset: 7 + (size ?? 0) })
    },
  )

  test('an estimate counts as Spark publishes it, truncated to a whole number', () => {
    const plan = (rate: number) => planBatch({ from: [at('t', 0, 0)], latest: [at('t', 0, 99)], rate, limits: { initialRate: 50 } })
    expect(plan(9.99)[0]?.untilOffset).toBe(9)
    expect(plan(0.99)[0]?.untilOffset).toBe(50)
  })
})

describe('maxRecordsPerBatch', () => {
  const table = readCases<TriggerTable>('trigger-rate-limit')

  test.each(table.cases)('as in Spark: $name', ({ maxOffsetsPerTrigger, start, batches }) => {
    let from = start
    for (const batch of batches) {
      const end = endOf({ from: toOffsets(from), latest: toOffsets(batch.latest), limits: { maxRecordsPerBatch: maxOffsetsPerTrigger } })
      expect(end).toEqual(batch.expectedEnd)
      expect(Object.fromEntries(Object.entries(end).map(([name, until]) => [name, until - (from[name] ?? 0)]))).toEqual(
        batch.expectedCounts,
      )
      from = end
    }
  })

  const bounded = table.minAndComposite.filter(each => each.maxOffsetsPerTrigger !== null && each.steps.some(step => step.expectedEnd))
  test.each(bounded)('as in Spark, where a batch runs: $name', ({ maxOffsetsPerTrigger, steps }) => {
    let from: OffsetTable = Object.fromEntries(Object.keys(steps[0]?.latest ?? {}).map(name => [name, 0]))
    for (const { latest, expectedEnd } of steps) {
      if (latest === undefined || expectedEnd === undefined) continue
      from = endOf({ from: toOffsets(from), latest: toOffsets(latest), limits: { maxRecordsPerBatch: maxOffsetsPerTrigger ?? undefined } })
      expect(from).toEqual(expectedEnd)
    }
  })

  test('and a rate both hold: the lower end wins in each partition', () => {
    const from = [at('t', 0, 0), at('t', 1, 0)]
    const latest = [at('t', 0, 900), at('t', 1, 100)]
    const limits = { maxRecordsPerBatch: 100, maxRatePerPartition: 50 }
    expect(planBatch({ from, latest, limits }).map(range => range.untilOffset)).toEqual([50, 10])
  })
})

describe('a plan', () => {
  test('without limits reads everything there is, sorted, and leaves out what has nothing', () => {
    const from = [at('b', 0, 5), at('a', 10, 0), at('a', 2, 3), at('c', 0, 4)]
    const latest = [at('c', 0, 4), at('a', 2, 9), at('b', 0, 6), at('a', 10, 1)]
    expect(planBatch({ from, latest })).toEqual([
      { topic: 'a', partition: 2, fromOffset: 3, untilOffset: 9 },
      { topic: 'a', partition: 10, fromOffset: 0, untilOffset: 1 },
      { topic: 'b', partition: 0, fromOffset: 5, untilOffset: 6 },
    ])
  })

  test('has no range for a partition that only one side knows, nor for one that was truncated', () => {
    expect(planBatch({ from: [at('gone', 0, 1), at('cut', 0, 50)], latest: [at('new', 0, 9), at('cut', 0, 20)] })).toEqual([])
  })

  test('keeps topics apart whose names run into the partition', () => {
    const plan = planBatch({ from: [at('t', 11, 0), at('1:t', 1, 0)], latest: [at('t', 11, 3), at('1:t', 1, 5)] })
    expect(plan.map(range => [range.topic, range.partition, range.untilOffset])).toEqual([
      ['1:t', 1, 5],
      ['t', 11, 3],
    ])
  })

  test.each([
    ['latest where it has them', { topicId: 'A', leaderEpoch: 3 }, { topicId: 'A', leaderEpoch: 5 }, { topicId: 'A', leaderEpoch: 5 }],
    ['from where latest has none', { topicId: 'A', leaderEpoch: 3 }, {}, { topicId: 'A', leaderEpoch: 3 }],
    ['latest alone for a topic made again', { topicId: 'A', leaderEpoch: 3 }, { topicId: 'B' }, { topicId: 'B' }],
    ['nowhere where neither has them', {}, {}, {}],
  ])('takes topic id and leader epoch from %s', (_, ofFrom, ofLatest, expected) => {
    const [range] = planBatch({ from: [{ ...at('t', 0, 1), ...ofFrom }], latest: [{ ...at('t', 0, 2), ...ofLatest }] })
    expect(range).toStrictEqual({ topic: 't', partition: 0, fromOffset: 1, untilOffset: 2, ...expected })
  })

  test('reaches the largest safe offset exactly', () => {
    const latest = Number.MAX_SAFE_INTEGER
    const input = { from: [at('t', 0, latest - 3)], latest: [at('t', 0, latest)] }
    expect(planBatch({ ...input, limits: { maxRecordsPerBatch: latest, maxRatePerPartition: 1e300 } })[0]?.untilOffset).toBe(latest)
  })
})

describe('what cannot be planned', () => {
  test.each([
    ['from', -1],
    ['from', 1.5],
    ['latest', Number.NaN],
    ['latest', 2 ** 53],
  ])('an offset is refused with its side, partition and value: %s %d', (side, offset) => {
    const input = { from: [at('orders', 3, 0)], latest: [at('orders', 3, 9)], [side]: [at('orders', 3, offset)] }
    expect(() => planBatch(input)).toThrow(ConfigError)
    expect(() => planBatch(input)).toThrow(`planBatch: ${side} has offset ${offset} for orders/3`)
  })

  test.each(['from', 'latest'])('a partition listed twice in %s is refused', side => {
    const input = { from: [at('orders', 3, 0)], latest: [at('orders', 3, 9)], [side]: [at('orders', 3, 0), at('orders', 3, 5)] }
    expect(() => planBatch(input)).toThrow(`planBatch: ${side} lists orders/3 twice`)
  })

  test.each<[PlanInput['limits'], string]>([
    [{ maxRecordsPerBatch: -1 }, 'limits.maxRecordsPerBatch is -1: expected a whole number'],
    [{ maxRecordsPerBatch: Number.NaN }, 'limits.maxRecordsPerBatch is NaN: expected a whole number'],
    [{ maxRatePerPartition: -5 }, 'limits.maxRatePerPartition is -5: expected records a second'],
    [{ initialRate: Number.NaN }, 'limits.initialRate is NaN: expected records a second'],
    [{ maxRatePerPartition: () => -5 }, 'limits.maxRatePerPartition is -5 for orders/3'],
    [{ minRatePerPartition: () => Number.NaN }, 'limits.minRatePerPartition is NaN for orders/3'],
    [{ minRatePerPartition: 1.5 }, 'limits.minRatePerPartition is 1.5 for orders/3: expected a whole number of records a batch'],
  ])('a limit is refused with its path and value: %o', (limits, message) => {
    const input = { from: [at('orders', 3, 0)], latest: [at('orders', 3, 9)], limits }
    expect(() => planBatch(input)).toThrow(ConfigError)
    expect(() => planBatch(input)).toThrow(message)
  })

  test('all limits that are wrong are named at once', () => {
    const limits = { maxRecordsPerBatch: -1, initialRate: -2 }
    expect(() => planBatch({ from: [], latest: [], batchIntervalMs: -3, limits })).toThrow(
      /batchIntervalMs.*\n.*maxRecordsPerBatch.*\n.*initialRate/,
    )
  })
})
