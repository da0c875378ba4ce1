import pg from 'pg'
import { beforeAll, describe, expect, test } from 'vitest'
import { postgresSink, postgresSinkMigration } from '../../../connectors/postgres/index.ts'
import type { PostgresSinkOptions } from '../../../connectors/postgres/options.ts'
import { context, makePlace, mark, type Place, readySink, rowsOf, running, task } from './postgres-task.ts'

type Row = Record<string, unknown>

let place: Place
beforeAll(async () => {
  place = await makePlace()
  await place.query(`
    create table orders (id int8 primary key, total float8, at timestamptz, seq int8 generated always as identity, twice int8 generated always as (id * 2) stored);
    create table no_key (id int8, total float8 not null);
    create unlogged table fast (id int8);
    create table partial (id int8, total float8); create unique index on partial (id) where total > 0;
    create sequence counter;
  `)
})

async function refusal(options: Partial<PostgresSinkOptions<Row>>): Promise<unknown> {
  const sink = await place.sink<Row>(options)
  return sink.prepare?.(context({ output: 'refused' })).then(
    () => undefined,
    (error: unknown) => error,
  )
}

describe('a start is refused', () => {
  test.each<[string, Partial<PostgresSinkOptions<Row>>, string, RegExp]>([
    [
      'without the table, with one that would fit',
      { table: 'nowhere', columns: ['id', 'total', 'created_at'], key: 'id' },
      'CONFIG',
      /there is no table .*nowhere[\s\S]*create table "t_\w+"\."nowhere" \(\n {2}"id" text not null,\n {2}"total" numeric,\n {2}"created_at" timestamptz,\n {2}primary key \("id"\)\n\)/,
    ],
    ['without one of the columns', { table: 'orders', columns: ['id', 'totl'] }, 'CONFIG', /has no column totl\. Did you mean total\?/],
    ['with an identity among the columns', { table: 'orders', columns: ['id', 'seq'] }, 'CONFIG', /column seq .* is generated/],
    ['with a computed column', { table: 'orders', columns: ['id', 'twice'] }, 'CONFIG', /column twice .* is generated/],
    ['where a column that takes no NULL is left out', { table: 'no_key', columns: ['id'] }, 'CONFIG', /column total .* takes no NULL/],
    [
      'where the key has no unique index',
      { table: 'no_key', key: 'id' },
      'CONFIG',
      /no unique index on just id.*alter table .* add primary key \("id"\)/,
    ],
    ['where the key is only a part of one', { table: 'orders', key: ['id', 'total'] }, 'CONFIG', /no unique index on just id, total/],
    ['where the index is over a part of the rows', { table: 'partial', key: 'id' }, 'CONFIG', /no unique index/],
    [
      'where the key is not among the columns',
      { table: 'orders', columns: ['total'], key: 'id' },
      'CONFIG',
      /id is in key or version and not in columns/,
    ],
    ['without the version column', { table: 'orders', key: 'id', version: 'v' }, 'CONFIG', /has no column v/],
    ['with a version and no key', { table: 'orders', version: 'at' }, 'CONFIG', /version needs key/],
    ['with deleteWhen and no key', { table: 'orders', deleteWhen: () => true }, 'CONFIG', /deleteWhen needs key/],
    ['for an unlogged table', { table: 'fast' }, 'UNSUPPORTED', /unlogged.*set logged/],
    ['for what is no table', { table: 'counter' }, 'UNSUPPORTED', /neither a table nor a view/],
  ])('%s', async (_, options, code, message) => {
    expect(await refusal(options)).toMatchObject({ code, message: expect.stringMatching(message) })
  })

  test('for a user who lacks rights, by their names, and goes through with them', async () => {
    const role = `${place.schema}_clerk`
    await place.query(`create role ${role} login password 'secret'`)
    try {
      const url = new URL(place.connectionString)
      url.username = role
      url.password = 'secret'
      const options = { connectionString: url.href, table: 'orders', columns: ['id', 'total'], key: 'id', deleteWhen: () => false }
      const start = async () => {
        const sink = await place.sink<Row>(options)
        try {
          await sink.prepare?.(context({ output: 'clerk' }))
          await sink.fence?.(mark({ output: 'clerk' }))
          await sink.write(task({ output: 'clerk' }), rowsOf<Row>([{ id: 1 }]), running)
        } finally {
          await sink.close?.()
        }
      }
      await place.query(`drop table if exists sink_ledger, sink_fences; grant usage on schema ${place.schema} to ${role}`)
      await expect(start()).rejects.toMatchObject({
        code: 'AUTH',
        message: expect.stringMatching(/may not create the tables.*postgresSinkMigration/),
      })
      await place.query(postgresSinkMigration({ schema: place.schema }))
      await expect(start()).rejects.toMatchObject({
        code: 'AUTH',
        message: expect.stringMatching(/lacks SELECT, INSERT, UPDATE, DELETE on .*sink_fences/),
      })
      await place.query(`grant select, insert, update, delete on sink_fences, sink_ledger to ${role}`)
      await expect(start()).rejects.toMatchObject({
        code: 'AUTH',
        message: expect.stringMatching(/lacks INSERT, UPDATE, SELECT, DELETE on table/),
      })
      await place.query(`grant select, insert, update, delete on orders to ${role}`)
      await start()
      expect(await place.query('select id::int from orders')).toEqual([{ id: 1 }])
    } finally {
      await place.query(`drop owned by ${role}; drop role ${role}`)
    }
  })

  test('with a password that is wrong or a server that is not there, without the password in the error', async () => {
    const sink = postgresSink({ connectionString: 'postgres://clerk:hunter2@127.0.0.1:1/orders', table: 'orders' })
    const error = await sink.prepare?.(context()).catch((thrown: unknown) => thrown)
    expect(error).toMatchObject({
      code: 'CONNECTION',
      retryable: true,
      message: expect.stringMatching(/output postgres:orders at 127\.0\.0\.1:1\/orders/),
    })
    expect(String(error)).not.toContain('hunter2')
  })

  test.each<[string, object, RegExp]>([
    ['without a connection', { connectionString: undefined, table: 't' }, /connectionString is undefined: is DATABASE_URL set\?/],
    ['with neither table nor write', { connectionString: 'postgres://h/d' }, /table is undefined/],
    ['with both', { connectionString: 'postgres://h/d', table: 't', write: async () => {} }, /either table or write, not both/],
    [
      'with a misspelt option',
      { connectionString: 'postgres://h/d', table: 't', column: ['a'] },
      /column is not an option: did you mean columns\?/,
    ],
    ['with a column twice', { connectionString: 'postgres://h/d', table: 't', columns: ['a', 'a'] }, /a column is named twice/],
    ['with a table of three names', { connectionString: 'postgres://h/d', table: 'a.b.c' }, /expected the name of a table/],
    ['with columns for own SQL', { connectionString: 'postgres://h/d', write: async () => {}, columns: ['a'] }, /columns goes with table/],
  ])('%s', (_, options, message) => {
    expect(() => postgresSink(options as PostgresSinkOptions<Row>)).toThrow(
      expect.objectContaining({ code: 'CONFIG', message: expect.stringMatching(message) }),
    )
  })
})

