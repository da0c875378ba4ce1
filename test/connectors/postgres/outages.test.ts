import { Client, Pool, type PoolClient } from 'pg'
import { beforeAll, describe, expect, test } from 'vitest'
import { postgresSink } from '../../../connectors/postgres/index.ts'
import { startFaultProxy } from '../../support/services/fault-proxy.ts'
import { startPostgres } from '../../support/services/start-postgres.ts'
import { waitUntil } from '../../support/services/wait-until.ts'
import { attemptsLike, context, makePlace, manyRows, mark, type Place, readySink, rowsOf, running, task } from './postgres-task.ts'
import { ROWS } from './stopped-attempt-parts.ts'

type Order = { id: number; v?: number }

let place: Place
beforeAll(async () => {
  place = await makePlace()
})

/** Cuts the connections of an output's attempts. */
function endAttempts(output: string): Promise<object[]> {
  return place.query('select pg_terminate_backend(pid) from pg_stat_activity where application_name like $1', [attemptsLike(place, output)])
}

/** Rows of which the last come only when `meanwhile` is done. */
async function* interrupted(meanwhile: () => Promise<unknown>): AsyncGenerator<readonly Order[]> {
  yield* manyRows(ROWS - 1000, id => ({ id }))
  await meanwhile()
  yield Array.from({ length: 1000 }, (_, at) => ({ id: ROWS - 1000 + at }))
}

describe('an attempt may be tried again, and is then in once', () => {
  test('after its connection was cut in the middle', async () => {
    await place.query('create table cut (id int8)')
    const sink = await readySink<Order>(place, { table: 'cut', columns: ['id'] }, 'cut')
    const rows = interrupted(() => endAttempts('cut'))
    await expect(sink.write(task({ output: 'cut' }), rows, running)).rejects.toMatchObject({ code: 'CONNECTION', retryable: true })
    expect(await place.query('select * from cut')).toEqual([])
    await sink.write(
      task({ output: 'cut' }),
      interrupted(async () => {}),
      running,
    )
    expect(await place.query('select count(*)::int from cut')).toEqual([{ count: ROWS }])
  })

  test('after a deadlock with somebody else', async () => {
    await place.query('create table dead (id int8 primary key, v int8); insert into dead values (1, 0), (2, 0)')
    const other = await makePlace()
    const url = new URL(place.connectionString)
    url.searchParams.set('options', '-c deadlock_timeout=3s')
    const connectionString = url.href
    const sink = await readySink<Order>(place, { connectionString, table: 'dead', columns: ['id', 'v'], key: 'id' }, 'dead')
    await other.query(`set deadlock_timeout = '1h'; begin; update ${place.schema}.dead set v = 1 where id = 2`)
    const merge = sink.write(
      task({ output: 'dead' }),
      rowsOf<Order>([
        { id: 1, v: 5 },
        { id: 2, v: 5 },
      ]),
      running,
    )
    merge.catch(() => {})
    await waitUntil('the merge waits for the second row', async () => {
      const rows = await place.query("select from pg_stat_activity where wait_event_type = 'Lock' and application_name like $1", [
        attemptsLike(place, 'dead'),
      ])
      return rows.length > 0
    })
    // The other waits patiently, so the merge is the one that finds the deadlock.
    const waiting = other.query(`update ${place.schema}.dead set v = 1 where id = 1`)
    await expect(merge).rejects.toMatchObject({ code: 'CONNECTION', retryable: true, details: { sqlState: '40P01' } })
    await waiting
    await other.query('commit')
    await sink.write(
      task({ output: 'dead' }),
      rowsOf<Order>([
        { id: 1, v: 5 },
        { id: 2, v: 5 },
      ]),
      running,
    )
    expect(await place.query('select v::int from dead')).toEqual([{ v: 5 }, { v: 5 }])
  })

  test('after the server was killed in the middle and started again', async () => {
    await using server = await startPostgres({ own: true })
    const query = async (text: string) => {
      const client = new Client({ connectionString: server.address })
      await client.connect()
      try {
        return (await client.query(text)).rows
      } finally {
        await client.end()
      }
    }
    await query('create table orders (id int8)')
    const sink = postgresSink<Order>({ connectionString: server.address, table: 'orders', columns: ['id'] })
    await sink.prepare?.(context())
    await sink.fence?.(mark())
    await sink.write(task(), rowsOf<Order>([{ id: -1 }]), running)
    const interruptedTask = task({ index: 1 })
    // What is killed is the server's first process. The one of the connection goes when it finds that out, and may get through to its commit before.
    const outcome = await sink
      .write(
        interruptedTask,
        interrupted(() => server.kill()),
        running,
      )
      .then(
        () => 'applied',
        (error: unknown) => error,
      )
    if (outcome !== 'applied') expect(outcome).toMatchObject({ code: 'CONNECTION', retryable: true })
    const answer = await sink.applied?.(interruptedTask).catch((error: unknown) => error)
    if (typeof answer !== 'boolean') expect(answer).toMatchObject({ code: 'CONNECTION', retryable: true })
    await server.start()
    expect(await sink.applied?.(task())).toBe(true)
    if (outcome === 'applied') expect(await sink.applied?.(interruptedTask)).toBe(true)
    await sink.fence?.(mark({ epoch: 2, owner: 'host:2:b' }))
    await sink.write(
      { ...interruptedTask, epoch: 2 },
      interrupted(async () => {}),
      running,
    )
    expect(await query('select count(*)::int, count(distinct id)::int as ids from orders')).toEqual([{ count: ROWS + 1, ids: ROWS + 1 }])
    await sink.close?.()
  })
})

