import { Cluster } from 'ioredis'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { memoryOffsets } from '../../../offsets/memory/index.ts'
import { redisOffsets } from '../../../offsets/redis/index.ts'
import { isRetryable } from '../../../src/core/errors.ts'
import { systemRandom } from '../../../src/core/random.ts'
import { offsetStoreContract } from '../../../src/testing/index.ts'
import { type RedisCluster, startRedisCluster } from '../../support/services/start-redis-cluster.ts'
import { waitUntil } from '../../support/services/wait-until.ts'

const LONG_MS = 600_000
let redis: RedisCluster
beforeAll(async () => {
  redis = await startRedisCluster()
})
afterAll(() => redis.close())

function connect(): Cluster & Disposable {
  const client = new Cluster([...redis.startupNodes], { lazyConnect: true })
  return Object.assign(client, { [Symbol.dispose]: () => client.disconnect() })
}

describe('the contract on a cluster', () => {
  offsetStoreContract({
    describe,
    test,
    open: async () => {
      const prefix = `test:${systemRandom.id()}`
      const clients: Cluster[] = []
      const open = () => {
        const client = connect()
        clients.push(client)
        return redisOffsets({ client, prefix })
      }
      const close = async () => {
        for (const client of clients) client.disconnect()
      }
      return { store: open(), another: async () => open(), close }
    },
    clock: 'server',
    model: memoryOffsets,
  })
})

test('the streams of a cluster lie on all its nodes, each whole on one, and all are listed', async () => {
  using client = connect()
  const prefix = `spread:${systemRandom.id()}`
  await using store = redisOffsets({ client, prefix })
  const streams = Array.from({ length: 40 }, (_, n) => `orders-${String(n).padStart(2, '0')}`)
  for (const stream of streams) {
    const lease = await store.acquire(stream, 'first', LONG_MS)
    await store.reset(lease, [{ topic: 'orders', partition: 0, offset: 0 }], { reason: 'start' })
    await store.begin(lease, { id: 1, batchTime: 1, epoch: 1, ranges: [{ topic: 'orders', partition: 0, fromOffset: 0, untilOffset: 5 }] })
    await store.commit(lease, 1)
  }
  expect(await store.streams()).toEqual(streams)

  const placed = await Promise.all(client.nodes('master').map(node => node.keys(`{${prefix}:*`)))
  for (const keys of placed) {
    const tags = new Set(keys.map(key => key.slice(0, key.indexOf('}'))))
    expect(tags.size).toBeGreaterThan(0)
    for (const tag of tags) expect(keys.filter(key => key.startsWith(`${tag}}`))).toHaveLength(4)
  }
})

test('a client of one node is told to bring one of the cluster', async () => {
  await using store = redisOffsets({ url: redis.nodes[0]?.address, prefix: systemRandom.id() })
  const asked = await Promise.allSettled(Array.from({ length: 20 }, (_, n) => store.read(`orders-${n}`)))
  const errors = asked.flatMap(answer => (answer.status === 'rejected' ? [answer.reason] : []))
  expect(errors).not.toEqual([])
  for (const error of errors) {
    expect(error).toMatchObject({ code: 'CONFIG', message: expect.stringMatching(/node of a Redis Cluster.*new Cluster/) })
  }
})

test('when a node is killed its streams can be waited for, and have lost nothing once it is back', async () => {
  using client = connect()
  await using store = redisOffsets({ client, prefix: systemRandom.id() })
  const leases = await Promise.all(Array.from({ length: 12 }, (_, n) => store.acquire(`orders-${n}`, 'first', LONG_MS)))
  const batch = (id: number) => ({
    id,
    batchTime: id,
    epoch: 1,
    ranges: [{ topic: 'orders', partition: 0, fromOffset: id - 1, untilOffset: id }],
  })
  for (const lease of leases) {
    await store.begin(lease, batch(1))
    await store.commit(lease, 1)
  }

  const [node] = redis.nodes
  await node?.kill()
  const during = await Promise.allSettled(leases.map(lease => store.begin(lease, batch(2))))
  for (const answer of during) if (answer.status === 'rejected') expect(isRetryable(answer.reason), String(answer.reason)).toBe(true)
  await node?.start()

  for (const lease of leases) {
    await waitUntil(`${lease.stream} goes on`, async () => {
      await store.begin(lease, batch(2))
      return true
    })
    await store.commit(lease, 2)
    expect(await store.read(lease.stream)).toMatchObject({ lastBatchId: 2, offsets: [{ offset: 2 }], pending: undefined })
  }
})

test('a master that evicts is found out, whichever it is', async () => {
  using client = connect()
  const last = redis.startupNodes.at(-1)
  await client.connect()
  const node = client.nodes('master').find(({ options }) => options.port === last?.port)
  await node?.config('SET', 'maxmemory-policy', 'allkeys-lru')
  try {
    await using store = redisOffsets({ client, prefix: systemRandom.id() })
    await expect(store.read('orders')).rejects.toMatchObject({ code: 'CONFIG', message: expect.stringMatching(/allkeys-lru.*noeviction/) })
  } finally {
    await node?.config('SET', 'maxmemory-policy', 'noeviction')
  }
})