describe('the ledger’s tables', () => {
  test('are made by fifty drivers at once', async () => {
    const fresh = await makePlace()
    await fresh.query('create table t (id int8)')
    const schema = `${fresh.schema}_ledger`
    try {
      const sinks = await Promise.all(Array.from({ length: 50 }, () => fresh.sink<Row>({ table: 't', schema })))
      await Promise.all(sinks.map(sink => sink.prepare?.(context({ output: 'fifty' }))))
      expect(await fresh.query(`select count(*)::int from ${schema}.sink_fences`)).toEqual([{ count: 0 }])
      await Promise.all(sinks.map(sink => sink.close?.()))
    } finally {
      await fresh.query(`drop schema if exists ${schema} cascade`)
    }
  })

  test('of a newer version are refused', async () => {
    const fresh = await makePlace()
    await fresh.query('create table t (id int8)')
    await readySink<Row>(fresh, { table: 't' }, 'newer')
    await fresh.query('update sink_fences set format = 2')
    const sink = await fresh.sink<Row>({ table: 't' })
    await expect(sink.prepare?.(context())).rejects.toMatchObject({ code: 'UNSUPPORTED', message: expect.stringMatching(/format 2/) })
  })

  test('and names of tables and streams may be as odd as Postgres takes them', async () => {
    await place.query('create table "Odd ""Name"".x" ("Sel ect" int8, "ü" text)')
    const stream = `it's a \\ "stream" ${'x'.repeat(200)}`
    const sink = postgresSink({
      connectionString: place.connectionString,
      table: `${place.schema}."Odd ""Name"".x"`,
      schema: place.schema,
      columns: ['Sel ect', 'ü'],
    })
    await sink.prepare?.(context({ stream, output: stream }))
    await sink.fence?.(mark({ stream, output: stream }))
    const own = task({ stream, output: stream, range: { topic: "it's\\" } })
    await sink.write(own, rowsOf([{ 'Sel ect': 1, ü: 'x' }]), running)
    expect(await sink.applied?.(own)).toBe(true)
    expect(await place.query('select * from "Odd ""Name"".x"')).toEqual([{ 'Sel ect': '1', ü: 'x' }])
    await sink.close?.()
  })
})

