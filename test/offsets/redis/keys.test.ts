import fc from 'fast-check'
import { expect, test } from 'vitest'
import { indexKey, streamKeys } from '../../../offsets/redis/keys.ts'

/** What Redis hashes of a key, as its documentation of hash tags has it. */
function hashTag(key: string): string {
  const opened = key.indexOf('{')
  const closed = key.indexOf('}', opened + 1)
  return opened === -1 || closed <= opened + 1 ? key : key.slice(opened + 1, closed)
}

function allKeys(prefix: string, stream: string): string[] {
  const { staged, ...keys } = streamKeys(prefix, stream)
  return [...Object.values(keys), staged('history', 'a1'), staged('marks', 'a1')]
}

const name = fc.oneof(
  fc.string({ unit: 'grapheme', minLength: 1 }),
  fc.string({ unit: fc.constantFrom('{', '}', ':', '%', 'a', '7B'), minLength: 1 }),
)

test('all keys of a stream have one hash tag and are different, whatever its name', () => {
  fc.assert(
    fc.property(name, name, (prefix, stream) => {
      const keys = allKeys(prefix, stream)
      expect(new Set(keys).size).toBe(keys.length)
      expect(new Set(keys.map(hashTag)).size).toBe(1)
      expect(hashTag(keys[0] ?? '')).not.toBe(keys[0])
    }),
  )
})

test('streams of different names or prefixes share no key, nor one with an index', () => {
  fc.assert(
    fc.property(name, name, name, name, (prefix, stream, otherPrefix, otherStream) => {
      fc.pre(prefix !== otherPrefix || stream !== otherStream)
      const keys = [...allKeys(prefix, stream), ...allKeys(otherPrefix, otherStream), indexKey(prefix)]
      expect(new Set(keys).size).toBe(keys.length)
    }),
  )
})

test('names that could be taken for one another are kept apart', () => {
  expect(streamKeys('a:b', 'c').head).not.toBe(streamKeys('a', 'b:c').head)
  expect(streamKeys('a', 'b}').head).not.toBe(streamKeys('a', 'b%7D').head)
  expect(streamKeys('tidemark', 'orders').head).toBe('{tidemark:orders}:head')
})
