import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { partitionOf, transactionalIdOf } from '../../../offsets/kafka/stream-names.ts'
import type { StreamSnapshot } from '../../../src/core/offset-store.ts'
import { sendMessages } from '../../support/kafka.ts'
import { createOffsetsTopic, LONG_MS, openStore } from './own-topic.ts'

type Released = {
  readonly records: readonly { readonly partition: number; readonly key: string; readonly value?: string; readonly zstd?: string }[]
  readonly snapshot: StreamSnapshot
}

/** What version 1 wrote, record by record, and the stream it stands for. */
const { records, snapshot } = JSON.parse(readFileSync(join(import.meta.dirname, 'records-v1.json'), 'utf8')) as Released

test('a topic that version 1 has written is read, and gone on with', async () => {
  const topic = await createOffsetsTopic()
  const messages = records.map(({ partition, key, value = '', zstd }) => ({
    partition,
    key,
    value: zstd === undefined ? Buffer.from(value) : Buffer.from(zstd, 'base64'),
  }))
  await sendMessages(topic, messages)
  await using store = openStore(topic)
  const untimed = ({ history, ...state }: StreamSnapshot) => ({ ...state, history: history.map(({ at: _, ...entry }) => entry) })
  expect(untimed(await store.snapshot('orders'))).toEqual(untimed(snapshot))
  const lease = await store.acquire('orders', 'another', LONG_MS, { steal: true })
  await store.commit(lease, 2)
  expect(await store.read('orders')).toMatchObject({ epoch: 2, lastBatchId: 2 })
})

test('a head of a later version is refused, and not taken for another stream', async () => {
  const topic = await createOffsetsTopic()
  await sendMessages(topic, [{ partition: partitionOf('orders'), key: '["orders","head"]', value: '{"v":2}' }])
  await using store = openStore(topic)
  await expect(store.acquire('orders', 'a', LONG_MS)).rejects.toMatchObject({
    code: 'UNSUPPORTED',
    message: expect.stringMatching(/Upgrade tidemark/),
  })
})

test('a stream stays in its partition and under its transactional id for ever', () => {
  expect(['orders', 'a/b', 'Straße ☃'].map(stream => [partitionOf(stream), transactionalIdOf('tidemark-offsets', stream)])).toEqual([
    [3, 'tidemark-offsets-tidemark-offsets-orders-1c168adb00d208e4'],
    [0, 'tidemark-offsets-tidemark-offsets-a_b-c14cddc033f64b9d'],
    [5, 'tidemark-offsets-tidemark-offsets-Stra_e_-ebb7423d02a1659d'],
  ])
})
