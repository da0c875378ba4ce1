import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { SqliteOffsetStore } from '../../../offsets/sqlite/sqlite-offset-store.ts'
import { ManualClock } from '../../../src/testing/index.ts'

const TTL_MS = 10_000
const HOUR_MS = 3_600_000
let folder: string
let clock: ManualClock
let store: SqliteOffsetStore

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tidemark-sqlite-'))
  clock = new ManualClock()
  store = new SqliteOffsetStore(join(folder, 'offsets.db'), { clock })
})
afterEach(async () => {
  await store.close()
  await rm(folder, { recursive: true })
})

const acquireAsSecond = () => store.acquire('orders', 'second', TTL_MS)

test('a lease lives for its time and not a millisecond longer', async () => {
  await store.acquire('orders', 'first', TTL_MS)
  await clock.advance(TTL_MS - 1)
  await expect(acquireAsSecond()).rejects.toMatchObject({ code: 'LEASE_HELD', details: { owner: 'first', epoch: 1, endsInMs: 1 } })
  await clock.advance(1)
  expect((await acquireAsSecond()).epoch).toBe(2)
})

test('a clock that jumped back a little lets a lease live at most twice its time', async () => {
  await store.acquire('orders', 'first', TTL_MS)
  clock.jump(-TTL_MS + 1)
  await expect(acquireAsSecond()).rejects.toMatchObject({ code: 'LEASE_HELD' })
  await clock.advance(2 * TTL_MS - 1)
  expect((await acquireAsSecond()).epoch).toBe(2)
})

test('a clock that jumped back far lets no lease live for ever', async () => {
  const first = await store.acquire('orders', 'first', TTL_MS)
  clock.jump(-HOUR_MS)
  expect((await acquireAsSecond()).epoch).toBe(2)
  await expect(store.renew(first)).rejects.toMatchObject({ code: 'FENCED' })
})

test('a lease that is renewed after the clock jumped back keeps others away', async () => {
  const first = await store.acquire('orders', 'first', TTL_MS)
  clock.jump(-HOUR_MS)
  await store.renew(first)
  await clock.advance(TTL_MS - 1)
  await expect(acquireAsSecond()).rejects.toMatchObject({ code: 'LEASE_HELD' })
})

test('a clock that jumped on ends a lease early, and its holder can write until somebody takes it', async () => {
  const first = await store.acquire('orders', 'first', TTL_MS)
  clock.jump(HOUR_MS)
  await store.reset(first, [{ topic: 'orders', partition: 0, offset: 1 }])
  await acquireAsSecond()
  await expect(store.reset(first, [])).rejects.toMatchObject({ code: 'FENCED' })
})
