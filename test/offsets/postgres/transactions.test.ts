import { Pool } from 'pg'
import { describe, expect, onTestFinished, test } from 'vitest'
import { postgresOffsets } from '../../../offsets/postgres/index.ts'
import { PostgresOffsetStore } from '../../../offsets/postgres/postgres-offset-store.ts'
import { waitUntil } from '../../support/services/wait-until.ts'
import { services } from '../../support/services.ts'
import { connect, makeUser, oneBatch, openStore, uniqueName } from './own-schema.ts'

/** A pool of one connection whose every message to the server passes `before` first. */
function watchedPool(connectionString: string, before: (text: string, send: (text: string) => Promise<unknown>) => Promise<void>): Pool {
  const pool = new Pool({ connectionString, max: 1 })
  pool.on('connect', client => {
    const query = client.query.bind(client)
    const send = (text: string) => query(text)
    Object.assign(client, { query: async (config: { text: string }) => before(config.text, send).then(() => query(config)) })
  })
  onTestFinished(() => pool.end())
  return pool
}

describe('a write', () => {
  test('is two messages, and a look is one', async () => {
    const schema = uniqueName('messages')
    await openStore(schema)
    let messages = 0
    const pool = watchedPool(services().postgres, async () => void messages++)
    await using store = postgresOffsets({ pool, schema })
    const lease = await store.acquire('orders', 'first', 60_000)
    const count = async (call: () => Promise<unknown>) => {
      messages = 0
      await call()
      return messages
    }
    expect(await count(() => store.begin(lease, oneBatch(1)))).toBe(2)
    expect(await count(() => store.commit(lease, 1))).toBe(2)
    expect(await count(() => store.renew(lease))).toBe(2)
    expect(await count(() => store.read('orders'))).toBe(1)
    expect(await count(() => store.snapshot('orders'))).toBe(1)
  })

  test('is flushed where the server would not, at read committed, and leaves the session as it was', async () => {
    const schema = uniqueName('flushed')
    await openStore(schema)
    const { name, connectionString } = await makeUser(await connect(), 'superuser')
    const settings = ['synchronous_commit', 'transaction_isolation', 'lock_timeout', 'idle_in_transaction_session_timeout']
    await (await connect()).query(
      `alter role ${name} set synchronous_commit = off; alter role ${name} set default_transaction_isolation = serializable`,
    )
    const show = `select ${settings.map(setting => `current_setting('${setting}') as ${setting}`).join(', ')}`
    const seen: unknown[] = []
    const pool = watchedPool(connectionString, async (text, send) => {
      if (text.endsWith('commit') && !text.startsWith('begin')) seen.push(((await send(show)) as { rows: unknown[] }).rows[0])
    })
    await using store = postgresOffsets({ pool, schema })
    const lease = await store.acquire('orders', 'first', 60_000)
    await store.begin(lease, oneBatch(1))
    await store.commit(lease, 1)
    const inside = {
      synchronous_commit: 'on',
      transaction_isolation: 'read committed',
      lock_timeout: '10s',
      idle_in_transaction_session_timeout: '5s',
    }
    expect(seen.slice(-3)).toEqual([inside, inside, inside])
    const outside = {
      synchronous_commit: 'off',
      transaction_isolation: 'serializable',
      lock_timeout: '0',
      idle_in_transaction_session_timeout: '0',
    }
    const client = await pool.connect()
    const { rows } = await client.query({ text: show })
    client.release()
    expect(rows).toEqual([outside])
  })

  test('does not wait for ever for a lock that somebody holds who does nothing', async () => {
    const schema = uniqueName('locked')
    await openStore(schema)
    const store = new PostgresOffsetStore({ connectionString: services().postgres, schema }, { patience: { lockMs: 200, idleMs: 10_000 } })
    onTestFinished(() => store.close())
    const lease = await store.acquire('orders', 'first', 60_000)
    const holder = await connect()
    await holder.query(`begin; select * from ${schema}.streams for update`)
    await expect(store.begin(lease, oneBatch(1))).rejects.toMatchObject({
      code: 'TIMEOUT',
      retryable: true,
      message: expect.stringContaining('waiting for a lock that another session holds'),
    })
    await holder.query('rollback')
    await store.begin(lease, oneBatch(1))
  })

  test('that was stopped in its midst keeps nobody from taking over, and is fenced when it goes on', async () => {
    const schema = uniqueName('stopped')
    await openStore(schema)
    const waiting = Promise.withResolvers<void>()
    const goOn = Promise.withResolvers<void>()
    let isStopping = false
    // What a stopped process does: it has the lock, and its next message does not come.
    const pool = watchedPool(services().postgres, async text => {
      if (!isStopping || text.startsWith('begin')) return
      isStopping = false
      waiting.resolve()
      await goOn.promise
    })
    const stopped = new PostgresOffsetStore({ pool, schema }, { patience: { lockMs: 5_000, idleMs: 300 } })
    const lease = await stopped.acquire('orders', 'first', 60_000)
    isStopping = true
    const call = stopped.begin(lease, oneBatch(1))
    await waiting.promise
    const other = await openStore(schema)
    expect(await other.acquire('orders', 'second', 60_000, { steal: true })).toMatchObject({ epoch: 2 })
    goOn.resolve()
    await expect(call).rejects.toMatchObject({ code: 'FENCED' })
    expect((await other.read('orders')).pending).toBeUndefined()
  })

  test('whose caller goes away while it waits for a lock never happens', async () => {
    const schema = uniqueName('aborted')
    const store = await openStore(schema)
    const lease = await store.acquire('orders', 'first', 60_000)
    const holder = await connect()
    const admin = await connect()
    await holder.query(`begin; select * from ${schema}.streams for update`)
    const abort = new AbortController()
    const call = store.begin(lease, oneBatch(1), { signal: abort.signal })
    const isWaiting = () =>
      admin
        .query(`select 1 from pg_stat_activity where wait_event_type = 'Lock' and query like '%"${schema}"%'`)
        .then(({ rowCount }) => rowCount === 1)
    await waitUntil('the call waits for the lock', isWaiting)
    const reason = new Error('not wanted any more')
    abort.abort(reason)
    await expect(call).rejects.toBe(reason)
    await holder.query('rollback')
    await waitUntil('nobody waits for the lock', async () => !(await isWaiting()))
    await store.renew(lease)
    expect((await store.read('orders')).pending).toBeUndefined()
  })
})

