import pg from 'pg'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { Ledger } from '../../../connectors/postgres/ledger.ts'
import { raiseFence } from '../../../connectors/postgres/raise-fence.ts'
import type { PostgresClient } from '../../../src/util/postgres-pool.ts'
import { waitUntil } from '../../support/services/wait-until.ts'
import { attemptsLike, context, ledgerOf, makePlace, mark, type Place, readySink, rowsOf, running, task } from './postgres-task.ts'

type Order = { id: number }

let place: Place
const clients: pg.Client[] = []
beforeAll(async () => {
  place = await makePlace()
})
afterAll(() => Promise.all(clients.map(client => client.end())))

async function connect(): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: place.connectionString })
  client.on('error', () => {})
  await client.connect()
  clients.push(client)
  await client.query(`set search_path to ${place.schema}`)
  return client
}

const asOurs = (client: pg.Client) => client as unknown as PostgresClient

/** The ledger of an output, and the same as a driver has it whose fence ends no backends: what is left is what the fence row does by itself. */
function ledgers(output: string): { own: Ledger; deaf: Ledger } {
  const own = new Ledger(place.schema, 'orders', output, 'Table t of Postgres')
  return { own, deaf: Object.create(own, { prefix: { value: 'tidemark nobody ' } }) }
}

async function sinkOf(table: string) {
  await place.query(`create table ${table} (id int8)`)
  return readySink<Order>(place, { table }, table)
}

describe('the ledger row is refused, and with it the rows, for', () => {
  test('a straggler whose twin finished and whose ledger row was trimmed', async () => {
    const sink = await sinkOf('straggler')
    const own = task({ output: 'straggler' })
    const { own: ledger, deaf } = ledgers('straggler')
    const straggler = await connect()
    await straggler.query(`${ledger.beginSql(own)}; insert into straggler values (1)`)
    await sink.write(own, rowsOf([{ id: 1 }]), running)
    await raiseFence(asOurs(await connect()), deaf, mark({ output: 'straggler', lastBegun: 8, lastComplete: 7 }))
    expect((await ledgerOf(place)).filter(({ output }) => output === 'straggler')).toEqual([])
    await expect(straggler.query(ledger.commitSql([own]))).rejects.toMatchObject({ message: expect.stringMatching(/tidemark\.refused/) })
    await straggler.query('rollback')
    await expect(ledger.judge(asOurs(straggler), own)).rejects.toMatchObject({ code: 'FENCED' })
    expect(await place.query('select id::int from straggler')).toEqual([{ id: 1 }])
  })

  test('a straggler that read the fence before it was raised: the fence waits for it, and then finds it in', async () => {
    await sinkOf('early')
    const own = task({ output: 'early' })
    const { own: ledger, deaf } = ledgers('early')
    const straggler = await connect()
    const [addLedgerRow = '', ...rest] = ledger.commitSql([own]).split(';\ncommit')
    expect(rest).toHaveLength(1)
    await straggler.query(`${ledger.beginSql(own)}; insert into early values (1); ${addLedgerRow}`)
    const driver = await connect()
    let isRaised = false
    const raised = raiseFence(asOurs(driver), deaf, mark({ output: 'early', epoch: 2, owner: 'host:2:b' })).then(() => {
      isRaised = true
    })
    await waitUntil('the fence waits for the lock', async () => {
      const rows = await place.query(
        "select from pg_stat_activity where wait_event_type = 'Lock' and query like 'select stream_id%for update'",
      )
      return rows.length > 0
    })
    expect(isRaised).toBe(false)
    await straggler.query('commit')
    await raised
    expect(await place.query('select id::int from early')).toEqual([{ id: 1 }])
    expect((await ledgerOf(place)).filter(({ output }) => output === 'early')).toHaveLength(1)
  })

  test('one that has its ledger row and never commits: it is ended, since the fence cannot be raised past it', async () => {
    const sink = await sinkOf('stuck')
    const own = task({ output: 'stuck' })
    const { own: ledger } = ledgers('stuck')
    const stuck = await connect()
    await stuck.query(`${ledger.beginSql(own)}; insert into stuck values (1); ${ledger.commitSql([own]).split(';\ncommit')[0]}`)
    await sink.fence?.(mark({ output: 'stuck', epoch: 2, owner: 'host:2:b' }))
    await expect(stuck.query('commit')).rejects.toThrow()
    expect(await place.query('select * from stuck')).toEqual([])
  })

  test('a straggler that waits for the fence to be raised: it sees the raised row, not the one it began with', async () => {
    await sinkOf('late')
    const own = task({ output: 'late' })
    const { own: ledger } = ledgers('late')
    const [straggler, driver] = [await connect(), await connect()]
    await driver.query(`begin; select from sink_fences where output = 'late' for update`)
    await straggler.query(`${ledger.beginSql(own)}; insert into late values (1)`)
    const refused = expect(straggler.query(ledger.commitSql([own]))).rejects.toMatchObject({ code: '42704' })
    await waitUntil('the straggler waits for the lock', async () => {
      const rows = await place.query("select from pg_stat_activity where wait_event_type = 'Lock' and application_name like $1", [
        attemptsLike(place, 'late'),
      ])
      return rows.length > 0
    })
    await driver.query(`update sink_fences set last_begun = 8, last_complete = 7 where output = 'late'; commit`)
    await refused
    await straggler.query('rollback')
    expect(await place.query('select * from late')).toEqual([])
  })

  test.each([
    ['an older epoch', { epoch: 1 }, { epoch: 2, owner: 'host:2:b' }],
    ['a newer epoch than the fence knows', { epoch: 2 }, {}],
    ['a batch that is complete', {}, { lastBegun: 8, lastComplete: 7 }],
    ['a batch that was not begun', { batchId: 8 }, {}],
  ])('%s', async (_, parts, raised) => {
    const output = `refused-${JSON.stringify([parts, raised])}`
    await place.query('create table if not exists refused (id int8)')
    const sink = await readySink<Order>(place, { table: 'refused' }, output)
    await sink.fence?.(mark({ output, ...raised }))
    const write = sink.write(task({ output, ...parts }), rowsOf([{ id: 1 }]), running)
    await expect(write).rejects.toMatchObject({ code: 'FENCED', message: expect.stringMatching(/this one wrote nothing/) })
    expect(await place.query('select * from refused')).toEqual([])
  })

  test('an output without a fence', async () => {
    await place.query('create table unfenced (id int8)')
    const sink = await place.sink<Order>({ table: 'unfenced' })
    await sink.prepare?.(context({ output: 'unfenced' }))
    await expect(sink.write(task({ output: 'unfenced' }), rowsOf([{ id: 1 }]), running)).rejects.toMatchObject({ code: 'FENCED' })
  })

  test('an executor of a stream that was replaced by another of the same name', async () => {
    const old = await sinkOf('replaced')
    const other = await place.sink<Order>({ table: 'replaced' })
    await other.fence?.(mark({ output: 'replaced', streamId: 'id-2', adopt: true }))
    await expect(old.write(task({ output: 'replaced' }), rowsOf([{ id: 1 }]), running)).rejects.toMatchObject({ code: 'FENCED' })
    expect(await place.query('select * from replaced')).toEqual([])
  })
})

