import { Pool } from 'pg'
import { beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { postgresOffsets } from '../../../offsets/postgres/index.ts'
import { startFaultProxy } from '../../support/services/fault-proxy.ts'
import { findFreePorts } from '../../support/services/free-port.ts'
import type { Service } from '../../support/services/service.ts'
import { startPostgres } from '../../support/services/start-postgres.ts'
import { services } from '../../support/services.ts'
import { connect, makeUser, oneBatch, openStore, uniqueName } from './own-schema.ts'

/** An error of a store, which must not have the password anywhere. */
async function errorOf(call: Promise<unknown>): Promise<unknown> {
  const error: unknown = await call.then(
    () => 'no error',
    thrown => thrown,
  )
  expect(`${error} ${JSON.stringify(error)}`).not.toContain('hidden')
  return error
}

describe('a server', () => {
  test('that nobody runs is named by its address, in a retryable error', async () => {
    const [port] = await findFreePorts(1)
    await using store = postgresOffsets({ connectionString: `postgres://me:hidden@127.0.0.1:${port}/orders` })
    for (const call of [store.read('orders'), store.acquire('orders', 'first', 60_000)]) {
      const message = expect.stringContaining(`The offset store at 127.0.0.1:${port}/orders cannot be reached`)
      expect(await errorOf(call)).toMatchObject({ code: 'CONNECTION', retryable: true, message })
    }
  })

  test('that takes connections and never answers is given up', async () => {
    await using proxy = await startFaultProxy(services().postgres)
    proxy.hold()
    const stores = [{ connectionString: proxy.address }, { pool: new Pool({ connectionString: proxy.address }) }].map(postgresOffsets)
    for (const error of await Promise.all(stores.map(store => errorOf(store.read('orders'))))) {
      expect(error).toMatchObject({ code: 'CONNECTION', retryable: true })
    }
  })

  test('without the database says so', async () => {
    const url = new URL(services().postgres)
    url.pathname = '/no-such-database'
    await using store = postgresOffsets({ connectionString: url.href })
    expect(await errorOf(store.read('orders'))).toMatchObject({
      code: 'CONFIG',
      message: expect.stringContaining('has no such database'),
    })
  })

  test('that is read-only is read from, and says so to a write', async () => {
    const schema = uniqueName('readonly')
    const store = await openStore(schema)
    await store.acquire('orders', 'first', 60_000)
    const { name, connectionString } = await makeUser(await connect(), 'superuser')
    await (await connect()).query(`alter role ${name} set default_transaction_read_only = on`)
    await using reader = postgresOffsets({ connectionString, schema })
    expect((await reader.read('orders')).epoch).toBe(1)
    expect(await errorOf(reader.acquire('orders', 'first', 60_000))).toMatchObject({
      code: 'CONNECTION',
      message: expect.stringContaining('is read-only'),
    })
  })
})

describe('a login', () => {
  let own: Service
  beforeAll(async () => {
    own = await startPostgres({ own: true })
    return () => own.close()
  })

  test('with a wrong password, or none, is refused at once', async () => {
    const admin = await connect(own.address)
    await admin.query("create role me login password 'right'")
    const { user } = admin
    // The server writes the file itself, wherever it runs.
    const { rows } = await admin.query("select current_setting('hba_file') as path")
    const lines = [`host all ${user} all trust`, 'host all all all scram-sha-256'].map(line => `('${line}')`)
    await admin.query(`copy (values ${lines.join(', ')}) to '${rows[0].path}'; select pg_reload_conf()`)
    const url = new URL(own.address)
    url.username = 'me'
    for (const password of ['hidden', '']) {
      url.password = password
      await using store = postgresOffsets({ connectionString: url.href })
      await expect.poll(() => errorOf(store.read('orders'))).toMatchObject({ code: 'AUTH', retryable: false })
    }
    url.password = 'right'
    await using store = postgresOffsets({ connectionString: url.href })
    expect(await store.streams()).toEqual([])
  })
})

describe('connections', () => {
  test('that the server ends while they are idle do no harm', async () => {
    const schema = uniqueName('ended')
    await openStore(schema)
    const pool = new Pool({ connectionString: services().postgres, application_name: schema })
    onTestFinished(() => pool.end())
    const store = postgresOffsets({ pool, schema })
    const admin = await connect()
    const lease = await store.acquire('orders', 'first', 60_000)
    for (let id = 1; id <= 3; id++) {
      await store.begin(lease, oneBatch(id))
      await admin.query('select pg_terminate_backend(pid) from pg_stat_activity where application_name = $1', [schema])
      await store.commit(lease, id)
    }
    expect((await store.read('orders')).lastBatchId).toBe(3)
  })

  test('of a pool that was given stay open when the store is closed, and the store may be used again', async () => {
    const schema = uniqueName('given')
    await openStore(schema)
    const pool = new Pool({ connectionString: services().postgres })
    onTestFinished(() => pool.end())
    const store = postgresOffsets({ pool, schema })
    await store.acquire('orders', 'first', 60_000)
    const listeners = pool.listenerCount('error')
    await store.close()
    await store.close()
    expect(pool.listenerCount('error')).toBe(listeners - 1)
    expect((await pool.query('select 1 as one')).rows).toEqual([{ one: 1 }])
    // The lease was released: another owner need not wait for it.
    expect(await store.acquire('orders', 'second', 60_000)).toMatchObject({ epoch: 2 })
    await store.close()
    expect(pool.idleCount).toBe(pool.totalCount)
  })

  test('of a pool whose values are parsed in another way give the same answers', async () => {
    const schema = uniqueName('parsed')
    const plain = await openStore(schema)
    const getTypeParser = () => () => 'not this'
    const pool = new Pool({ connectionString: services().postgres, types: { getTypeParser } })
    onTestFinished(() => pool.end())
    await using store = postgresOffsets({ pool, schema })
    const lease = await store.acquire('orders', 'first', 60_000)
    await store.begin(lease, oneBatch(1))
    await store.commit(lease, 1)
    expect(await store.snapshot('orders')).toEqual(await plain.snapshot('orders'))
  })
})
