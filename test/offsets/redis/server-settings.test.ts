import { Redis } from 'ioredis'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { redisOffsets } from '../../../offsets/redis/index.ts'
import { systemRandom } from '../../../src/core/random.ts'
import type { Service } from '../../support/services/service.ts'
import { startRedis } from '../../support/services/start-redis.ts'

const LONG_MS = 600_000
let redis: Service
let admin: Redis
beforeAll(async () => {
  redis = await startRedis({ own: true })
  admin = new Redis(redis.address)
})
afterEach(async () => {
  await admin.config('SET', 'maxmemory-policy', 'noeviction')
  await admin.config('SET', 'maxmemory', '0')
  await admin.config('SET', 'appendonly', 'yes')
})
afterAll(async () => {
  admin.disconnect()
  await redis.close()
})

function urlOf(username: string, password: string): string {
  return Object.assign(new URL(redis.address), { username, password }).href
}

function keepingLog() {
  const warned: string[] = []
  const log = { debug() {}, info() {}, error() {}, warn: (_: object, message = '') => void warned.push(message) }
  return { warned, log }
}

test.for(['allkeys-lru', 'allkeys-lfu', 'allkeys-random'])(
  'a server with maxmemory-policy %s is refused, with what to set',
  async policy => {
    await admin.config('SET', 'maxmemory-policy', policy)
    await using store = redisOffsets({ url: redis.address })
    for (const call of [() => store.read('orders'), () => store.acquire('orders', 'first', LONG_MS)]) {
      await expect(call()).rejects.toMatchObject({
        code: 'CONFIG',
        message: expect.stringMatching(`${policy}.*maxmemory-policy to noeviction`),
      })
    }
    await admin.config('SET', 'maxmemory-policy', 'noeviction')
    expect((await store.acquire(systemRandom.id(), 'first', LONG_MS)).epoch).toBe(1)
  },
)

test('a policy that evicts only keys that expire is accepted: those of a stream never do', async () => {
  await admin.config('SET', 'maxmemory-policy', 'volatile-lru')
  const prefix = systemRandom.id()
  await using store = redisOffsets({ url: redis.address, prefix })
  const lease = await store.acquire('orders', 'first', LONG_MS)
  await store.reset(lease, [{ topic: 'orders', partition: 0, offset: 5 }], { reason: 'start' })
  await store.begin(lease, { id: 1, batchTime: 1, epoch: 1, ranges: [{ topic: 'orders', partition: 0, fromOffset: 5, untilOffset: 9 }] })
  await store.commit(lease, 1)
  await store.restore({ ...(await store.snapshot('orders')), stream: 'copy' })
  const keys = (await admin.keys(`{${prefix}*`)).filter(key => !key.endsWith(':trial'))
  expect(keys.length).toBeGreaterThanOrEqual(9)
  for (const key of keys) expect([key, await admin.ttl(key)]).toEqual([key, -1])
})

test.for([
  ['INFO', '-info'],
  ['CONFIG', '-config'],
] as const)('a user who may not use %s has the policy looked up the other way', async ([name, rule]) => {
  const user = `without-${name}`
  await admin.call('ACL', 'SETUSER', user, 'on', '>hunter2', '~*', '+@all', rule)
  await admin.config('SET', 'maxmemory-policy', 'allkeys-lru')
  const client = new Redis(urlOf(user, 'hunter2'), { enableReadyCheck: false })
  await using store = redisOffsets({ client })
  await expect(store.read('orders')).rejects.toMatchObject({ code: 'CONFIG', message: expect.stringMatching(/allkeys-lru/) })
  client.disconnect()
})

test('a user who may see no setting is warned, once', async () => {
  await admin.call('ACL', 'SETUSER', 'blind', 'on', '>hunter2', '~*', '+@all', '-info', '-config')
  const client = new Redis(urlOf('blind', 'hunter2'), { enableReadyCheck: false })
  const { warned, log } = keepingLog()
  const store = redisOffsets({ client, log })
  await store.read('orders')
  await store.close()
  await store.read('orders')
  expect(warned).toEqual([expect.stringMatching(/neither INFO nor CONFIG GET/)])
  await store.close()
  client.disconnect()
})

test('a server without an append-only file is warned about, once a store', async () => {
  await admin.config('SET', 'appendonly', 'no')
  const { warned, log } = keepingLog()
  const store = redisOffsets({ url: redis.address, log })
  await store.read('orders')
  await store.read('orders')
  await store.close()
  await store.read('orders')
  await store.close()
  expect(warned).toEqual([expect.stringMatching(/keeps no append-only file.*appendonly yes/)])
})

test('without a log the process is warned', async () => {
  await admin.config('SET', 'appendonly', 'no')
  const warned = new Promise<Error>(resolve => process.once('warning', resolve))
  await using store = redisOffsets({ url: redis.address })
  await store.read('orders')
  expect(await warned).toMatchObject({ name: 'TidemarkWarning', message: expect.stringMatching(/append-only/) })
})

test('a server whose memory is full refuses a write whole, may be retried, and goes on once there is room', async () => {
  await using store = redisOffsets({ url: redis.address, prefix: systemRandom.id() })
  const lease = await store.acquire('orders', 'first', LONG_MS)
  const batch = { id: 1, batchTime: 1, epoch: 1, ranges: [{ topic: 'orders', partition: 0, fromOffset: 0, untilOffset: 9 }] }
  await store.begin(lease, batch)
  const before = await store.snapshot('orders')
  await admin.config('SET', 'maxmemory', '1')
  await expect(store.commit(lease, 1)).rejects.toMatchObject({
    code: 'CONNECTION',
    retryable: true,
    message: expect.stringMatching(/is full/),
  })
  await admin.config('SET', 'maxmemory', '0')
  expect(await store.snapshot('orders')).toEqual(before)
  await store.commit(lease, 1)
  expect((await store.read('orders')).lastBatchId).toBe(1)
})

test('a key of another application is told by its name and left alone', async () => {
  const prefix = systemRandom.id()
  await admin.set(`{${prefix}:orders}:history`, 'a song')
  await using store = redisOffsets({ url: redis.address, prefix })
  await expect(store.acquire('orders', 'first', LONG_MS)).rejects.toMatchObject({
    code: 'CONFIG',
    message: expect.stringContaining(`{${prefix}:orders}:history`),
  })
  expect(await admin.keys(`{${prefix}*`)).toEqual([`{${prefix}:orders}:history`])
})

test('a stream of a newer layout is refused by its version', async () => {
  const prefix = systemRandom.id()
  await using store = redisOffsets({ url: redis.address, prefix })
  const lease = await store.acquire('orders', 'first', LONG_MS)
  await admin.hset(`{${prefix}:orders}:head`, 'layout', '7')
  await expect(store.read('orders')).rejects.toMatchObject({ code: 'UNSUPPORTED', message: expect.stringMatching(/layout 7.*knows 1/) })
  await expect(store.renew(lease)).rejects.toMatchObject({ code: 'UNSUPPORTED' })
  await admin.hset(`{${prefix}:orders}:head`, 'layout', '1')
})
