import type { Producer } from 'kafkajs'
import { afterEach, expect, test } from 'vitest'
import { partitionOf, transactionalIdOf } from '../../../offsets/kafka/stream-names.ts'
import { kafkaClient, uniqueName } from '../../support/kafka.ts'
import { at, batch, createOffsetsTopic, LONG_MS, openStore, range } from './own-topic.ts'

const producers: Producer[] = []

afterEach(async () => {
  for (const producer of producers.splice(0)) await producer.disconnect()
})

/** A transaction that somebody else has begun in the topic, with a record in it. */
async function openTransaction(
  topic: string,
  message: { key: string; value: string; partition: number },
  transactionalId = uniqueName('rival'),
) {
  const producer = kafkaClient().producer({
    ...{ transactionalId, maxInFlightRequests: 1, idempotent: true, allowAutoTopicCreation: false },
    // Longer than any test, however slow the machine: the broker must not end it.
    transactionTimeout: LONG_MS,
  })
  await producer.connect()
  producers.push(producer)
  const transaction = await producer.transaction()
  await transaction.send({ topic, messages: [message] })
  return transaction
}

/** Another stream that lives in the same partition. */
function neighbourOf(stream: string): string {
  for (let n = 0; ; n++) if (partitionOf(`neighbour-${n}`) === partitionOf(stream)) return `neighbour-${n}`
}

test("another stream's transaction that hangs in the same partition hides nothing", async () => {
  const topic = await createOffsetsTopic()
  const partition = partitionOf('orders')
  const hanging = await openTransaction(topic, { key: JSON.stringify([neighbourOf('orders'), 'head']), value: '{}', partition })
  await using store = openStore(topic)
  const lease = await store.acquire('orders', 'a', LONG_MS)
  await store.begin(lease, batch(1, [range('t', 0, 0, 10)]))
  await store.commit(lease, 1)
  await using other = openStore(topic)
  expect(await other.read('orders')).toMatchObject({ lastBatchId: 1, offsets: [at('t', 0, 10)] })
  expect(await other.streams()).toEqual(['orders'])
  expect((await other.acquire('orders', 'b', LONG_MS, { steal: true })).epoch).toBe(2)
  await hanging.abort()
})

test('records of a transaction count when it is committed, and never when it is aborted or open', async () => {
  const topic = await createOffsetsTopic()
  await using store = openStore(topic)
  const lease = await store.acquire('orders', 'a', LONG_MS)
  await store.begin(lease, batch(1, [range('t', 0, 0, 10)]))
  const forged = (lastBatchId: number) => ({
    key: JSON.stringify(['orders', 'head']),
    value: JSON.stringify({
      v: 1,
      ...{ streamId: lease.streamId, epoch: 1, lease: { owner: 'a', ttlMs: LONG_MS }, retired: null },
      ...{ lastBatchId, lastCommittedId: 0, lastSeq: 0, hasPending: false, isRemoved: false, write: 'x' },
    }),
    partition: partitionOf('orders'),
  })
  const aborted = await openTransaction(topic, forged(70))
  await aborted.abort()
  const open = await openTransaction(topic, forged(71))

  await using fresh = openStore(topic)
  for (const client of [store, fresh]) expect(await client.read('orders')).toMatchObject({ lastBatchId: 0, pending: { id: 1 } })
  await open.commit()
  for (const client of [store, fresh]) await expect.poll(async () => (await client.read('orders')).lastBatchId).toBe(71)
})

test('a write that was open when its client died is not there, and the next client need not wait for its end', async () => {
  const topic = await createOffsetsTopic()
  await using store = openStore(topic)
  const lease = await store.acquire('orders', 'a', LONG_MS)
  const head = { key: JSON.stringify(['orders', 'head']), value: '{"v":1,"isRemoved":true}', partition: partitionOf('orders') }
  await openTransaction(topic, head, transactionalIdOf(topic, 'orders'))
  await using next = openStore(topic)
  expect(await next.acquire('orders', 'a', LONG_MS)).toMatchObject({ epoch: 2, streamId: lease.streamId })
})

test('a session that somebody fenced without taking the lease goes on with a new one', async () => {
  const topic = await createOffsetsTopic()
  await using store = openStore(topic)
  const lease = await store.acquire('orders', 'a', LONG_MS)
  for (let id = 1; id <= 3; id++) {
    const rival = await openTransaction(topic, { key: '["","rival"]', value: '', partition: 0 }, transactionalIdOf(topic, 'orders'))
    await store.begin(lease, batch(id, [range('t', 0, id, id + 1)]))
    await store.commit(lease, id)
    await expect(rival.commit()).rejects.toThrow()
  }
  const { history, ...state } = await store.snapshot('orders')
  expect([state.epoch, state.lastBatchId, history.map(({ seq }) => seq)]).toEqual([1, 3, [1, 2, 3]])
})

test('a session that was fenced by a new lease says whose it is', async () => {
  const topic = await createOffsetsTopic()
  await using store = openStore(topic)
  const lease = await store.acquire('orders', 'a', LONG_MS)
  await store.begin(lease, batch(1, [range('t', 0, 0, 10)]))
  await using other = openStore(topic)
  const taken = await other.acquire('orders', 'b', LONG_MS, { steal: true })
  await expect(store.commit(lease, 1)).rejects.toMatchObject({
    code: 'FENCED',
    message: expect.stringMatching(/carries epoch 1, the store is at 2/),
  })
  // Who was refused has not fenced the one who may write.
  await other.commit(taken, 1)
  expect(await store.read('orders')).toMatchObject({ epoch: 2, lastBatchId: 1 })
})

test('a standby that looks at a living lease leaves its session alone', async () => {
  const topic = await createOffsetsTopic()
  await using store = openStore(topic)
  await using standby = openStore(topic)
  const lease = await store.acquire('orders', 'a', LONG_MS)
  const producer = await openTransaction(topic, { key: '["","mine"]', value: '', partition: 1 }, transactionalIdOf(topic, 'orders'))
  for (let look = 0; look < 3; look++) await expect(standby.acquire('orders', 'b', LONG_MS)).rejects.toMatchObject({ code: 'LEASE_HELD' })
  // Nobody has initialised the id meanwhile, or this would be refused.
  await producer.commit()
  await store.renew(lease)
})
