import { Redis } from 'ioredis'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { type RedisClient, redisOffsets } from '../../../offsets/redis/index.ts'
import { indexKey, streamKeys } from '../../../offsets/redis/keys.ts'
import { WRITE } from '../../../offsets/redis/scripts.ts'
import type { HistoryEntry, OffsetStore } from '../../../src/core/offset-store.ts'
import { systemRandom } from '../../../src/core/random.ts'
import type { Batch } from '../../../src/core/values.ts'
import { services } from '../../support/services.ts'

const LONG_MS = 600_000
let client: Redis
let prefix: string
beforeAll(() => {
  client = new Redis(services().redis)
})
beforeEach(() => {
  prefix = systemRandom.id()
})
afterAll(() => client.disconnect())

/** When something happens between a client and its server. */
type Moment = 'before a write' | 'after a write'

/** The client with something that happens once, at a moment; where `loses`, what the server answers then is lost. */
function interrupted(moment: Moment, happens: () => Promise<unknown>, { loses = false } = {}): RedisClient {
  let isDue = true
  return {
    status: 'ready',
    on: () => {},
    off: () => {},
    call: async (command, args) => {
      if (!isDue || args[0] !== WRITE.sha || command !== 'evalsha') return client.call(command, args)
      isDue = false
      if (moment === 'before a write') await happens()
      const answer = await client.call(command, args)
      if (moment === 'after a write') await happens()
      if (loses) throw Object.assign(new Error('read ECONNRESET'), { code: 'ECONNRESET', syscall: 'read' })
      return answer
    },
  }
}

function planned(id: number): Batch {
  return { id, batchTime: id, epoch: 1, ranges: [{ topic: 'orders', partition: 0, fromOffset: (id - 1) * 10, untilOffset: id * 10 }] }
}

async function historyOf(store: OffsetStore): Promise<HistoryEntry[]> {
  return Array.fromAsync(store.history('orders'))
}

test('a reset whose answer is lost happens once, also where the lease was renewed before it is sent again', async () => {
  const store = redisOffsets({ client, prefix })
  const lease = await store.acquire('orders', 'first', LONG_MS)
  await store.begin(lease, planned(1))
  const faulty = redisOffsets({ client: interrupted('after a write', () => store.renew(lease), { loses: true }), prefix })
  await faulty.reset(lease, [{ topic: 'orders', partition: 0, offset: 3 }], { reason: 'rewind', discard: true })
  expect((await historyOf(store)).map(({ kind }) => kind)).toEqual(['reset', 'discard'])
})

test('a removal whose answer is lost is done, and a stream of that name made meanwhile is left alone', async () => {
  const store = redisOffsets({ client, prefix })
  const lease = await store.acquire('orders', 'first', LONG_MS)
  const again = () => store.acquire('orders', 'second', LONG_MS)
  await redisOffsets({ client: interrupted('after a write', again, { loses: true }), prefix }).remove(lease)
  expect(await store.read('orders')).toMatchObject({ epoch: 1, lastBatchId: 0 })
  expect(await store.streams()).toEqual(['orders'])
  expect(await client.scard(indexKey(prefix))).toBe(1)
})

test('a restore whose answer is lost is done, also where somebody has acquired the stream since', async () => {
  const store = redisOffsets({ client, prefix })
  const lease = await store.acquire('source', 'first', LONG_MS)
  await store.reset(lease, [{ topic: 'orders', partition: 0, offset: 3 }], { reason: 'start' })
  const snapshot = { ...(await store.snapshot('source')), stream: 'orders' }
  const taken = () => store.acquire('orders', 'second', LONG_MS)
  await redisOffsets({ client: interrupted('after a write', taken, { loses: true }), prefix }).restore(snapshot)
  expect(await store.read('orders')).toMatchObject({ epoch: 2, offsets: [{ offset: 3 }] })
  expect(await client.keys(`{${prefix}*staged*`)).toEqual([])
})

test('a takeover between the read and the write of a commit fences it', async () => {
  const store = redisOffsets({ client, prefix })
  const lease = await store.acquire('orders', 'first', LONG_MS)
  await store.begin(lease, planned(1))
  const steal = () => store.acquire('orders', 'second', LONG_MS, { steal: true })
  const paused = redisOffsets({ client: interrupted('before a write', steal), prefix })
  await expect(paused.commit(lease, 1)).rejects.toMatchObject({ code: 'FENCED' })
  expect(await store.read('orders')).toMatchObject({ epoch: 2, lastBatchId: 0, pending: planned(1), offsets: [] })
})

test('a stream removed and made again between the read and the write is another stream, however alike', async () => {
  const store = redisOffsets({ client, prefix })
  const lease = await store.acquire('orders', 'first', LONG_MS)
  const replace = async () => {
    await store.remove(lease)
    await store.acquire('orders', 'first', LONG_MS)
  }
  const paused = redisOffsets({ client: interrupted('before a write', replace), prefix })
  await expect(paused.begin(lease, planned(1))).rejects.toMatchObject({ code: 'FENCED' })
  expect((await store.read('orders')).pending).toBeUndefined()
})

