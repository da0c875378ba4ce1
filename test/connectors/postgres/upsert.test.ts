import { beforeAll, describe, expect, test } from 'vitest'
import { makePlace, mark, type Place, readySink, rowsOf, running, task } from './postgres-task.ts'

type Item = { id: number; v?: number | null; name?: string | null; gone?: boolean }

let place: Place
let tables = 0
beforeAll(async () => {
  place = await makePlace()
})

async function itemTable(): Promise<string> {
  tables += 1
  await place.query(`create table items_${tables} (id int8 primary key, v int8, name text not null default '')`)
  return `items_${tables}`
}

function rowsIn(table: string): Promise<object[]> {
  return place.query(`select id::int, v::int, name from ${table} order by id`)
}

describe('rows with a key', () => {
  test('replace each other, and the last of a task counts', async () => {
    const table = await itemTable()
    const sink = await readySink<Item>(place, { table, columns: ['id', 'v', 'name'], key: 'id' }, table)
    await sink.write(
      task({ output: table }),
      rowsOf<Item>([
        { id: 1, v: 1, name: 'a' },
        { id: 2, v: 1, name: 'b' },
        { id: 1, v: 2, name: 'c' },
      ]),
      running,
    )
    await sink.write(task({ output: table, index: 1 }), rowsOf<Item>([{ id: 2, v: null, name: 'd' }]), running)
    expect(await rowsIn(table)).toEqual([
      { id: 1, v: 2, name: 'c' },
      { id: 2, v: null, name: 'd' },
    ])
    expect(sink.ordering).toBe('partition')
  })

  test('of several columns, and with nothing but the key', async () => {
    await place.query('create table pairs (a int8, b text, unique (b, a))')
    const sink = await readySink<{ a: number; b: string }>(place, { table: 'pairs', columns: ['a', 'b'], key: ['a', 'b'] }, 'pairs')
    for (const index of [0, 1])
      await sink.write(
        task({ output: 'pairs', index }),
        rowsOf([
          { a: 1, b: 'x' },
          { a: 1, b: 'x' },
        ]),
        running,
      )
    expect(await place.query('select a::int, b from pairs')).toEqual([{ a: 1, b: 'x' }])
  })

  test('of a type that the server has to read', async () => {
    await place.query('create table hosts (host inet primary key, seen int8)')
    const sink = await readySink<{ host: string; seen: number }>(place, { table: 'hosts', columns: ['host', 'seen'], key: 'host' }, 'hosts')
    await sink.write(
      task({ output: 'hosts' }),
      rowsOf([
        { host: '10.0.0.1', seen: 1 },
        { host: '10.0.0.1/32', seen: 2 },
      ]),
      running,
    )
    expect(await place.query('select host::text, seen::int from hosts')).toEqual([{ host: '10.0.0.1/32', seen: 2 }])
  })

  test('without a value for the key are refused', async () => {
    await place.query('create table nullable (id int8 unique, v int8)')
    const sink = await readySink<Item>(place, { table: 'nullable', columns: ['id', 'v'], key: 'id' }, 'nullable')
    await expect(sink.write(task({ output: 'nullable' }), rowsOf<Item>([{ id: null as never }]), running)).rejects.toMatchObject({
      code: 'RECORD',
      details: { row: 1, column: 'id' },
    })
  })

  test('of many tasks side by side over the same keys all get in', async () => {
    const table = await itemTable()
    const sink = await readySink<Item>(place, { table, columns: ['id', 'v', 'name'], key: 'id' }, table)
    const write = (index: number, ids: readonly number[]) =>
      sink.write(task({ output: table, index }), rowsOf<Item>(ids.map(id => ({ id, v: index, name: 'x' }))), running)
    await Promise.all(Array.from({ length: 20 }, (_, index) => write(index, index % 2 === 0 ? [1, 2, 3] : [3, 2, 1])))
    expect((await rowsIn(table)).map(row => (row as Item).id)).toEqual([1, 2, 3])
  })
})

