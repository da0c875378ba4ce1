import { expect, test } from 'vitest'
import { ConfigError, ConnectionError } from '../../../src/core/errors.ts'
import { retrying } from '../../../src/driver/retry.ts'
import { ManualClock, seededRandom } from '../../../src/testing/index.ts'

const never = new AbortController().signal

test('an error that may pass is tried again until it does, with waits that grow', async () => {
  const clock = new ManualClock()
  const world = { clock, random: seededRandom(1) }
  const delays: number[] = []
  const result = retrying(
    world,
    { forMs: 60_000, signal: never, onRetry: (_error, _attempt, delayMs) => delays.push(delayMs) },
    async attempt => {
      if (attempt < 6) throw new ConnectionError('away')
      return attempt
    },
  )
  await clock.untilSleeping()
  await clock.advance(5_000)
  expect(await result).toBe(6)
  for (const [at, delay] of delays.entries()) {
    expect(delay).toBeGreaterThanOrEqual(25 * 2 ** at)
    expect(delay).toBeLessThanOrEqual(50 * 2 ** at)
  }
})

test('it is given up with its own error when the time is over', async () => {
  const clock = new ManualClock()
  let attempts = 0
  const result = retrying({ clock, random: seededRandom(1) }, { forMs: 1_000, signal: never }, async () => {
    attempts += 1
    throw new ConnectionError(`away, ${attempts}`)
  })
  const outcome = expect(result).rejects.toThrow(/^away, \d+$/)
  for (let wait = 0; wait < 20 && clock.sleeping >= 0; wait++) await clock.advance(200)
  await outcome
  expect(attempts).toBeGreaterThan(3)
})

test('an error that will not pass is thrown at once', async () => {
  let attempts = 0
  const result = retrying({ clock: new ManualClock(), random: seededRandom(1) }, { forMs: 1_000, signal: never }, async () => {
    attempts += 1
    throw new ConfigError('wrong')
  })
  await expect(result).rejects.toThrow('wrong')
  expect(attempts).toBe(1)
})

test('waiting ends with the signal', async () => {
  const clock = new ManualClock()
  const stop = new AbortController()
  const result = retrying({ clock, random: seededRandom(1) }, { forMs: 1_000, signal: stop.signal }, async () => {
    throw new ConnectionError('away')
  })
  await clock.untilSleeping()
  stop.abort(new Error('stopped'))
  await expect(result).rejects.toThrow('stopped')
})

test('a service that says when to come back is waited out, however long that takes, and asked no earlier', async () => {
  const clock = new ManualClock()
  const asked: number[] = []
  const result = retrying({ clock, random: seededRandom(1) }, { forMs: 1_000, signal: never }, async attempt => {
    asked.push(clock.monotonic())
    if (attempt < 8) throw new ConnectionError('away', { retryAfterMs: 5_000 })
    return attempt
  })
  await clock.untilSleeping()
  await clock.advance(60_000)
  expect(await result).toBe(8)
  for (const [at, time] of asked.entries()) {
    if (at === 0) continue
    expect(time - (asked[at - 1] ?? 0)).toBeGreaterThanOrEqual(5_000)
    expect(time - (asked[at - 1] ?? 0)).toBeLessThanOrEqual(6_250)
  }
})

test('what fails otherwise is given up when its own time is over, which begins anew behind a wait', async () => {
  const clock = new ManualClock()
  let attempts = 0
  const result = retrying({ clock, random: seededRandom(1) }, { forMs: 1_000, signal: never }, async () => {
    attempts += 1
    throw new ConnectionError('away', attempts === 3 ? { retryAfterMs: 5_000 } : {})
  })
  const outcome = expect(result).rejects.toThrow('away')
  await clock.untilSleeping()
  await clock.advance(5_000)
  expect(attempts).toBe(3)
  await clock.advance(10_000)
  await outcome
  expect(attempts).toBeGreaterThan(6)
})

test('at a start, where nothing is tried again, such a service is not waited for either', async () => {
  const away = async () => {
    throw new ConnectionError('away', { retryAfterMs: 5_000 })
  }
  await expect(retrying({ clock: new ManualClock(), random: seededRandom(1) }, { forMs: 0, signal: never }, away)).rejects.toThrow('away')
})
