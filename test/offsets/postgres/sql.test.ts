import fc from 'fast-check'
import { expect, test } from 'vitest'
import { quoteName, sql } from '../../../offsets/postgres/sql.ts'
import { fromColumn, toColumn } from '../../../offsets/postgres/text.ts'
import { connect, uniqueName } from './own-schema.ts'

const ODD = ["'", "''", '\\', "\\'", '"', '\0', '\u0001', '\u00010', '0', '1', '$1', '--', '/*', ';', '\n', 'é', '🦄', 'E']
const oddText = fc.array(fc.constantFrom(...ODD), { maxLength: 12 }).map(parts => parts.join(''))

test.for(['on', 'off'])('a text comes back from the server as it went in, with standard_conforming_strings %s', async setting => {
  const client = await connect()
  await client.query(`set standard_conforming_strings = ${setting}; set escape_string_warning = off; set backslash_quote = off`)
  await fc.assert(
    fc.asyncProperty(oddText, oddText, async (first, second) => {
      const { text } = sql`select ${toColumn(first)}::text as first,${toColumn(second)}::text as second`
      const { rows } = await client.query(text)
      expect(rows.map(row => [fromColumn(row.first), fromColumn(row.second)])).toEqual([[first, second]])
    }),
    { numRuns: 300 },
  )
})

test('a number comes back as it went in, also behind a minus', async () => {
  const client = await connect()
  for (const value of [0, -1, Number.MAX_SAFE_INTEGER, Number.MIN_SAFE_INTEGER]) {
    const { rows } = await client.query(sql`select (${value})::text as same, (5-${value})::text as less`.text)
    expect(rows).toEqual([{ same: String(value), less: String(5n - BigInt(value)) }])
  }
  for (const value of [0.5, Number.NaN, 2 ** 53]) expect(() => sql`select ${value}`).toThrow('whole numbers')
})

test('a text that would cut the message short is refused', () => {
  expect(() => sql`select ${'a\0b'}`).toThrow('U+0000')
})

test('a name means exactly itself', async () => {
  const client = await connect()
  const name = `${uniqueName('Odd')}"; drop table x; --`
  await client.query(sql`create temporary table ${quoteName(name)} (${quoteName('a "b"')} integer)`.text)
  const { rows } = await client.query('select relname from pg_class where relname = $1', [name])
  expect(rows).toEqual([{ relname: name }])
})