test('names with U+0000 and with what escapes it come back as they were, everywhere', async () => {
  const schema = uniqueName('odd')
  const store = await openStore(schema)
  const odd = ['a\0b', 'a\u0001b', 'a\u00010b', 'a\\u0000b']
  for (const name of odd) {
    const lease = await store.acquire(name, `owner ${name}`, 60_000)
    await store.reset(lease, [{ topic: name, partition: 0, offset: 0, topicId: name }], { reason: `because ${name}` })
    await store.begin(lease, { ...oneBatch(1, name), facts: { [name]: name } })
    await store.commit(lease, 1)
    await store.begin(lease, oneBatch(2, name))
    await store.reset(lease, [], { discard: true, reason: name })
    await expect(store.acquire(name, 'other', 60_000)).rejects.toMatchObject({ message: expect.stringContaining(`owner ${name}`) })
    expect(await store.snapshot(name)).toMatchObject({
      stream: name,
      offsets: [{ topic: name, partition: 0, offset: 10 }],
      history: [
        { kind: 'reset', reason: `because ${name}`, offsets: [{ topic: name, partition: 0, offset: 0, topicId: name }] },
        { kind: 'batch', batch: { ...oneBatch(1, name), facts: { [name]: name } } },
        { kind: 'discard', reason: name, batch: oneBatch(2, name) },
      ],
    })
    await store.retire(lease, `note ${name}`)
    expect((await store.read(name)).retired).toBe(`note ${name}`)
  }
  expect(await store.streams()).toEqual(odd.toSorted())
})

test('a call that is told to stop in the moment when its connection comes changes nothing over it', async () => {
  const schema = uniqueName('told')
  const own = await openStore(schema)
  const lease = await own.acquire('orders', 'first', 60_000)
  const pool = watchedPool(services().postgres, async () => {})
  const connect = pool.connect.bind(pool)
  let connected = () => {}
  Object.assign(pool, {
    connect: (callback: Parameters<typeof connect>[0]) =>
      connect((error, client, release) => {
        callback(error, client, release)
        connected()
      }),
  })
  await using store = postgresOffsets({ pool, schema })
  await store.read('orders')
  // One of these is later than the store has stopped listening for the abort, and earlier than it sends.
  for (let turns = 0; turns < 10; turns++) {
    const abort = new AbortController()
    connected = () => {
      let turn = Promise.resolve()
      for (let left = turns; left > 0; left--) turn = turn.then(() => {})
      turn.then(() => abort.abort(new Error('told to stop')))
    }
    await expect(store.begin(lease, oneBatch(1), { signal: abort.signal })).rejects.toThrow('told to stop')
  }
  connected = () => {}
  await store.renew(lease)
  expect(await own.read('orders')).toMatchObject({ lastBatchId: 0, pending: undefined })
})
