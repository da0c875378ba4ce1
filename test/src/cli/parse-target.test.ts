import { expect, test } from 'vitest'
import { parseTarget } from '../../../src/cli/parse-target.ts'

test.for([
  ['earliest', { at: 'earliest' }],
  ['latest', { at: 'latest' }],
  ['2026-11-20', { at: 'timestamp', timestamp: Date.UTC(2026, 10, 20) }],
  ['2026-11-20T12:00:00+02:00', { at: 'timestamp', timestamp: Date.UTC(2026, 10, 20, 10) }],
  ['1795176000000', { at: 'timestamp', timestamp: 1_795_176_000_000 }],
  ['orders:0:12', { at: 'exact', offsets: [{ topic: 'orders', partition: 0, offset: 12 }] }],
  [
    'eu:orders:0:12,us:orders:11:9007199254740991',
    {
      at: 'exact',
      offsets: [
        { topic: 'eu:orders', partition: 0, offset: 12 },
        { topic: 'us:orders', partition: 11, offset: Number.MAX_SAFE_INTEGER },
      ],
    },
  ],
] as const)('%s is understood', ([text, target]) => {
  expect(parseTarget(text)).toEqual(target)
})

test.for([
  'yesterday',
  '2026-11-20T12:00:00',
  'orders:0',
  'orders:0:x',
  'orders:0:12,',
  ',orders:0:12',
  'orders:0:-1',
  'orders:0:9007199254740993',
  '',
])('%j is refused with the accepted forms', text => {
  expect(() => parseTarget(text)).toThrow(/is not understood\. It is 'earliest', 'latest', a date .*orders:0:1200,orders:1:900\.$/)
})

test('a partition that is named twice is refused', () => {
  expect(() => parseTarget('orders:1:1,orders:01:2')).toThrow('--to names partition orders:1 twice.')
})

test('a time in seconds is refused: as milliseconds it would reset to before every record', () => {
  expect(() => parseTarget('1795176000')).toThrow(
    '--to 1795176000 is in seconds, it seems, and milliseconds are meant here: 1795176000000 is',
  )
})