describe('a version', () => {
  test('keeps the row with the highest, within a task and between tasks; of equal ones the later counts', async () => {
    const table = await itemTable()
    const sink = await readySink<Item>(place, { table, columns: ['id', 'v', 'name'], key: 'id', version: 'v' }, table)
    await sink.write(
      task({ output: table }),
      rowsOf<Item>([
        { id: 1, v: 5, name: 'five' },
        { id: 1, v: 3, name: 'three' },
        { id: 2, v: null, name: 'none' },
        { id: 3, v: 1, name: 'one' },
        { id: 3, v: 1, name: 'one again' },
      ]),
      running,
    )
    await sink.write(
      task({ output: table, index: 1 }),
      rowsOf<Item>([
        { id: 1, v: 4, name: 'four' },
        { id: 2, v: 0, name: 'zero' },
        { id: 3, v: 1, name: 'one at last' },
      ]),
      running,
    )
    expect(await rowsIn(table)).toEqual([
      { id: 1, v: 5, name: 'five' },
      { id: 2, v: 0, name: 'zero' },
      { id: 3, v: 1, name: 'one at last' },
    ])
  })
})

describe('deleteWhen', () => {
  test('deletes the row of the key, whatever else the row lacks, and a later row puts it back', async () => {
    const table = await itemTable()
    const options = { table, columns: ['id', 'v', 'name'] as const, key: 'id' as const, deleteWhen: (row: Item) => row.gone }
    const sink = await readySink<Item>(place, options, table)
    await sink.write(task({ output: table }), rowsOf<Item>([1, 2, 3].map(id => ({ id, v: 1, name: 'x' }))), running)
    await sink.write(
      task({ output: table, index: 1 }),
      rowsOf<Item>([
        { id: 1, gone: true },
        { id: 2, gone: true },
        { id: 2, v: 2, name: 'back' },
        { id: 9, gone: true },
      ]),
      running,
    )
    expect(await rowsIn(table)).toEqual([
      { id: 2, v: 2, name: 'back' },
      { id: 3, v: 1, name: 'x' },
    ])
  })

  test('leaves a row of a higher version alone', async () => {
    const table = await itemTable()
    const options = {
      table,
      columns: ['id', 'v', 'name'] as const,
      key: 'id' as const,
      version: 'v' as const,
      deleteWhen: (row: Item) => row.gone,
    }
    const sink = await readySink<Item>(place, options, table)
    await sink.write(
      task({ output: table }),
      rowsOf<Item>([
        { id: 1, v: 5, name: 'x' },
        { id: 2, v: 5, name: 'x' },
      ]),
      running,
    )
    await sink.write(
      task({ output: table, index: 1 }),
      rowsOf<Item>([
        { id: 1, v: 4, gone: true },
        { id: 2, v: 5, gone: true },
      ]),
      running,
    )
    expect(await rowsIn(table)).toEqual([{ id: 1, v: 5, name: 'x' }])
  })

  test('side by side with upserts of the same keys in another order ends in no deadlock', async () => {
    const table = await itemTable()
    const options = { table, columns: ['id', 'v', 'name'] as const, key: 'id' as const, deleteWhen: (row: Item) => row.gone }
    const sinks = await Promise.all(['x', 'y'].map(output => readySink<Item>(place, options, `${table}-${output}`)))
    for (let batchId = 7; batchId < 27; batchId++) {
      await Promise.all(
        sinks.map(async (sink, at) => {
          const output = `${table}-${'xy'[at]}`
          await sink.fence?.(mark({ output, lastBegun: batchId, lastComplete: batchId - 1 }))
          const rows = Array.from({ length: 200 }, (_, id): Item => (id % 2 === at ? { id, gone: true } : { id, v: batchId, name: 'x' }))
          await sink.write(task({ output, batchId }), rowsOf(rows), running)
        }),
      )
    }
    expect((await place.query('select from sink_ledger where output like $1', [`${table}-%`])).length).toBeGreaterThanOrEqual(2)
  })
})
