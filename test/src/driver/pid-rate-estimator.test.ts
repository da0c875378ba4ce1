import { describe, expect, test } from 'vitest'
import { ConfigError } from '../../../src/core/errors.ts'
import { PidRateEstimator } from '../../../src/driver/pid-rate-estimator.ts'
import { readCases } from './read-cases.ts'

type Params = { batchIntervalMs: number; proportional: number; integral: number; derivative: number; minRate: number }
type Table = {
  defaults: Omit<Params, 'batchIntervalMs'>
  invalidParams: Params[]
  cases: {
    name: string
    params: Params
    steps: { time: number; numElements: number; processingDelayMs: number; schedulingDelayMs: number }[]
    expected: (number | null)[]
  }[]
}
type Step = Table['cases'][number]['steps'][number]

const table = readCases<Table>('pid-rate-estimator')

function replay(estimator: PidRateEstimator, steps: readonly Step[]): (number | null)[] {
  return steps.map(({ numElements, ...step }) => estimator.compute({ ...step, records: numElements }) ?? null)
}

test.each(table.cases)('as in Spark: $name', ({ params, steps, expected }) => {
  const rates = replay(new PidRateEstimator(params), steps)
  expect(rates.map(rate => rate === null)).toEqual(expected.map(rate => rate === null))
  for (const [index, rate] of rates.entries()) {
    // The tables were computed elsewhere; the last bits may differ by the order of operations.
    if (rate !== null) expect(rate).toBeCloseTo(expected[index] ?? Number.NaN, 6)
  }
})

test.each(table.invalidParams)('options that Spark refuses are refused: %o', params => {
  expect(() => new PidRateEstimator(params)).toThrow(ConfigError)
})

test("the defaults are Spark's", () => {
  const steps = Array.from({ length: 20 }, (_, index) => ({
    time: 1000 * (index + 1),
    numElements: 500 + 37 * ((index * 7) % 5),
    processingDelayMs: 400 + 90 * ((index * 3) % 7),
    schedulingDelayMs: 15 * (index % 4),
  }))
  const given = new PidRateEstimator({ batchIntervalMs: 1000, ...table.defaults })
  const rates = replay(new PidRateEstimator({ batchIntervalMs: 1000 }), steps)
  expect(rates).toEqual(replay(given, steps))
  expect(new Set(rates).size).toBeGreaterThan(5)
})

describe('a batch that says nothing', () => {
  const useful = { time: 100, records: 50, processingDelayMs: 10, schedulingDelayMs: 0 }

  test.each([
    { ...useful, time: 100 },
    { ...useful, time: 99 },
    { ...useful, time: 200, records: 0 },
    { ...useful, time: 200, processingDelayMs: 0 },
    { ...useful, time: 200, processingDelayMs: Number.NaN },
  ])('gives no rate and leaves the next one as it would have been: %o', silent => {
    const next = { ...useful, time: 300, records: 80 }
    const undisturbed = new PidRateEstimator({ batchIntervalMs: 100 })
    undisturbed.compute(useful)
    const estimator = new PidRateEstimator({ batchIntervalMs: 100 })
    estimator.compute(useful)
    expect(estimator.compute(silent)).toBeUndefined()
    const rate = estimator.compute(next)
    expect(rate).toBeGreaterThan(0)
    expect(rate).toBe(undisturbed.compute(next))
  })
})

test('the rate never goes below minRate', () => {
  const estimator = new PidRateEstimator({ batchIntervalMs: 10, minRate: 77 })
  estimator.compute({ time: 1, records: 1000, processingDelayMs: 1, schedulingDelayMs: 0 })
  expect(estimator.compute({ time: 2, records: 1, processingDelayMs: 1000, schedulingDelayMs: 60_000 })).toBe(77)
})
