import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { postgresOffsets, postgresOffsetsMigration } from '../../../offsets/postgres/index.ts'
import type { StreamSnapshot } from '../../../src/core/offset-store.ts'
import { services } from '../../support/services.ts'
import { connect, makeUser, oneBatch, openStore, uniqueName } from './own-schema.ts'

describe('tables', () => {
  test('are made when a stream is first acquired, and not by looking', async () => {
    const schema = uniqueName('first "use"; --')
    const store = await openStore(schema)
    const client = await connect()
    const isThere = async () => (await client.query('select 1 from pg_namespace where nspname = $1', [schema])).rowCount === 1
    expect(await store.read('orders')).toMatchObject({ streamId: undefined, epoch: 0 })
    expect(await store.streams()).toEqual([])
    expect(await Array.fromAsync(store.history('orders'))).toEqual([])
    await expect(store.snapshot('orders')).rejects.toMatchObject({ code: 'CONFLICT' })
    expect(await isThere()).toBe(false)
    await store.acquire('orders', 'first', 60_000)
    expect(await isThere()).toBe(true)
  })

  test('are made once by fifty clients that start at the same moment', async () => {
    const schema = uniqueName('fifty')
    await openStore(schema)
    const stores = Array.from({ length: 50 }, () => postgresOffsets({ connectionString: services().postgres, schema }))
    onTestFinished(async () => void (await Promise.all(stores.map(store => store.close()))))
    const leases = await Promise.all(stores.map((store, n) => store.acquire(`orders-${n}`, 'first', 60_000)))
    expect(leases.map(({ epoch }) => epoch)).toEqual(leases.map(() => 1))
    expect(await stores[0]?.streams()).toHaveLength(50)
  })

  test('are made again where somebody dropped them while a store was open', async () => {
    const schema = uniqueName('dropped')
    const store = await openStore(schema)
    const lease = await store.acquire('orders', 'first', 60_000)
    const client = await connect()
    await client.query(`drop schema "${schema}" cascade`)
    expect((await store.read('orders')).streamId).toBeUndefined()
    await expect(store.begin(lease, oneBatch(1))).rejects.toMatchObject({ code: 'FENCED' })
    expect((await store.acquire('orders', 'first', 60_000)).streamId).not.toBe(lease.streamId)
  })

  test('of another application are left as they were found', async () => {
    const schema = uniqueName('foreign')
    const store = await openStore(schema)
    const client = await connect()
    await client.query(`create schema ${schema}; create table ${schema}.offsets (id integer)`)
    await expect(store.acquire('orders', 'first', 60_000)).rejects.toMatchObject({
      code: 'CONFIG',
      message: expect.stringContaining('table offsets of another application'),
    })
    const { rows } = await client.query('select relname from pg_class where relnamespace = $1::regnamespace', [schema])
    expect(rows).toEqual([{ relname: 'offsets' }])
  })

  test('of a newer version are refused by reads and writes, also once the store was at work', async () => {
    const schema = uniqueName('newer')
    const store = await openStore(schema)
    const lease = await store.acquire('orders', 'first', 60_000)
    const client = await connect()
    await client.query(`update ${schema}.offsets_version set version = 2; alter table ${schema}.streams drop column last_seq`)
    const refusal = { code: 'UNSUPPORTED', message: expect.stringContaining('Upgrade tidemark') }
    await expect(store.renew(lease).then(() => store.begin(lease, oneBatch(1)))).rejects.toMatchObject(refusal)
    await using late = postgresOffsets({ connectionString: services().postgres, schema })
    await expect(late.read('orders')).rejects.toMatchObject(refusal)
    await expect(late.acquire('orders', 'second', 60_000)).rejects.toMatchObject(refusal)
  })

  test('of version 1 show all that they hold', async () => {
    const folder = join(import.meta.dirname, '..', '..', 'fixtures')
    const snapshot: StreamSnapshot = JSON.parse(readFileSync(join(folder, 'formats', 'snapshot-v1.json'), 'utf8'))
    const store = await openStore('released_v1')
    const client = await connect()
    await client.query(readFileSync(join(import.meta.dirname, 'tables-v1.sql'), 'utf8'))
    expect(await store.snapshot('orders')).toEqual(snapshot)
    const lease = await store.acquire('orders', 'next', 60_000)
    expect((await store.read('returns "ü"')).retired).toBe('copied to \0 sqlite')
    expect(lease).toMatchObject({ epoch: snapshot.epoch + 1, streamId: snapshot.streamId })
    await store.commit(lease, 3)
    expect((await store.read('orders')).lastBatchId).toBe(3)
  })
})

describe('a user who may not make tables', () => {
  test('is told how to run the migration, and needs no more than its grants afterwards', async () => {
    const schema = uniqueName('granted')
    await openStore(schema)
    const admin = await connect()
    const { name, connectionString } = await makeUser(admin)
    await using store = postgresOffsets({ connectionString, schema })
    await expect(store.acquire('orders', 'first', 60_000)).rejects.toMatchObject({
      code: 'AUTH',
      message: expect.stringContaining(`postgresOffsetsMigration({ schema: "${schema}" })`),
    })

    const migration = postgresOffsetsMigration({ schema })
    await admin.query(migration)
    await admin.query(migration)
    await expect(store.acquire('orders', 'first', 60_000)).rejects.toMatchObject({
      code: 'AUTH',
      message: expect.stringContaining('lacks a right to the tables'),
    })

    const grants = migration.match(/(?<=^-- )grant .*$/gm) ?? []
    expect(grants).toHaveLength(3)
    for (const grant of grants) await admin.query(grant.replace('<user>', name))
    const lease = await store.acquire('orders', 'first', 60_000)
    await store.reset(lease, [{ topic: 'orders', partition: 0, offset: 0 }], { reason: 'start' })
    await store.begin(lease, oneBatch(1))
    await store.commit(lease, 1)
    await store.remove(lease)
  })

  test('may have a schema of his own', async () => {
    const schema = uniqueName('owned')
    await openStore(schema)
    const admin = await connect()
    const { name, connectionString } = await makeUser(admin)
    await admin.query(`create schema ${schema} authorization ${name}`)
    await using store = postgresOffsets({ connectionString, schema })
    expect(await store.acquire('orders', 'first', 60_000)).toMatchObject({ epoch: 1 })
  })
})
