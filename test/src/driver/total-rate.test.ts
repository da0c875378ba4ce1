import { describe, expect, test } from 'vitest'
import { TotalRate } from '../../../src/driver/total-rate.ts'
import { ManualClock } from '../../../src/testing/index.ts'

async function rateOf(recordsPerSecond: number) {
  const clock = new ManualClock()
  return { clock, rate: new TotalRate(clock, recordsPerSecond) }
}

describe('a rate over a whole job', () => {
  test('lets a batch begin when its records are earned, the first one too', async () => {
    const { clock, rate } = await rateOf(1_000)
    expect(rate.leftMs(200)).toBe(200)
    await clock.advance(199)
    expect(rate.leftMs(200)).toBe(1)
    await clock.advance(1)
    expect(rate.leftMs(200)).toBeUndefined()
    rate.spend(200)
    expect(rate.leftMs(50)).toBe(50)
  })

  test('makes up for the time between two batches, so that it is kept on the whole', async () => {
    const { clock, rate } = await rateOf(1_000)
    let records = 0
    while (clock.monotonic() < 60_000) {
      const left = rate.leftMs(100)
      // Each wait ends a little late, and planning takes time.
      await clock.advance((left ?? 0) + 7)
      if (rate.leftMs(100) !== undefined) continue
      rate.spend(100)
      records += 100
    }
    expect(records / 60).toBeGreaterThan(990)
    expect(records / 60).toBeLessThanOrEqual(1_000)
  })

  test('does not save up what a pause left unused, but for one batch', async () => {
    const { clock, rate } = await rateOf(1_000)
    await clock.advance(3_600_000)
    rate.spend(100)
    expect(rate.leftMs(100), 'one more at once').toBeUndefined()
    rate.spend(100)
    expect(rate.leftMs(100)).toBe(100)
  })

  test('cuts batches by what they weigh, and never to more than a second or less than a tenth of one', async () => {
    const { rate } = await rateOf(200_000)
    expect(rate.batchSize(undefined)).toBe(20_000)
    expect(rate.batchSize(73)).toBe(57_456)
    expect(rate.batchSize(1)).toBe(200_000)
    expect(rate.batchSize(1_000_000)).toBe(20_000)
    expect((await rateOf(0.5)).rate.batchSize(100)).toBe(1)
  })
})
