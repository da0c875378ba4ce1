import pg from 'pg'
import { beforeAll, describe, expect, test } from 'vitest'
import { postgresSink } from '../../../connectors/postgres/index.ts'
import { context, ledgerOf, makePlace, manyRows, mark, type Place, readySink, rowsOf, running, task } from './postgres-task.ts'

type Order = { id: number; total?: number | null }

let place: Place
beforeAll(async () => {
  place = await makePlace()
})

async function makeTable(name: string, columns = 'id int8, total float8'): Promise<string> {
  await place.query(`create table ${name} (${columns})`)
  return name
}

describe('appending', () => {
  test('a task adds its rows and its ledger row, and is applied from then on', async () => {
    const table = await makeTable('plain')
    const sink = await readySink<Order>(place, { table, columns: ['id', 'total'] }, 'plain')
    const own = task({ output: 'plain' })
    expect(await sink.applied?.(own)).toBe(false)
    await sink.write(own, rowsOf<Order>([{ id: 1, total: 1.5 }, { id: 2 }], [{ id: 3, total: null }]), running)
    expect(await place.query('select id::int, total from plain order by id')).toEqual([
      { id: 1, total: 1.5 },
      { id: 2, total: null },
      { id: 3, total: null },
    ])
    expect(await sink.applied?.(own)).toBe(true)
    expect(sink).toMatchObject({ name: `postgres:${place.schema}.plain`, guarantee: 'exactly-once', ordering: 'none' })
  })

  test('a task that is applied and comes again resolves and adds nothing', async () => {
    const table = await makeTable('again')
    const sink = await readySink<Order>(place, { table }, 'again')
    const own = task({ output: 'again' })
    for (let time = 0; time < 2; time++) await sink.write(own, rowsOf([{ id: 1, total: 1 }]), running)
    expect(await place.query('select id::int from again')).toEqual([{ id: 1 }])
  })

  test('a task without rows has its ledger row', async () => {
    const table = await makeTable('empty')
    const sink = await readySink<Order>(place, { table }, 'empty')
    await sink.write(task({ output: 'empty' }), rowsOf<Order>([]), running)
    expect((await ledgerOf(place)).filter(({ output }) => output === 'empty')).toHaveLength(1)
  })

  test('a task of another range under the same name is a conflict, and its rows stay out', async () => {
    const table = await makeTable('conflicting')
    const sink = await readySink<Order>(place, { table }, 'conflicting')
    await sink.write(task({ output: 'conflicting' }), rowsOf([{ id: 1 }]), running)
    const other = task({ output: 'conflicting', range: { untilOffset: 200 } })
    await expect(sink.write(other, rowsOf([{ id: 2 }]), running)).rejects.toMatchObject({ code: 'CONFLICT', name: 'LedgerConflictError' })
    await expect(sink.applied?.(other)).rejects.toMatchObject({ code: 'CONFLICT' })
    expect(await place.query('select id::int from conflicting')).toEqual([{ id: 1 }])
  })

  test('a large task is streamed and is there whole', async () => {
    const table = await makeTable('large')
    const sink = await readySink<Order>(place, { table }, 'large')
    await sink.write(
      task({ output: 'large' }),
      manyRows(50_000, id => ({ id, total: id / 8 })),
      running,
    )
    expect(await place.query('select sum(id)::text as ids, sum(total) as totals from large')).toEqual([
      { ids: '1249975000', totals: 156_246_875 },
    ])
  })

  test('a large task whose rows end in an error leaves nothing', async () => {
    const table = await makeTable('broken')
    const sink = await readySink<Order>(place, { table }, 'broken')
    async function* rows() {
      yield* manyRows(30_000, id => ({ id }))
      throw new Error('the source broke off')
    }
    await expect(sink.write(task({ output: 'broken' }), rows(), running)).rejects.toThrow('the source broke off')
    expect(await place.query('select * from broken')).toEqual([])
    await sink.write(task({ output: 'broken' }), rowsOf([{ id: 1 }]), running)
    expect(await place.query('select id::int from broken')).toEqual([{ id: 1 }])
  })

  test('an aborted task ends with the reason and leaves nothing', async () => {
    const table = await makeTable('aborted')
    const sink = await readySink<Order>(place, { table }, 'aborted')
    const abort = new AbortController()
    async function* rows() {
      yield* manyRows(30_000, id => ({ id }))
      abort.abort(new Error('stopped'))
      yield [{ id: 1 }]
    }
    await expect(sink.write(task({ output: 'aborted' }), rows(), { ...running, signal: abort.signal })).rejects.toThrow('stopped')
    expect(await place.query('select * from aborted')).toEqual([])
  })

  test('a table with an identity as its primary key is copied into as it is, and others through a temporary table', async () => {
    await place.query('create table with_identity (seq bigint generated always as identity primary key, id int8, total float8)')
    await place.query('create table with_key (id int8 primary key, total float8)')
    for (const table of ['with_identity', 'with_key']) {
      const sink = await readySink<Order>(place, { table, columns: ['id', 'total'] }, table)
      await sink.write(task({ output: table }), rowsOf([{ id: 1 }, { id: 2 }]), running)
      expect(await place.query(`select id::int from ${table} order by id`)).toEqual([{ id: 1 }, { id: 2 }])
    }
  })

  test('without columns the keys of rows that are columns are written, and defaults stay', async () => {
    const table = await makeTable(
      'loose',
      'id int8, total float8, made timestamptz not null default now(), twice int8 generated always as (id * 2) stored',
    )
    const sink = await readySink<object>(place, { table }, 'loose')
    await sink.write(task({ output: 'loose' }), rowsOf<object>([{ id: 1, other: 'x' }]), running)
    await sink.write(task({ output: 'loose', index: 1 }), rowsOf<object>([{ id: 2, made: '2024-02-29T00:00:00Z' }]), running)
    expect(await place.query("select id::int, twice::int, made < now() - interval '1 day' as given from loose order by id")).toEqual([
      { id: 1, twice: 2, given: false },
      { id: 2, twice: 4, given: true },
    ])
    const stray = sink.write(task({ output: 'loose', index: 2 }), rowsOf<object>([{ id: 3 }, { id: 4, made: new Date() }]), running)
    await expect(stray).rejects.toMatchObject({ code: 'RECORD', details: { row: 2, column: 'made' } })
    const generated = sink.write(task({ output: 'loose', index: 3 }), rowsOf<object>([{ id: 3, twice: 6 }]), running)
    await expect(generated).rejects.toMatchObject({ code: 'CONFIG', message: expect.stringMatching(/always generates/) })
    const foreign = sink.write(task({ output: 'loose', index: 3 }), rowsOf<object>([{ ID: 3 }]), running)
    await expect(foreign).rejects.toMatchObject({
      code: 'CONFIG',
      message: expect.stringMatching(/they have ID, and the table has id, total/),
    })
  })

  test('two outputs into one table keep ledgers of their own', async () => {
    const table = await makeTable('shared')
    const first = await readySink<Order>(place, { table }, 'shared-1')
    const second = await readySink<Order>(place, { table }, 'shared-2')
    await Promise.all([
      first.write(task({ output: 'shared-1' }), rowsOf([{ id: 1 }]), running),
      second.write(task({ output: 'shared-2' }), rowsOf([{ id: 2 }]), running),
    ])
    expect(await place.query('select id::int from shared order by id')).toEqual([{ id: 1 }, { id: 2 }])
    await second.fence?.(mark({ output: 'shared-2', lastBegun: 8, lastComplete: 7 }))
    expect(await first.applied?.(task({ output: 'shared-1' }))).toBe(true)
    expect(await second.applied?.(task({ output: 'shared-2' }))).toBe(false)
  })

  test('a pool of the caller is used and left open', async () => {
    const table = await makeTable('pooled')
    const pool = new pg.Pool({ connectionString: place.connectionString, max: 1 })
    const sink = postgresSink<Order>({ pool, table: `${place.schema}.${table}`, schema: place.schema })
    await sink.prepare?.(context({ output: 'pooled' }))
    await sink.fence?.(mark({ output: 'pooled' }))
    await sink.write(
      task({ output: 'pooled' }),
      manyRows(30_000, id => ({ id })),
      running,
    )
    await sink.close?.()
    const { rows } = await pool.query(`select count(*)::int from ${place.schema}.pooled`)
    expect(rows).toEqual([{ count: 30_000 }])
    const { rows: named } = await pool.query("select current_setting('application_name') as name")
    expect(named).toEqual([{ name: '' }])
    await pool.end()
  })
})
