import pg from 'pg'
import { beforeAll, describe, expect, test } from 'vitest'
import type { PostgresSinkOptions } from '../../../connectors/postgres/options.ts'
import { ledgerOf, makePlace, manyRows, type Place, readySink, rowsOf, running, task } from './postgres-task.ts'

type Total = { readonly id: number; readonly total: number }

/** More than a small task holds in memory, so that its rows are streamed. */
const MANY = 40_000
const COLUMNS = ['id', 'total'] as const

let place: Place
beforeAll(async () => {
  place = await makePlace()
})

type Way = { readonly way: string; readonly ddl: string; readonly options: (table: string) => Partial<PostgresSinkOptions<Total>> }

const WAYS: readonly Way[] = [
  { way: 'single', ddl: 'id int8, total int8', options: table => ({ table, columns: COLUMNS }) },
  { way: 'single_merged', ddl: 'id int8 primary key, total int8', options: table => ({ table, columns: COLUMNS, key: 'id' }) },
  { way: 'routed', ddl: 'id int8, total int8', options: table => ({ table: () => `${place.schema}.${table}`, columns: COLUMNS }) },
  {
    way: 'routed_merged',
    ddl: 'id int8 primary key, total int8',
    options: table => ({ table: () => `${place.schema}.${table}`, columns: COLUMNS, key: 'id' }),
  },
]

function totalsIn(table: string, read = 'total'): Promise<{ count: number; wrong: number }[]> {
  return place.query(`select count(*)::int, (count(*) filter (where (${read})::int8 <> id * 3))::int as wrong from ${table}`)
}

describe('a column that is altered to another type under a running stream', () => {
  describe.for(WAYS)('$way', ({ way, ddl, options }) => {
    test.for([
      { type: 'float8', of: 'the same width', rows: 3 },
      { type: 'float8', of: 'the same width', rows: MANY },
      { type: 'timestamptz using to_timestamp(total / 1000.0)', of: 'the same width and no conversion', rows: 3 },
      { type: 'numeric', of: 'another width', rows: 3 },
      { type: 'numeric', of: 'another width', rows: MANY },
    ])('of $of: $type, $rows rows: the attempt leaves nothing, and the next one encodes for it', async ({ type, rows }) => {
      const table = `${way}_${type.split(' ')[0]}_${rows}`
      await place.query(`drop table if exists ${table}; create table ${table} (${ddl})`)
      const sink = await readySink<Total>(place, options(table), table)
      const value = (id: number): Total => ({ id, total: id * 3 })
      await sink.write(task({ output: table }), rowsOf([value(-1)]), running)
      await place.query(`alter table ${table} alter total type ${type}`)
      const second = task({ output: table, index: 1 })
      const write = () => sink.write(second, manyRows(rows, value), running)
      await expect(write()).rejects.toMatchObject({
        code: 'CONNECTION',
        retryable: true,
        message: expect.stringMatching(/^Column total of .* \(bigint, now (double|timestamp|numeric).*Nothing of them was written/),
        details: { output: table, index: 1, altered: [expect.stringContaining('total of ')] },
      })
      expect(await place.query(`select id::int from ${table}`)).toEqual([{ id: -1 }])
      expect(await sink.applied?.(second)).toBe(false)
      await write()
      // A number is a time in ms.
      const read = type.startsWith('timestamptz') ? 'extract(epoch from total) * 1000' : 'total'
      expect(await totalsIn(table, read)).toEqual([{ count: rows + 1, wrong: 0 }])
      expect((await ledgerOf(place)).filter(({ output }) => output === table)).toHaveLength(2)
    })

    test('while its rows come waits for them, and converts them with the others', async () => {
      const table = `${way}_during`
      await place.query(`drop table if exists ${table}; create table ${table} (${ddl})`)
      const sink = await readySink<Total>(place, options(table), table)
      const another = await makeConnection()
      let altered: Promise<unknown> | undefined
      async function* rows() {
        for await (const some of manyRows(10 * MANY, (id): Total => ({ id, total: id * 3 }))) {
          // Once the server has taken rows of it the attempt holds its lock, or it has none of this table yet and is told later.
          altered ??= some[0]?.id === 9 * MANY ? another.query(`alter table ${place.schema}.${table} alter total type float8`) : undefined
          yield some
        }
      }
      const first = await sink.write(task({ output: table }), rows(), running).then(
        () => 'written',
        error => error,
      )
      await altered
      await another.end()
      if (first !== 'written') {
        // A merge comes behind all rows, so whoever alters before it is first.
        expect(first).toMatchObject({ code: 'CONNECTION', retryable: true })
        await sink.write(
          task({ output: table }),
          manyRows(10 * MANY, id => ({ id, total: id * 3 })),
          running,
        )
      } else expect(way).not.toContain('merged')
      expect(await totalsIn(table)).toEqual([{ count: 10 * MANY, wrong: 0 }])
    })
  })

  test('of one table of several takes back the rows of all', async () => {
    await place.query('create table among_a (id int8, total int8); create table among_b (id int8, total int8)')
    const table = ({ id }: Total) => `${place.schema}.among_${id % 2 === 0 ? 'a' : 'b'}`
    const sink = await readySink<Total>(place, { table, columns: COLUMNS }, 'among')
    const rows = () => manyRows(10, (id): Total => ({ id, total: id * 3 }))
    await sink.write(task({ output: 'among' }), rows(), running)
    await place.query('alter table among_b alter total type float8')
    await expect(sink.write(task({ output: 'among', index: 1 }), rows(), running)).rejects.toMatchObject({
      retryable: true,
      details: { altered: [expect.stringMatching(/^total of .*among_b/)] },
    })
    expect(await totalsIn('among_a')).toEqual([{ count: 5, wrong: 0 }])
    await sink.write(task({ output: 'among', index: 1 }), rows(), running)
    expect([...(await totalsIn('among_a')), ...(await totalsIn('among_b'))]).toEqual([
      { count: 10, wrong: 0 },
      { count: 10, wrong: 0 },
    ])
  })

  test('of tasks that go in one transaction fails each of them, and each comes again', async () => {
    await place.query('create table together (id int8, total int8)')
    const sink = await readySink<Total>(place, { table: 'together', columns: COLUMNS }, 'together')
    await sink.write(task({ output: 'together' }), rowsOf([{ id: 0, total: 0 }]), running)
    await place.query('alter table together alter total type float8')
    const writeAll = () =>
      Promise.allSettled(
        [1, 2, 3, 4].map(index => sink.write(task({ output: 'together', index }), rowsOf([{ id: index, total: index * 3 }]), running)),
      )
    for (const outcome of await writeAll()) expect(outcome).toMatchObject({ status: 'rejected', reason: { retryable: true } })
    for (const outcome of await writeAll()) expect(outcome).toMatchObject({ status: 'fulfilled' })
    expect(await totalsIn('together')).toEqual([{ count: 5, wrong: 0 }])
  })
})

async function makeConnection(): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: place.connectionString })
  await client.connect()
  return client
}
