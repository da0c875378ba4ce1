import { inspect } from 'node:util'
import { Pool } from 'pg'
import { describe, expect, test } from 'vitest'
import { type PostgresOffsetsOptions, postgresOffsets, postgresOffsetsMigration } from '../../../offsets/postgres/index.ts'

const wrong: readonly (readonly [object, string])[] = [
  [{ connectionString: undefined }, 'connectionString is undefined: is DATABASE_URL set?'],
  [{ connectionString: '' }, 'connectionString is an empty string: is DATABASE_URL set?'],
  [{}, 'connectionString is undefined: is DATABASE_URL set?'],
  [{ connectionString: 'me:hidden@host/orders' }, "expected a URL such as 'postgres://"],
  [{ connectionString: 'postgres://me:hidden@host/orders', pool: new Pool() }, 'expected either connectionString or pool, not both'],
  [{ pool: {} }, 'expected a pool of pg'],
  [{ connectionString: 'postgres://me:hidden@host/orders', shema: 'a' }, 'did you mean schema?'],
  [{ connectionString: 'postgres://me:hidden@host/orders', schema: '' }, 'expected the name of a schema'],
  [{ connectionString: 'postgres://me:hidden@host/orders', schema: 'é'.repeat(32) }, 'of at most 63 bytes'],
]

describe('postgresOffsets', () => {
  test.for(wrong)('refuses %o', ([options, said]) => {
    const make = () => postgresOffsets(options as PostgresOffsetsOptions)
    expect(make).toThrow(said)
    expect(make).not.toThrow('hidden')
  })

  test('refuses a connection string that pg cannot read, without showing it', async () => {
    await using store = postgresOffsets({ connectionString: 'postgres://me:hid den%@host:port/orders' })
    const error: unknown = await store.read('orders').catch(thrown => thrown)
    expect(error).toMatchObject({ code: 'CONFIG', message: expect.stringContaining('cannot use its connection string') })
    expect(inspect(error, { depth: 9, showHidden: true })).not.toContain('hid')
  })

  test('takes a pool of pg, and connects nothing when it is made', async () => {
    const pool = new Pool({ connectionString: 'postgres://127.0.0.1:1/nowhere' })
    await using store = postgresOffsets({ pool, schema: 'offsets' })
    expect(store).toBeDefined()
    expect(pool.totalCount).toBe(0)
  })
})

test('the migration is for the schema that is named, or for tidemark', () => {
  expect(postgresOffsetsMigration()).toContain('create schema if not exists "tidemark";')
  expect(postgresOffsetsMigration({ schema: 'a "b"' })).toContain('create schema if not exists "a ""b""";')
  expect(() => postgresOffsetsMigration({ schema: '' })).toThrow('postgresOffsetsMigration: schema is an empty string')
})
