import { expect, test } from 'vitest'
import { Rate } from '../../../src/cli/rate.ts'

test('nothing is said of a rate before there is time to measure it in', () => {
  const rate = new Rate(5_000)
  expect(rate.perSecond()).toBe(undefined)
  rate.note(0, 0)
  rate.note(10, 500)
  expect(rate.perSecond()).toBe(undefined)
  rate.note(100, 1_000)
  expect(rate.perSecond()).toBe(10_000)
})

test('it is that of the window, whatever was before', () => {
  const rate = new Rate(5_000)
  rate.note(0, 0)
  for (let at = 1_000; at <= 20_000; at += 100) rate.note(at, 1_000_000 + at)
  expect(rate.perSecond()).toBeCloseTo(1_000)
})

test('it falls to zero when nothing comes any more', () => {
  const rate = new Rate(1_000)
  for (let at = 0; at <= 1_000; at += 100) rate.note(at, at * 10)
  for (let at = 1_100; at <= 2_200; at += 100) rate.note(at, 10_000)
  expect(rate.perSecond()).toBe(0)
})
