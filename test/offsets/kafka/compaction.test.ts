import { expect, test } from 'vitest'
import { kafkaSource } from '../../../connectors/kafka/index.ts'
import { partitionOf } from '../../../offsets/kafka/stream-names.ts'
import { collect } from '../../support/collect.ts'
import { kafkaCluster } from '../../support/kafka.ts'
import { waitUntil } from '../../support/services/wait-until.ts'
import { at, batch, createOffsetsTopic, LONG_MS, openStore, range } from './own-topic.ts'

/** Every segment is closed and cleaned as soon as may be, and what is deleted is forgotten at once. */
const EAGER = {
  'segment.ms': '100',
  'min.cleanable.dirty.ratio': '0.001',
  'max.compaction.lag.ms': '1',
  'delete.retention.ms': '0',
  'min.compaction.lag.ms': '0',
}

/** How many records are left in a stream's partition. */
async function recordsLeft(topic: string, stream: string): Promise<number> {
  await using source = kafkaSource({ kafka: { brokers: kafkaCluster().brokers }, topics: [topic] })
  const partition = partitionOf(stream)
  const untilOffset = (await source.latestOffsets()).find(end => end.partition === partition)?.offset ?? 0
  return (await collect(source, { topic, partition, fromOffset: 0, untilOffset })).length
}

test('a stream is whole after compaction, for who reads it anew and for who had read it before', async () => {
  const topic = await createOffsetsTopic(EAGER)
  await using store = openStore(topic)
  await using reader = openStore(topic)
  const lease = await store.acquire('orders', 'a', LONG_MS)
  await store.reset(lease, [at('t', 0, 0), at('t', 1, 0)], { reason: 'start' })
  const removed = await store.acquire('removed', 'a', LONG_MS)
  await store.begin(removed, batch(1, [range('t', 0, 0, 1)]))
  for (let id = 1; id <= 40; id++) {
    await store.begin(lease, batch(id, [range('t', 0, id - 1, id)]))
    if (id === 20) await reader.read('orders')
    await store.commit(lease, id)
  }
  await store.begin(lease, batch(41, [range('t', 1, 0, 5)]))
  await store.remove(removed)

  // Something must be written now and then, for the newest segment is never cleaned: heads, and the clock.
  await waitUntil('the log is compacted', async () => {
    await store.renew(lease)
    return (await recordsLeft(topic, 'orders')) < 60
  })
  await using fresh = openStore(topic)
  for (const client of [fresh, reader, store]) {
    const { history, ...state } = await client.snapshot('orders')
    expect(state).toMatchObject({
      epoch: 1,
      lastBatchId: 40,
      lastCommittedId: 40,
      offsets: [at('t', 0, 40), at('t', 1, 0)],
      pending: { id: 41 },
    })
    expect(history.map(entry => (entry.kind === 'batch' ? entry.batch.id : entry.kind))).toEqual([
      'start',
      ...Array.from({ length: 40 }, (_, n) => n + 1),
    ])
    expect(await client.streams()).toEqual(['orders'])
    expect(await client.read('removed')).toMatchObject({ streamId: undefined })
  }
  await store.commit(lease, 41)
  expect(await reader.read('orders')).toMatchObject({ lastBatchId: 41 })
})
