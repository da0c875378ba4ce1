import { expect, test } from 'vitest'
import { filterOfTopic, type LetterFilter, topicOfFilter } from '../../../src/core/dead-letters/letter-filter.ts'

/** Never changed: a store that has one of these goes on from it. */
const RELEASED: readonly (readonly [string, LetterFilter])[] = [
  ['dead-letters', {}],
  ['dead-letters {"v":1,"partition":3,"topic":"orders"}', { topic: 'orders', partition: 3 }],
  [
    'dead-letters {"v":1,"batch":7,"error_code":"E_PRICE","error_name":"TypeError","record_time":{"from":1,"until":2},"stage":"map (json)"}',
    { stage: 'map (json)', batch: 7, error_name: 'TypeError', error_code: 'E_PRICE', record_time: { from: 1, until: 2 } },
  ],
]

test.for(RELEASED)('a replay of some letters is told from others by its topic: %s', ([topic, filter]) => {
  expect(topicOfFilter(filter)).toBe(topic)
  expect(filterOfTopic(topic)).toEqual(filter)
})

test('the topic of a newer version is refused, and one of something else is none', () => {
  expect(() => filterOfTopic('dead-letters {"v":2}')).toThrow(/begun by a newer version of Tidemark \(format 2, this one knows 1\)/)
  expect(filterOfTopic('orders')).toBeUndefined()
  expect(filterOfTopic('dead-letters-of-mine')).toBeUndefined()
})
