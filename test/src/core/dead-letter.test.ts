import { expect, test } from 'vitest'
import { makeLetter, recordOfLetter } from '../../../src/core/dead-letters/dead-letter.ts'

const CONTEXT = { stream: 's', batchId: 1, batchTime: 0 }
const LOST = { error: new Error('bad'), stage: 'map', outputs: ['rows'] }
const PLACE = { topic: 't', partition: 0, offset: 7 }

function circular(): object {
  const value: Record<string, unknown> = { id: 1 }
  value.self = value
  return value
}

test.for([
  ['text', 'räksmörgås', 'räksmörgås'],
  ['an object', { id: 1 }, '{"id":1}'],
  ['an object with a bigint', { id: 12n }, '{"id":"12"}'],
  ['an object that holds itself', circular(), expect.stringContaining('[Circular')],
  ['bytes of a view', new Uint8Array([104, 105]), 'hi'],
  ['nothing', undefined, null],
] as const)('a record of a source of one’s own becomes a letter whatever its value is: %s', ([, value, text]) => {
  expect(makeLetter({ ...PLACE, value }, LOST, CONTEXT)).toMatchObject({
    record_offset: 7,
    record_time: -1,
    value_text: text,
    key_text: null,
  })
})

test.for([
  ['pairs', [['a', Buffer.from('x')]], [['a', Buffer.from('x')]]],
  [
    'an object',
    { a: 'x', b: undefined },
    [
      ['a', Buffer.from('x')],
      ['b', null],
    ],
  ],
  ['null', null, []],
] as const)('and whatever its headers and its timestamp are: %s', ([, headers, pairs]) => {
  const letter = makeLetter({ ...PLACE, headers, timestamp: '2026-01-01' }, LOST, CONTEXT)
  expect(recordOfLetter(letter)).toMatchObject({ headers: pairs, timestamp: -1 })
})
