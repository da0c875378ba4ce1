import { expect, test } from 'vitest'
import { ManualClock, seededRandom } from '../../../src/testing/index.ts'

test('sleepers wake in the order of their times, and each sees the time it asked for', async () => {
  const clock = new ManualClock(1_000)
  const woken: string[] = []
  const nap = async (name: string, ms: number) => {
    await clock.sleep(ms)
    woken.push(`${name}@${clock.monotonic()}/${clock.now()}`)
  }
  const naps = [nap('c', 30), nap('a', 10), nap('b', 20)]
  await clock.advance(25)
  expect(woken).toEqual(['a@10/1010', 'b@20/1020'])
  expect([clock.monotonic(), clock.now(), clock.sleeping]).toEqual([25, 1_025, 1])
  await clock.advance(5)
  await Promise.all(naps)
  expect(woken).toContain('c@30/1030')
})

test('a sleeper that sleeps again is woken again within one advance', async () => {
  const clock = new ManualClock()
  let ticks = 0
  const ticking = (async () => {
    for (; ticks < 5; ticks++) await clock.sleep(10)
  })()
  await clock.advance(50)
  await ticking
  expect(ticks).toBe(5)
})

test('a skip wakes everybody at once, and they find that all of it has passed', async () => {
  const clock = new ManualClock()
  const seen: number[] = []
  const naps = [10, 20].map(ms => clock.sleep(ms).then(() => seen.push(clock.monotonic())))
  clock.skip(1_000)
  await Promise.all(naps)
  expect(seen).toEqual([1_000, 1_000])
})

test('a jump moves the wall clock only', () => {
  const clock = new ManualClock(5_000)
  clock.jump(-4_000)
  expect([clock.now(), clock.monotonic()]).toEqual([1_000, 0])
})

test('a sleep ends with its signal', async () => {
  const clock = new ManualClock()
  const controller = new AbortController()
  const reason = new Error('stopped')
  const nap = expect(clock.sleep(10, controller.signal)).rejects.toBe(reason)
  controller.abort(reason)
  await nap
  expect(clock.sleeping).toBe(0)
  await expect(clock.sleep(10, controller.signal)).rejects.toBe(reason)
})

test('who waits for sleepers is told when there are enough', async () => {
  const clock = new ManualClock()
  let isTold = false
  const told = clock.untilSleeping(2).then(() => {
    isTold = true
  })
  const naps = [clock.sleep(1)]
  await Promise.resolve()
  expect(isTold).toBe(false)
  naps.push(clock.sleep(1))
  await told
  await clock.untilSleeping(2)
  await clock.advance(1)
  await Promise.all(naps)
})

test('the same seed gives the same chance, and another seed another', () => {
  const draw = (seed: number) => {
    const random = seededRandom(seed)
    return [random.id(), random.number(), random.id(5), random.number()]
  }
  expect(draw(1)).toEqual(draw(1))
  expect(draw(1)).not.toEqual(draw(2))
  const random = seededRandom(3)
  const numbers = Array.from({ length: 10_000 }, () => random.number())
  expect(numbers.every(number => number >= 0 && number < 1)).toBe(true)
  const mean = numbers.reduce((sum, number) => sum + number, 0) / numbers.length
  expect(Math.abs(mean - 0.5)).toBeLessThan(0.02)
  expect(random.id(9)).toMatch(/^[0-9a-f]{9}$/)
})