describe('the fence', () => {
  test('is raised by many drivers at once to the highest of them, and the others are refused', async () => {
    await place.query('create table raced (id int8)')
    const sinks = await Promise.all(Array.from({ length: 6 }, () => place.sink<Order>({ table: 'raced' })))
    await sinks[0]?.prepare?.(context({ output: 'raced' }))
    const ended = await Promise.allSettled(
      sinks.map((sink, at) => sink.fence?.(mark({ output: 'raced', epoch: at + 1, owner: `host:${at}:x` }))),
    )
    for (const result of ended) if (result.status === 'rejected') expect(result.reason).toMatchObject({ code: 'FENCED' })
    expect(ended.at(-1)?.status).toBe('fulfilled')
    expect(await place.query("select epoch::int from sink_fences where output = 'raced'")).toEqual([{ epoch: 6 }])
  })

  test.each([
    ['the same epoch by another owner', { owner: 'host:2:b' }, /granted twice/],
    ['another stream id', { streamId: 'id-2' }, /has the rows of stream orders with id id-1/],
    ['a batch that the store does not know', { lastBegun: 6, lastComplete: 5 }, /the store was rolled back/],
    [
      'a complete batch that the destination does not know',
      { epoch: 2, lastBegun: 9, lastComplete: 9, lastWritten: { batchId: 9, tasks: 1 } },
      /does not have batches 8 to 9 .* Of batch 7 it has 1 task:/,
    ],
    [
      'a complete batch of which the destination lacks a task',
      { epoch: 2, lastComplete: 7, lastWritten: { batchId: 7, tasks: 2 } },
      /does not have batch 7/,
    ],
  ])('stops the stream at %s, changes nothing, and is set by --adopt', async (name, parts, message) => {
    await place.query('create table if not exists witness (id int8)')
    const sink = await readySink<Order>(place, { table: 'witness' }, name)
    await sink.write(task({ output: name }), rowsOf([{ id: 1 }]), running)
    const before = await place.query('select * from sink_fences where output = $1', [name])
    await expect(sink.fence?.(mark({ output: name, ...parts }))).rejects.toMatchObject({
      code: 'CONFLICT',
      message: expect.stringMatching(message),
    })
    expect(await place.query('select * from sink_fences where output = $1', [name])).toEqual(before)
    expect((await ledgerOf(place)).filter(({ output }) => output === name)).toHaveLength(1)
    await sink.fence?.(mark({ output: name, ...parts, adopt: true }))
    const { streamId, owner, lastBegun } = { ...mark(), ...parts }
    expect(await place.query('select stream_id, owner, last_begun::int from sink_fences where output = $1', [name])).toEqual([
      { stream_id: streamId, owner, last_begun: lastBegun },
    ])
  })

  test('is raised past a driver that was stopped while it raised it, which hears of it when it wakes', async () => {
    const sink = await sinkOf('stopped')
    const [stopped, woken] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
    const pool = new pg.Pool({ connectionString: place.connectionString })
    pool.on('error', () => {})
    pool.once('connect', client => {
      const query = client.query.bind(client) as (...args: unknown[]) => Promise<unknown>
      const stopping = async (...args: readonly [{ readonly text: string }, ...unknown[]]) => {
        // By then it has the lock of the fence row.
        if (args[0].text.startsWith('update')) {
          stopped.resolve()
          await woken.promise
        }
        return query(...args)
      }
      client.query = stopping as unknown as typeof client.query
    })
    const before = await place.sink<Order>({ table: 'stopped', pool, connectionString: undefined })
    const raised = before.fence?.(mark({ output: 'stopped', epoch: 2, owner: 'host:2:b' }))
    const fenced = expect(raised).rejects.toMatchObject({ code: 'FENCED', message: expect.stringMatching(/epoch 3/) })
    await stopped.promise
    await sink.fence?.(mark({ output: 'stopped', epoch: 3, owner: 'host:3:c' }))
    await sink.write(task({ output: 'stopped', epoch: 3 }), rowsOf([{ id: 1 }]), running)
    woken.resolve()
    await fenced
    expect(await place.query("select epoch::int from sink_fences where output = 'stopped'")).toEqual([{ epoch: 3 }])
    await pool.end()
  })

  test('keeps the tasks of the pending batch when it is adopted, and forgets those the store does not know', async () => {
    const sink = await sinkOf('adopted')
    await sink.fence?.(mark({ output: 'adopted', lastBegun: 8 }))
    for (const batchId of [7, 8]) await sink.write(task({ output: 'adopted', batchId }), rowsOf([{ id: batchId }]), running)
    await sink.fence?.(mark({ output: 'adopted', lastBegun: 7, adopt: true }))
    expect((await ledgerOf(place)).filter(({ output }) => output === 'adopted').map(row => row.batch_id)).toEqual(['7'])
  })

  test('asks the ledger once a batch, and again for a task that was asked for before', async () => {
    const sink = await sinkOf('asked')
    const other = await place.sink<Order>({ table: 'asked' })
    expect(await other.applied?.(task({ output: 'asked' }))).toBe(false)
    await sink.write(task({ output: 'asked' }), rowsOf([{ id: 1 }]), running)
    await sink.write(task({ output: 'asked', index: 1 }), rowsOf([{ id: 2 }]), running)
    expect(await other.applied?.(task({ output: 'asked' }))).toBe(true)
    // A first question is answered by what was loaded for the batch; `write` finds out what has become of the task since.
    expect(await other.applied?.(task({ output: 'asked', index: 1 }))).toBe(false)
    await other.write(task({ output: 'asked', index: 1 }), rowsOf([{ id: 2 }]), running)
    expect(await place.query('select id::int from asked order by id')).toEqual([{ id: 1 }, { id: 2 }])
  })
  test('asks the ledger anew once it has fenced, for another driver may have run the batch meanwhile', async () => {
    const sink = await sinkOf('meanwhile')
    expect(await sink.applied?.(task({ output: 'meanwhile' }))).toBe(false)
    const other = await readySink<Order>(place, { table: 'meanwhile' }, 'meanwhile')
    await other.fence?.(mark({ output: 'meanwhile', epoch: 2, owner: 'host:2:b' }))
    for (const index of [0, 1]) {
      await other.write(task({ output: 'meanwhile', index, epoch: 2 }), rowsOf([{ id: index }]), running)
    }
    await sink.fence?.(mark({ output: 'meanwhile', epoch: 3 }))
    expect(await sink.applied?.(task({ output: 'meanwhile', index: 1, epoch: 3 }))).toBe(true)
  })
})
