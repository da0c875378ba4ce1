import { randomBytes } from 'node:crypto'
import { expect, test } from 'vitest'
import { batch, createOffsetsTopic, LONG_MS, openStore, range } from './own-topic.ts'

/** Does not let itself be compressed, so that it has to be cut into five parts. */
const large = () => ({ text: randomBytes(1_500_000).toString('base64') })

test('a batch of megabytes that cannot be compressed is kept in parts, and so is its history', async () => {
  const topic = await createOffsetsTopic()
  await using store = openStore(topic)
  await using other = openStore(topic)
  const lease = await store.acquire('orders', 'a', LONG_MS)
  const first = batch(1, [range('t', 0, 0, 10)], { facts: large() })
  await store.begin(lease, first)
  expect((await other.read('orders')).pending).toEqual(first)
  await store.commit(lease, 1)

  // Its one part takes the place of five.
  const second = batch(2, [range('t', 0, 10, 20)])
  await other.begin(lease, second)
  expect((await store.read('orders')).pending).toEqual(second)
  await store.commit(lease, 2)
  const third = batch(3, [range('t', 0, 20, 30)], { facts: large() })
  await store.begin(lease, third)

  const snapshot = await other.snapshot('orders')
  expect(snapshot.history.map(entry => entry.kind === 'batch' && entry.batch)).toEqual([first, second])
  await other.restore({ ...snapshot, stream: 'copy' })
  expect(await store.snapshot('copy')).toEqual({ ...snapshot, stream: 'copy' })
  await store.remove(lease)
  expect(await other.streams()).toEqual(['copy'])
  expect(await (await other.read('orders')).offsets).toEqual([])
})
