import type { PoolClient } from 'pg'
import { beforeAll, describe, expect, test } from 'vitest'
import { ledgerOf, makePlace, type Place, readySink, rowsOf, running, task } from './postgres-task.ts'

type Order = { id: number; total: number }

let place: Place
beforeAll(async () => {
  place = await makePlace()
  await place.query('create table totals (day text primary key, total float8 not null check (total >= 0))')
})

async function addTotals(client: PoolClient, rows: AsyncIterable<readonly Order[]>): Promise<void> {
  for await (const array of rows) {
    for (const { id, total } of array) {
      await client.query(
        `insert into ${place.schema}.totals values ($1, $2) on conflict (day) do update set total = totals.total + excluded.total`,
        [`day ${id}`, total],
      )
    }
  }
}

function totals(): Promise<object[]> {
  return place.query('select day, total from totals order by day')
}

describe('SQL of the job’s own', () => {
  test('is applied once with its ledger row, however often its task comes', async () => {
    const sink = await readySink<Order>(place, { write: addTotals }, 'once')
    expect(sink).toMatchObject({ name: 'postgres:addTotals', ordering: 'partition', guarantee: 'exactly-once' })
    for (let time = 0; time < 3; time++)
      await sink.write(
        task({ output: 'once' }),
        rowsOf([
          { id: 1, total: 2 },
          { id: 1, total: 3 },
        ]),
        running,
      )
    expect(await totals()).toEqual([{ day: 'day 1', total: 5 }])
    expect((await ledgerOf(place)).filter(({ output }) => output === 'once')).toHaveLength(1)
  })

  test('that fails leaves nothing, and says what the server said', async () => {
    const sink = await readySink<Order>(place, { write: addTotals, name: 'failing' }, 'failing')
    await expect(
      sink.write(
        task({ output: 'failing' }),
        rowsOf([
          { id: 2, total: 1 },
          { id: 2, total: -9 },
        ]),
        running,
      ),
    ).rejects.toMatchObject({
      code: 'TASK_FAILED',
      retryable: false,
      message: expect.stringMatching(
        /The SQL of output failing failed in orders\/3 \[120, 180\) of batch 7: .*check constraint.*SQLSTATE 23514/,
      ),
    })
    expect(await place.query("select from totals where day = 'day 2'")).toEqual([])
  })

  test('that throws an error of its own leaves nothing and throws just that', async () => {
    const write = async (client: PoolClient) => {
      await client.query(`insert into ${place.schema}.totals values ('thrown', 1)`)
      throw new RangeError('no')
    }
    const sink = await readySink<Order>(place, { write }, 'thrown')
    await expect(sink.write(task({ output: 'thrown' }), rowsOf<Order>([]), running)).rejects.toThrow(new RangeError('no'))
    expect(await place.query("select from totals where day = 'thrown'")).toEqual([])
  })

  test.each([
    ['commit', 'commit'],
    ['commit and begins another', 'commit; begin'],
    ['rollback', 'rollback'],
  ])('that ends its transaction by %s is told, and has no ledger row', async (_, sql) => {
    const sink = await readySink<Order>(place, { write: async client => client.query(sql) }, sql)
    await expect(sink.write(task({ output: sql }), rowsOf<Order>([]), running)).rejects.toMatchObject({
      code: 'JOB',
      message: expect.stringMatching(/ended its transaction/),
    })
    expect((await ledgerOf(place)).filter(({ output }) => output === sql)).toEqual([])
  })

  test('that meets a deadlock may be tried again', async () => {
    const raise = async (client: PoolClient) => client.query(`do $$ begin raise 'met another' using errcode = '40P01'; end $$`)
    const sink = await readySink<Order>(place, { write: raise }, 'deadlock')
    await expect(sink.write(task({ output: 'deadlock' }), rowsOf<Order>([]), running)).rejects.toMatchObject({
      code: 'CONNECTION',
      retryable: true,
    })
  })

  test('of a fenced attempt is rolled back', async () => {
    const sink = await readySink<Order>(place, { write: addTotals }, 'fenced')
    await expect(sink.write(task({ output: 'fenced', epoch: 0 }), rowsOf([{ id: 7, total: 1 }]), running)).rejects.toMatchObject({
      code: 'FENCED',
    })
    expect(await place.query("select from totals where day = 'day 7'")).toEqual([])
  })
})
