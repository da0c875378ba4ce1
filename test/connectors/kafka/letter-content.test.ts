import { expect, test } from 'vitest'
import { rowContent } from '../../../connectors/kafka/sink/records/row-content.ts'
import { makeLetter } from '../../../src/core/dead-letters/dead-letter.ts'

test('a dead letter goes out as its record was, with the headers of the record and behind them why it is one', () => {
  const record = {
    ...{ topic: 'orders', partition: 3, offset: 17, timestamp: 1_000, key: null, value: Buffer.from([0xff, 0]) },
    headers: [['trace', Buffer.from('abc')]] as const,
  }
  const about = { stream: 'orders', batchId: 4, batchTime: 1_700_000_000_000 }
  const letter = makeLetter(record, { error: new TypeError('no total'), stage: 'map (parse)', outputs: ['a', 'b'] }, about)
  const content = rowContent<unknown>({ key: undefined, value: undefined, headers: undefined })
  expect(content.key(letter)).toBe(null)
  expect(content.value(letter)).toEqual(Buffer.from([0xff, 0]))
  expect(content.timestamp(letter, about.batchTime)).toBe(about.batchTime)
  const headers = content.headers(letter)?.map(([name, value]) => [String(name), value === null ? null : String(value)])
  expect(headers).toEqual([
    ['trace', 'abc'],
    ['tidemark-letter', '1'],
    ['tidemark-stream', 'orders'],
    ['tidemark-batch', '4'],
    ['tidemark-batch-time', '1700000000000'],
    ['tidemark-topic', 'orders'],
    ['tidemark-partition', '3'],
    ['tidemark-offset', '17'],
    ['tidemark-time', '1000'],
    ['tidemark-stage', 'map (parse)'],
    ['tidemark-outputs', '["a","b"]'],
    ['tidemark-error-name', 'TypeError'],
    ['tidemark-error-code', null],
    ['tidemark-error', 'no total'],
  ])
})
