import fc from 'fast-check'
import { expect, test } from 'vitest'
import { escapeName, unescapeName } from '../../../connectors/files/escape-name.ts'

const name = fc.oneof(
  fc.string({ minLength: 1 }),
  fc.string({ minLength: 1, unit: 'binary' }),
  fc.stringMatching(/^[aAoO%._-]{1,4}$/),
  fc.constantFrom('con', 'Con', 'aux.txt', '.', '..', 'nul.', '_tidemark', '%41'),
)

test('an ordinary topic keeps its name', () => {
  for (const topic of ['orders', 'orders.v1', 'eu-west_1.orders', 'a..b']) expect(escapeName(topic)).toBe(topic)
})

test('any name comes back as it was', () => {
  fc.assert(
    fc.property(name, each => {
      expect(unescapeName(escapeName(each))).toBe(each)
    }),
  )
})

test('two names are two folders, also where capitals do not count', () => {
  fc.assert(
    fc.property(name, name, (a, b) => {
      fc.pre(a !== b)
      expect(escapeName(a).toLowerCase()).not.toBe(escapeName(b).toLowerCase())
    }),
  )
})

test('no name is hidden, leaves the folder, or is one that a system keeps for itself', () => {
  fc.assert(
    fc.property(name, each => {
      const escaped = escapeName(each)
      expect(escaped).toMatch(/^[a-z0-9%-][a-zA-Z0-9%._-]*$/)
      expect(escaped).not.toMatch(/\.$|^(con|prn|aux|nul|com\d|lpt\d)(\.|$)/i)
    }),
  )
})

test('text that no name is escaped to is no name', () => {
  for (const text of ['%', '%zz', '%61', 'Orders', '.hidden', '%e9']) expect(unescapeName(text)).toBeUndefined()
})