test('a master that fell back to an older state does not take a write that was decided on the lost one', async () => {
  const store = redisOffsets({ client, prefix })
  const { head, pending } = streamKeys(prefix, 'orders')
  const lease = await store.acquire('orders', 'first', LONG_MS)
  const replica = await client.hgetall(head)
  // The lost history and the new one have as many writes each: a batch that is begun, of other ranges.
  await store.begin(lease, planned(1))
  const other: Batch = { ...planned(1), ranges: [{ topic: 'orders', partition: 7, fromOffset: 0, untilOffset: 5 }] }
  const failOver = async () => {
    await client.multi().hset(head, replica).del(pending).exec()
    await store.begin(lease, other)
  }
  const paused = redisOffsets({ client: interrupted('before a write', failOver), prefix })
  await paused.commit(lease, 1)
  expect((await store.read('orders')).offsets).toEqual([{ topic: 'orders', partition: 7, offset: 5 }])
})

test('the lease is as long as it was granted for, however long the client was stopped before it was', async () => {
  const store = redisOffsets({ client, prefix })
  const ttlMs = 1_000
  const untilLapsed = async () => {
    // Granted after the read that is under way, so when it ends that read is as old.
    await store.acquire('hourglass', 'first', ttlMs)
    for (;;) {
      try {
        return await store.acquire('hourglass', 'second', LONG_MS)
      } catch (error) {
        expect(error).toMatchObject({ code: 'LEASE_HELD' })
      }
    }
  }
  const paused = redisOffsets({ client: interrupted('before a write', untilLapsed), prefix })
  await paused.acquire('orders', 'first', ttlMs)
  await expect(store.acquire('orders', 'second', LONG_MS)).rejects.toMatchObject({ code: 'LEASE_HELD' })
})

test('a commit goes on from its own begin without reading it back, and reads where somebody wrote in between', async () => {
  const sent: string[] = []
  const watched: RedisClient = {
    status: 'ready',
    on: () => {},
    off: () => {},
    call: (command, args) => {
      sent.push(args[0] === WRITE.sha ? 'write' : 'other')
      return client.call(command, args)
    },
  }
  const store = redisOffsets({ client: watched, prefix })
  const lease = await store.acquire('orders', 'first', LONG_MS)
  const callsOf = async (call: () => Promise<void>) => {
    sent.length = 0
    await call()
    return [...sent]
  }
  await store.begin(lease, planned(1))
  await store.renew(lease)
  expect(await callsOf(() => store.commit(lease, 1))).toEqual(['write'])
  await store.begin(lease, planned(2))
  await redisOffsets({ client, prefix }).renew(lease)
  expect(await callsOf(() => store.commit(lease, 2))).toEqual(['write', 'other', 'write'])
  await store.begin(lease, planned(3))
  await expect(store.commit(lease, 4)).rejects.toMatchObject({ code: 'CONFLICT' })
  await store.commit(lease, 3)
  expect((await historyOf(store)).map(entry => entry.kind === 'batch' && entry.batch)).toEqual([planned(3), planned(2), planned(1)])
})

test('scripts that the server has forgotten are sent again', async () => {
  const store = redisOffsets({ client, prefix })
  const lease = await store.acquire('orders', 'first', LONG_MS)
  await client.script('FLUSH')
  await store.begin(lease, planned(1))
  await client.script('FLUSH')
  await store.commit(lease, 1)
  await client.script('FLUSH')
  expect((await historyOf(store)).length).toBe(1)
})

test('a crash between the index and the stream leaves a name that is not listed, and no stream that is not', async () => {
  const store = redisOffsets({ client, prefix })
  const dies = Promise.reject(new Error('the driver was killed'))
  dies.catch(() => {})
  const dying = redisOffsets({ client: interrupted('before a write', () => dies), prefix })
  await expect(dying.acquire('orders', 'first', LONG_MS)).rejects.toThrow('the driver was killed')
  expect(await store.streams()).toEqual([])
  const lease = await store.acquire('orders', 'first', LONG_MS)
  expect(await store.streams()).toEqual(['orders'])

  const dyingLater = redisOffsets({ client: interrupted('after a write', () => dies), prefix })
  await expect(dyingLater.remove(lease)).rejects.toThrow('the driver was killed')
  expect(await store.streams()).toEqual([])
  await store.acquire('orders', 'first', LONG_MS)
  expect(await store.streams()).toEqual(['orders'])
})

test('of those that make a stream at once the losers leave no trace in the index', async () => {
  const stores = Array.from({ length: 20 }, () => redisOffsets({ client, prefix }))
  const asked = await Promise.allSettled(stores.map((store, n) => store.acquire('orders', `owner-${n}`, LONG_MS)))
  expect(asked.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
  expect(await client.scard(indexKey(prefix))).toBe(1)
})