test('a failure of all tasks at once leaves the sink able to go on', async () => {
  await place.query('create table flood (id int8)')
  const sink = await readySink<Order>(place, { table: 'flood', columns: ['id'] }, 'flood')
  const writeAll = () =>
    Promise.allSettled(
      Array.from({ length: 30 }, (_, index) => sink.write(task({ output: 'flood', index }), rowsOf([{ id: index }]), running)),
    )
  const first = writeAll()
  await endAttempts('flood')
  await first
  const second = await writeAll()
  expect(second.filter(({ status }) => status === 'rejected')).toEqual([])
  expect(await place.query('select count(*)::int, count(distinct id)::int as ids from flood')).toEqual([{ count: 30, ids: 30 }])
})

test('an attempt that is told to stop while it waits for a connection of the caller’s pool ends at once and writes nothing', async () => {
  await place.query('create table late (id int8)')
  const pool = new Pool({ connectionString: place.connectionString, max: 1 })
  const write = async (client: PoolClient) => client.query(`insert into ${place.schema}.late values (1)`)
  const parts = { connectionString: undefined, pool, name: 'late', write } as unknown as Parameters<typeof readySink<Order>>[1]
  const sink = await readySink<Order>(place, parts, 'late')
  const held = await pool.connect()
  const abort = new AbortController()
  const attempt = sink.write(task({ output: 'late' }), rowsOf([]), { ...running, signal: abort.signal })
  await waitUntil('the attempt waits for the connection', async () => pool.waitingCount === 1)
  abort.abort(new Error('told to stop'))
  await expect(attempt).rejects.toThrow('told to stop')
  held.release()
  await waitUntil('the connection that came too late is back', async () => pool.idleCount === 1)
  expect(await place.query('select * from late')).toEqual([])
  await sink.write(task({ output: 'late' }), rowsOf([]), running)
  expect(await place.query('select id::int from late')).toEqual([{ id: 1 }])
  await pool.end()
})

test('more tasks at a time than the sink has connections wait for their turn, however long it takes', async () => {
  await place.query('create table queue (id int8)')
  const sink = await readySink<Order>(place, { table: 'queue', columns: ['id'] }, 'queue')
  // Longer than a connection to a server that is away is waited for.
  const rows = () => interrupted(() => new Promise(resolve => setTimeout(resolve, 6_000)))
  await Promise.all(Array.from({ length: 11 }, (_, index) => sink.write(task({ output: 'queue', index }), rows(), running)))
  expect(await place.query('select count(*)::int from queue')).toEqual([{ count: 11 * ROWS }])
})

test('a fence over a connection that died without a word is an error that passes, and the next one goes through', async () => {
  await place.query('create table mute (id int8)')
  await using proxy = await startFaultProxy(place.connectionString)
  const sink = await readySink<Order>(place, { connectionString: proxy.address, table: 'mute', columns: ['id'] }, 'mute')
  proxy.hold()
  const next = mark({ output: 'mute', lastBegun: 8, lastComplete: 7 })
  await expect(sink.fence?.(next)).rejects.toMatchObject({ code: 'CONNECTION', retryable: true })
  proxy.release()
  await sink.fence?.(next)
  expect(await place.query("select last_begun::int from sink_fences where output = 'mute'")).toEqual([{ last_begun: 8 }])
})
