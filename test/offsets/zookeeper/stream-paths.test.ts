import fc from 'fast-check'
import { expect, test } from 'vitest'
import { nodeNameOf, streamNamed } from '../../../offsets/zookeeper/stream-paths.ts'

const names = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 400 }).filter(name => name.isWellFormed())

test('any text is the name of one node that ZooKeeper takes', () => {
  fc.assert(
    fc.property(names, name => {
      expect(nodeNameOf(name)).toMatch(/^(?!\.{1,2}$)[\w\-.!~*'()%]{1,200}$/)
    }),
  )
})

test('a node is told its stream, or that its head must be asked', () => {
  fc.assert(
    fc.property(names, name => {
      expect([name, undefined]).toContain(streamNamed(nodeNameOf(name)))
    }),
  )
})

test.for([['.'], ['..'], ['a/b'], ['%2E'], ['zookeeper'], ['a\0b'], [' ']])('%j is told from its node', ([name = '']) => {
  expect(streamNamed(nodeNameOf(name))).toBe(name)
})

test('long names have nodes of their own, also where they begin or end alike', () => {
  const long = ['x'.repeat(2_000), 'x'.repeat(1_999), `y${'x'.repeat(1_999)}`, nodeNameOf('x'.repeat(2_000)), '🌊'.repeat(1_000)]
  expect(new Set(long.map(nodeNameOf)).size).toBe(long.length)
})
