import type { PoolClient } from 'pg'
import { beforeAll, describe, expect, test } from 'vitest'
import type { PostgresSinkOptions } from '../../../connectors/postgres/options.ts'
import type { Sink } from '../../../src/core/sink.ts'
import { context, ledgerOf, makePlace, mark, type Place, rowsOf, running, task } from './postgres-task.ts'

type Order = { id: number; total: number; gone?: boolean }

let place: Place
beforeAll(async () => {
  place = await makePlace()
})

const COUNT = 3_000
const orders = Array.from({ length: COUNT }, (_, id): Order => ({ id, total: id * 2, ...(id % 10 === 9 && { gone: true }) }))

/** Rows of an attempt that waits behind the first `before` of them: `reached` says that it is there, `go` lets it end. */
function heldRows(before: number, rows: readonly Order[] = orders) {
  const reached = Promise.withResolvers<void>()
  const go = Promise.withResolvers<void>()
  async function* draw(): AsyncGenerator<readonly Order[]> {
    yield rows.slice(0, before)
    reached.resolve()
    await go.promise
    yield rows.slice(before)
  }
  return { rows: draw(), reached: reached.promise, go: () => go.resolve() }
}

/** A driver's sink, which is never opened, and executors' sinks, which are never prepared: each with connections of its own. */
async function startTwins(output: string, options: Partial<PostgresSinkOptions<Order>>) {
  const [driver, one, other] = [await place.sink(options), await place.sink(options), await place.sink(options)]
  await driver.prepare?.(context({ output }))
  await driver.fence?.(mark({ output }))
  await one.open?.(context({ output }))
  await other.open?.(context({ output }))
  return { driver, one, other }
}

const insertAll = (table: string) => async (client: PoolClient, rows: AsyncIterable<readonly Order[]>) => {
  for await (const array of rows) {
    const values = [array.map(({ id }) => id), array.map(({ total }) => total)]
    await client.query(`insert into ${place.schema}.${table} (id, total) select * from unnest($1::int8[], $2::int8[])`, values)
  }
}

type Kind = { readonly table: string; readonly ddl: string; readonly options: (table: string) => Partial<PostgresSinkOptions<Order>> }
const into = (table: string) => ({ table, columns: ['id', 'total'] as const })
const kinds: readonly (Kind & { readonly name: string; readonly rows: number; readonly holdsKeys?: boolean })[] = [
  { name: 'appended by COPY', table: 'appended', ddl: '', options: into, rows: COUNT },
  { name: 'appended to a table with a primary key', table: 'unique_rows', ddl: 'primary key', options: into, rows: COUNT },
  {
    name: 'merged by key, with rows that delete',
    ...{ table: 'merged', ddl: 'primary key', rows: COUNT * 0.9 },
    options: table => ({ ...into(table), key: 'id', deleteWhen: (row: Order) => row.gone }) as Partial<PostgresSinkOptions<Order>>,
  },
  {
    name: 'written by SQL of the job’s own',
    ...{ table: 'own_sql', ddl: '', rows: COUNT },
    options: table => ({ write: insertAll(table) }),
  },
  {
    name: 'written by SQL of the job’s own into a table with a primary key',
    ...{ table: 'own_unique', ddl: 'primary key', rows: COUNT, holdsKeys: true },
    options: table => ({ write: insertAll(table) }),
  },
]

async function countRows(table: string): Promise<{ all: number; ids: number }> {
  const [row] = await place.query<{ all: number; ids: number }>(`select count(*)::int as all, count(distinct id)::int as ids from ${table}`)
  return row ?? { all: 0, ids: 0 }
}

