import { expect, test } from 'vitest'
import { Scheduler } from '../../../src/driver/scheduler.ts'
import { ManualClock } from '../../../src/testing/index.ts'

const never = new AbortController().signal

test('the first tick is due at once, the next after the interval', async () => {
  const clock = new ManualClock()
  const scheduler = new Scheduler(clock, 1000)
  expect(await scheduler.nextTick(never)).toBe(0)
  const second = scheduler.nextTick(never)
  await clock.untilSleeping()
  await clock.advance(1000)
  expect(await second).toBe(0)
  expect(clock.monotonic()).toBe(1000)
})

test('ticks that a long batch ran past are one tick, due at once, late by the oldest of them', async () => {
  const clock = new ManualClock()
  const scheduler = new Scheduler(clock, 1000)
  await scheduler.nextTick(never)
  await clock.advance(3500)
  expect(await scheduler.nextTick(never)).toBe(2500)
  // And then back in step with the multiples of the interval.
  const next = scheduler.nextTick(never)
  await clock.untilSleeping()
  await clock.advance(500)
  expect(await next).toBe(0)
})

test('time spent waiting for records is no delay', async () => {
  const clock = new ManualClock()
  const scheduler = new Scheduler(clock, 1000)
  await scheduler.nextTick(never)
  await clock.advance(10_300)
  scheduler.skipMissed()
  const next = scheduler.nextTick(never)
  await clock.untilSleeping()
  await clock.advance(700)
  expect(await next).toBe(0)
})

test('without an interval a tick is always due', async () => {
  const scheduler = new Scheduler(new ManualClock(), 0)
  expect(await scheduler.nextTick(never)).toBe(0)
  expect(await scheduler.nextTick(never)).toBe(0)
})

test('batch times grow, also when the wall clock jumps back an hour', () => {
  const clock = new ManualClock(10_000_000)
  const scheduler = new Scheduler(clock, 1000, 9_000_000)
  expect(scheduler.batchTime()).toBe(10_000_000)
  clock.jump(-3_600_000)
  expect(scheduler.batchTime()).toBe(10_000_001)
  const later = new Scheduler(new ManualClock(5_000), 1000, 9_000)
  expect(later.batchTime()).toBe(9_001)
})

test('waiting ends with the signal', async () => {
  const clock = new ManualClock()
  const scheduler = new Scheduler(clock, 1000)
  await scheduler.nextTick(never)
  const stop = new AbortController()
  const next = scheduler.nextTick(stop.signal)
  stop.abort(new Error('stopped'))
  await expect(next).rejects.toThrow('stopped')
})
