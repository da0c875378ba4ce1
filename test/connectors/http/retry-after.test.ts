import { expect, test } from 'vitest'
import { parseRetryAfter } from '../../../connectors/http/retry-after.ts'

const NOW = Date.UTC(2026, 10, 30, 12, 0, 0)

test.each([
  ['120', 120_000],
  [' 0 ', 0],
  ['Mon, 30 Nov 2026 12:00:30 GMT', 30_000],
  ['Mon, 30 Nov 2026 11:00:00 GMT', 0],
  [undefined, undefined],
  ['', undefined],
  ['-5', undefined],
  ['1.5', undefined],
  ['soon', undefined],
  ['nonsense GMT', undefined],
])('Retry-After %j is %j ms', (text, expected) => {
  expect(parseRetryAfter(text, NOW)).toBe(expected)
})
