import { Redis } from 'ioredis'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { redisOffsets } from '../../../offsets/redis/index.ts'
import { isRetryable } from '../../../src/core/errors.ts'
import type { Batch } from '../../../src/core/values.ts'
import { hostAndPort } from '../../support/services/start-redis-cluster.ts'
import { type RedisSentinel, startRedisSentinel } from '../../support/services/start-redis-sentinel.ts'
import { waitUntil } from '../../support/services/wait-until.ts'

const LONG_MS = 600_000
const PARTITIONS = [0, 1, 2, 3]
let redis: RedisSentinel
beforeAll(async () => {
  redis = await startRedisSentinel()
})
afterAll(() => redis.close())

function planned(id: number): Batch {
  return {
    id,
    batchTime: id,
    epoch: 1,
    ranges: PARTITIONS.map(partition => ({ topic: 'orders', partition, fromOffset: id - 1, untilOffset: id })),
  }
}

/** Sends a call until it is accepted; what it meets on the way must be something that passes. */
async function insist<T>(what: string, call: () => Promise<T>): Promise<T> {
  const accepted: T[] = []
  await waitUntil(what, async () => {
    try {
      accepted.push(await call())
      return true
    } catch (error) {
      if (!isRetryable(error)) expect.fail(`${what}: ${error}`)
      throw error
    }
  })
  return accepted[0] as T
}

test('a replica takes no write and says so', async () => {
  await using store = redisOffsets({ url: redis.replica.address })
  await expect(store.acquire('payments', 'first', LONG_MS)).rejects.toMatchObject({
    code: 'CONNECTION',
    retryable: true,
    message: expect.stringMatching(/is a replica now and takes no writes/),
  })
})

test('the store goes on with the new master after a fail-over, with a stream that is whole', async () => {
  const connection = new Redis({ sentinels: [...redis.sentinels], name: redis.name, lazyConnect: true })
  using client = Object.assign(connection, { [Symbol.dispose]: () => connection.disconnect() })
  await using store = redisOffsets({ client })
  const lease = await store.acquire('orders', 'first', LONG_MS)
  await store.reset(
    lease,
    PARTITIONS.map(partition => ({ topic: 'orders', partition, offset: 0 })),
    { reason: 'start' },
  )
  for (let id = 1; id <= 20; id++) {
    await store.begin(lease, planned(id))
    await store.commit(lease, id)
  }
  await store.begin(lease, planned(21))
  // What the replica does not have would be gone; that is for the outputs' fences to find out, and not what is asked here.
  expect(await client.wait(1, 10_000)).toBe(1)

  const sent = store.commit(lease, 21).then(
    () => 'done',
    error => (isRetryable(error) ? 'unknown' : expect.fail(String(error))),
  )
  await redis.master.kill()
  await sent
  const { lastBatchId, pending } = await insist('the new master answers', () => store.read('orders'))
  expect([lastBatchId, pending?.id]).toEqual(lastBatchId === 21 ? [21, undefined] : [20, 21])
  expect(await client.config('GET', 'port')).toEqual(['port', String(hostAndPort(redis.replica).port)])

  await insist('the stream goes on', () => store.commit(lease, 21))
  for (let id = 22; id <= 30; id++) {
    await store.begin(lease, planned(id))
    await store.commit(lease, id)
  }
  const { history, ...state } = await store.snapshot('orders')
  expect(state).toMatchObject({ lastBatchId: 30, lastCommittedId: 30, pending: null, epoch: 1, streamId: lease.streamId })
  expect(state.offsets).toEqual(PARTITIONS.map(partition => ({ topic: 'orders', partition, offset: 30 })))
  expect(history.slice(1).map(entry => entry.kind === 'batch' && entry.batch)).toEqual(Array.from({ length: 30 }, (_, n) => planned(n + 1)))
})