test('partitioned tables and views that pass rows on are written to', async () => {
  await place.query(`
    create table parted (id int8, day date) partition by range (day);
    create table parted_1 partition of parted for values from ('2024-01-01') to ('2025-01-01');
    create table parted_2 partition of parted for values from ('2025-01-01') to ('2026-01-01');
    create unique index on parted_2 (id);
    create table base (id int8);
    create view seen as select id from base;
  `)
  const parted = await readySink<Row>(place, { table: 'parted', columns: ['id', 'day'] }, 'parted')
  await parted.write(
    task({ output: 'parted' }),
    rowsOf<Row>([
      { id: 1, day: '2024-02-29' },
      { id: 2, day: '2025-02-28' },
    ]),
    running,
  )
  await expect(
    parted.write(task({ output: 'parted', index: 1 }), rowsOf<Row>([{ id: 2, day: '2025-03-01' }]), running),
  ).rejects.toMatchObject({ details: { row: 1 } })
  expect(await place.query('select count(*)::int from parted_1')).toEqual([{ count: 1 }])
  const seen = await readySink<Row>(place, { table: 'seen', columns: ['id'] }, 'seen')
  await seen.write(task({ output: 'seen' }), rowsOf<Row>([{ id: 1 }]), running)
  expect(await place.query('select id::int from base')).toEqual([{ id: 1 }])
})

test('whatever the user’s settings are, an attempt says how it commits', async () => {
  const role = `${place.schema}_odd`
  await place.query(`
    create role ${role} login superuser;
    alter role ${role} set default_transaction_isolation = 'serializable';
    alter role ${role} set default_transaction_read_only = on;
    alter role ${role} set synchronous_commit = off;
    alter role ${role} set standard_conforming_strings = off;
    alter role ${role} set datestyle = 'SQL, DMY';
    create table settings (id int8, how text default current_setting('transaction_isolation') || ' ' || current_setting('synchronous_commit'))
  `)
  const url = new URL(place.connectionString)
  url.username = role
  const pool = new pg.Pool({ connectionString: url.href })
  try {
    const sink = postgresSink<Row>({ pool, table: `${place.schema}.settings`, schema: place.schema, columns: ['id'] })
    await sink.prepare?.(context({ output: 'settings' }))
    await sink.fence?.(mark({ output: 'settings' }))
    await sink.write(task({ output: 'settings', range: { topic: "a\\'b" } }), rowsOf<Row>([{ id: 1 }]), running)
    expect(await place.query('select how from settings')).toEqual([{ how: 'read committed on' }])
  } finally {
    await pool.end()
    await place.query(`drop owned by ${role}; drop role ${role}`)
  }
})
