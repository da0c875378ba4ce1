import { describe, expect, test } from 'vitest'
import { parseDuration } from '../../../src/util/parse-duration.ts'
import { explainSeconds, lacksZone, parseTime } from '../../../src/util/parse-time.ts'

describe('a time', () => {
  test.each([
    ['2026-11-20', Date.UTC(2026, 10, 20)],
    ['2026-11-20T12:30Z', Date.UTC(2026, 10, 20, 12, 30)],
    ['2026-11-20T12:30:15.250+01:00', Date.UTC(2026, 10, 20, 11, 30, 15, 250)],
    ['2026-11-20T12:30-0130', Date.UTC(2026, 10, 20, 14, 0)],
    ['2028-02-29', Date.UTC(2028, 1, 29)],
    ['1793491200000', 1_793_491_200_000],
  ])('%s is read', (text, timestamp) => {
    expect(parseTime(text)).toBe(timestamp)
  })

  test.each([
    ['2026-11-20T12:30'],
    ['2026-11-20 12:30:00'],
    ['2026-02-29'],
    ['2026-02-31T00:00Z'],
    ['2026-13-01'],
    ['2026-11-20T25:00Z'],
    ['20.11.2026'],
    ['12345'],
    ['1793491200'],
    [''],
  ])('%j is none, for it has no zone, is no day, or no time in milliseconds', text => {
    expect(parseTime(text)).toBeUndefined()
  })

  test('in seconds is told from one in milliseconds, with what it would be', () => {
    expect(explainSeconds('1793491200')).toBe(
      'is in seconds, it seems, and milliseconds are meant here: 1793491200000 is 2026-11-01T00:00:00.000Z.',
    )
    expect(['1793491200000', '2026-11-01', 'orders:0:1793491200'].map(explainSeconds)).toEqual([undefined, undefined, undefined])
  })

  test('that only lacks its zone is told from what is no time', () => {
    expect(['2026-11-20T12:30', '2026-11-20 12:30:15.5', '2026-11-20T12'].map(lacksZone)).toEqual([true, true, true])
    expect(['2026-11-20', '2026-11-20T12:30Z', 'orders:0:12'].map(lacksZone)).toEqual([false, false, false])
  })
})

test.each([
  ['90s', 90_000],
  ['30m', 1_800_000],
  ['1.5h', 5_400_000],
  ['2d', 172_800_000],
  ['250ms', 250],
  ['0s', 0],
  ['90', undefined],
  ['an hour', undefined],
  ['-5m', undefined],
])('the duration %s is %s ms', (text, ms) => {
  expect(parseDuration(text)).toBe(ms)
})
