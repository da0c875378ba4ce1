import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Sink } from '../../../src/core/sink.ts'
import { waitUntil } from '../../support/services/wait-until.ts'
import { attemptsLike, makePlace, manyRows, mark, type Place, readySink, running, task } from './postgres-task.ts'
import { ROWS, type RoutedRow, routedOptions, routedRow, type StoppedAttempt } from './stopped-attempt-parts.ts'

type Order = { id: number }

let place: Place
const children: ChildProcess[] = []
beforeAll(async () => {
  place = await makePlace()
})
afterAll(() => {
  for (const child of children) child.kill('SIGKILL')
})

/** Starts an attempt in a process of its own and waits until it has stopped itself. */
async function stopAttempt(parts: Pick<StoppedAttempt, 'table' | 'output' | 'at' | 'key' | 'write' | 'routed'>) {
  const argument: StoppedAttempt = { connectionString: place.connectionString, schema: place.schema, ...parts }
  const child = spawn(process.execPath, [fileURLToPath(new URL('./stopped-attempt.ts', import.meta.url)), JSON.stringify(argument)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  children.push(child)
  const said = text(child.stdout)
  const exited = once(child, 'exit')
  await waitUntil('the attempt has stopped', async () => {
    const stat = await readFile(`/proc/${child.pid}/stat`, 'latin1')
    return stat.slice(stat.lastIndexOf(')') + 2).startsWith('T')
  })
  return {
    /** Ends it where it stands. */
    kill: async () => {
      child.kill('SIGKILL')
      await exited
    },
    /** Wakes it and gives what it says at its end. */
    wake: async () => {
      child.kill('SIGCONT')
      await exited
      return (await said).trim()
    },
  }
}

async function sinkOf(table: string, options: { key?: 'id' } = {}): Promise<Sink<Order>> {
  await place.query(`create table ${table} (id int8 ${options.key ? 'primary key' : ''})`)
  return readySink<Order>(place, { table, columns: ['id'], ...options }, table)
}

function attempts(output: string): Promise<object[]> {
  return place.query("select pid, state from pg_stat_activity where application_name like $1 and state <> 'idle'", [
    attemptsLike(place, output),
  ])
}

async function writeAll(sink: Sink<Order>, output: string, epoch = 2): Promise<void> {
  await sink.write(
    task({ output, epoch }),
    manyRows(ROWS, id => ({ id })),
    running,
  )
}

async function countRows(table: string): Promise<number> {
  const [row] = await place.query<{ count: number }>(`select count(*)::int from ${table}`)
  return row?.count ?? 0
}

describe.each<[string, { key?: 'id' }]>([
  ['an append', {}],
  ['an upsert', { key: 'id' }],
])('a zombie in %s', (kind, options) => {
  const name = (point: string) => `${kind}_${point}`.replaceAll(' ', '_')

  test.each(['inside COPY', 'before the ledger row'] as const)(
    'stopped %s is ended by the next epoch, and writes nothing when it wakes',
    async at => {
      const table = name(at.toLowerCase())
      const sink = await sinkOf(table, options)
      const zombie = await stopAttempt({ table, output: table, at, key: options.key !== undefined })
      expect(await attempts(table)).toHaveLength(1)
      await sink.fence?.(mark({ output: table, epoch: 2, owner: 'host:2:b' }))
      expect(await attempts(table)).toHaveLength(0)
      await writeAll(sink, table)
      expect(await zombie.wake()).toBe('CONNECTION')
      expect(await countRows(table)).toBe(ROWS)
    },
  )

  test('stopped after the ledger row has its rows in, and nobody writes them again', async () => {
    const table = name('after')
    const sink = await sinkOf(table, options)
    const zombie = await stopAttempt({ table, output: table, at: 'after it', key: options.key !== undefined })
    await waitUntil('the server has gone through to the commit', async () => (await countRows(table)) === ROWS)
    await sink.fence?.(mark({ output: table, epoch: 2, owner: 'host:2:b' }))
    expect(await sink.applied?.(task({ output: table, epoch: 2 }))).toBe(true)
    await writeAll(sink, table)
    expect(await zombie.wake()).toBe('applied')
    expect(await countRows(table)).toBe(ROWS)
  })

  test('stopped inside COPY is in nobody’s way: its twin of the same epoch and batch finishes', async () => {
    const table = name('twin')
    const sink = await sinkOf(table, options)
    const zombie = await stopAttempt({ table, output: table, at: 'inside COPY', key: options.key !== undefined })
    await writeAll(sink, table, 1)
    expect(await zombie.wake()).toBe('applied')
    expect(await countRows(table)).toBe(ROWS)
  })

  test('whose twin finished and whose ledger row was trimmed writes nothing when it wakes', async () => {
    const table = name('trimmed')
    const sink = await sinkOf(table, options)
    const zombie = await stopAttempt({ table, output: table, at: 'before the ledger row', key: options.key !== undefined })
    await writeAll(sink, table, 1)
    await sink.fence?.(mark({ output: table, lastBegun: 8, lastComplete: 7 }))
    expect(await zombie.wake()).toBe('CONNECTION')
    expect(await countRows(table)).toBe(ROWS)
  })
})

describe.each<[string, boolean]>([
  ['appended, to a table with a primary key and one without', false],
  ['upserted', true],
])('a zombie whose rows are routed to two tables, %s,', (_, isUpsert) => {
  const points = ['inside COPY', 'inside the second COPY', 'before the ledger row'] as const

  async function start(at: StoppedAttempt['at'], what: string) {
    const table = `routed_${isUpsert ? 'upsert' : 'append'}_${what}_${at.toLowerCase().replaceAll(' ', '_')}`.slice(0, 60)
    await place.query(
      `create table ${table}_0 (id int8 primary key, pad text); create table ${table}_1 (id int8 ${isUpsert ? 'primary key' : ''}, pad text)`,
    )
    const sink = await readySink<RoutedRow>(place, routedOptions(place.schema, table, isUpsert), table)
    const zombie = await stopAttempt({ table, output: table, at, key: isUpsert, routed: true })
    const writeRows = (epoch: number) => sink.write(task({ output: table, epoch }), manyRows(ROWS, routedRow), running)
    const counts = async () => [await countRows(`${table}_0`), await countRows(`${table}_1`)]
    return { table, sink, zombie, writeRows, counts }
  }
  const once = [ROWS / 2, ROWS / 2]

  test.each(points)('stopped %s is ended by the next epoch, and writes nothing when it wakes', async at => {
    const { table, sink, zombie, writeRows, counts } = await start(at, 'epoch')
    expect(await attempts(table)).toMatchObject([{ state: at === 'inside the second COPY' ? 'active' : 'idle in transaction' }])
    await sink.fence?.(mark({ output: table, epoch: 2, owner: 'host:2:b' }))
    expect(await attempts(table)).toHaveLength(0)
    expect(await counts()).toEqual([0, 0])
    await writeRows(2)
    expect(await zombie.wake()).toBe('CONNECTION')
    expect(await counts()).toEqual(once)
  })

  test.each(points)('stopped %s is in nobody’s way: its twin of the same epoch and batch finishes', async at => {
    const { zombie, writeRows, counts } = await start(at, 'twin')
    await writeRows(1)
    expect(await counts()).toEqual(once)
    expect(await zombie.wake()).toBe('applied')
    expect(await counts()).toEqual(once)
  })

  test.each(points)('killed %s has left nothing, and the next attempt writes each row once', async at => {
    const { table, sink, zombie, writeRows, counts } = await start(at, 'killed')
    await zombie.kill()
    await sink.fence?.(mark({ output: table, epoch: 2, owner: 'host:2:b' }))
    expect(await counts()).toEqual([0, 0])
    expect(await sink.applied?.(task({ output: table, epoch: 2 }))).toBe(false)
    await writeRows(2)
    expect(await counts()).toEqual(once)
  })
})

test('two outputs in one database: the fence of one ends no attempt of the other', async () => {
  const [first, second] = [await sinkOf('database_1'), await sinkOf('database_2')]
  const zombie = await stopAttempt({ table: 'database_1', output: 'database_1', at: 'inside COPY' })
  await second.fence?.(mark({ output: 'database_2', epoch: 2, owner: 'host:2:b' }))
  expect(await attempts('database_1')).toHaveLength(1)
  expect(await zombie.wake()).toBe('applied')
  expect(await countRows('database_1')).toBe(ROWS)
  await first.fence?.(mark({ output: 'database_1', epoch: 2, owner: 'host:2:b' }))
})

test('own SQL that was stopped with a row locked is ended by the next epoch, and its lock is free', async () => {
  await place.query('create table own_sql (id int8 primary key)')
  const own = async (client: { query(text: string): Promise<unknown> }) =>
    client.query(`insert into ${place.schema}.own_sql values (1) on conflict do nothing`)
  const sink = await readySink<Order>(place, { write: own }, 'own_sql')
  const zombie = await stopAttempt({ table: 'own_sql', output: 'own_sql', at: 'before the ledger row', write: true })
  await sink.fence?.(mark({ output: 'own_sql', epoch: 2, owner: 'host:2:b' }))
  await writeAll(sink, 'own_sql')
  expect(await zombie.wake()).toBe('CONNECTION')
  expect(await countRows('own_sql')).toBe(1)
})