describe.for(kinds)('rows that are $name', ({ table, ddl, options, rows, holdsKeys = false }) => {
  test('are there once when two attempts run side by side, and both resolve', async () => {
    const output = `${table}_race`
    await place.query(`create table ${output} (id int8 ${ddl}, total int8)`)
    const { driver, one, other } = await startTwins(output, options(output))
    const [first, second] = [heldRows(COUNT / 2), heldRows(COUNT / 2)]
    const writing = [one.write(task({ output }), first.rows, running), other.write(task({ output, attempt: 'b' }), second.rows, running)]
    // One of two that insert keys by their own SQL waits for the other's commit, so only that other comes to its middle.
    await (holdsKeys ? Promise.race([first.reached, second.reached]) : Promise.all([first.reached, second.reached]))
    first.go()
    second.go()
    await Promise.all(writing)
    expect(await countRows(output)).toEqual({ all: rows, ids: rows })
    expect((await ledgerOf(place)).filter(row => row.output === output)).toHaveLength(1)
    await endBatch(driver, output)
  })

  test('are there once when one attempt ends while the other is in its middle, which then resolves too', async () => {
    const output = `${table}_late`
    await place.query(`create table ${output} (id int8 ${ddl}, total int8)`)
    const { driver, one, other } = await startTwins(output, options(output))
    const late = heldRows(holdsKeys ? 0 : COUNT / 2)
    const behind = other.write(task({ output, attempt: 'b' }), late.rows, running)
    await late.reached
    await one.write(task({ output }), rowsOf(orders), running)
    late.go()
    await behind
    expect(await countRows(output)).toEqual({ all: rows, ids: rows })
    await endBatch(driver, output)
  })
})

/** What the driver does when all tasks are in: nothing more of that batch may come. */
async function endBatch(driver: Sink<Order>, output: string): Promise<void> {
  await driver.fence?.(mark({ output, lastBegun: 8, lastComplete: 7 }))
  const straggler = await place.sink<Order>({ table: output, columns: ['id', 'total'] })
  await straggler.open?.(context({ output }))
  await expect(straggler.write(task({ output, attempt: 'c' }), rowsOf(orders), running)).rejects.toMatchObject({ code: 'FENCED' })
  await driver.close?.()
}

test('a row that Postgres refuses still fails its task where no twin has it in', async () => {
  await place.query('create table refused (id int8 primary key, total int8)')
  await place.query('insert into refused values (5, 0)')
  const { one } = await startTwins('refused', { table: 'refused', columns: ['id', 'total'] })
  await expect(one.write(task({ output: 'refused' }), rowsOf(orders.slice(0, 10)), running)).rejects.toMatchObject({
    code: 'RECORD',
    details: { row: 6 },
  })
  const own = await startTwins('refused_own', { write: insertAll('refused') })
  await expect(own.one.write(task({ output: 'refused_own' }), rowsOf(orders.slice(0, 10)), running)).rejects.toMatchObject({
    code: 'TASK_FAILED',
    message: expect.stringContaining('SQLSTATE 23505'),
  })
})

test('an executor that hears of no fence does not take what it knew of a batch for another epoch', async () => {
  await place.query('create table adopted (id int8, total int8)')
  const output = 'adopted'
  const { one } = await startTwins(output, into(output) as Partial<PostgresSinkOptions<Order>>)
  await one.write(task({ output }), rowsOf(orders.slice(0, 10)), running)
  const asker = await place.sink<Order>(into(output) as Partial<PostgresSinkOptions<Order>>)
  await asker.open?.(context({ output }))
  // Of the whole batch it has read the ledger by this, and asked for task 1 only.
  expect(await asker.applied?.(task({ output, index: 1, range: { partition: 4 } }))).toBe(false)

  // The store was rolled back to batch 6, and a person has adopted that: batch 7 will be other work.
  const next = await place.sink<Order>(into(output) as Partial<PostgresSinkOptions<Order>>)
  await next.prepare?.(context({ output, adopt: true }))
  await next.fence?.(mark({ output, epoch: 2, owner: 'host:2:b', lastBegun: 6, lastComplete: 6, adopt: true }))
  await next.fence?.(mark({ output, epoch: 2, owner: 'host:2:b', lastBegun: 7, lastComplete: 6 }))
  expect(await asker.applied?.(task({ output, epoch: 2 }))).toBe(false)
})
