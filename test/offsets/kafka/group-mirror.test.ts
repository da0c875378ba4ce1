import { beforeAll, expect, test, vi } from 'vitest'
import { describeGroup } from '../../support/describe-group.ts'
import { createTopic, kafkaCluster, sendMessages, uniqueName } from '../../support/kafka.ts'
import { at, batch, createOffsetsTopic, LONG_MS, openStore, range } from './own-topic.ts'

let topic: string

beforeAll(async () => {
  topic = await createTopic(uniqueName('read'), { partitions: 2 })
  await sendMessages(
    topic,
    Array.from({ length: 20 }, (_, n) => ({ value: String(n), partition: n % 2 })),
  )
})

test("a group that is named shows Kafka's own tools where the stream stands, and its lag", async () => {
  const group = uniqueName('group')
  await using store = openStore(await createOffsetsTopic(), { group })
  const lease = await store.acquire('orders', 'a', LONG_MS)
  await store.reset(lease, [at(topic, 0, 2), at(topic, 1, 0)], { reason: 'start' })
  await store.begin(lease, batch(1, [range(topic, 0, 2, 7)]))
  await store.commit(lease, 1)
  expect(await describeGroup(kafkaCluster(), group)).toEqual([
    { topic, partition: 0, offset: 7, lag: 3 },
    { topic, partition: 1, offset: 0, lag: 10 },
  ])
})

test('what the group cannot hold keeps no offset from being committed, and is a warning', async () => {
  const warning = vi.spyOn(process, 'emitWarning').mockImplementation(() => {})
  const group = uniqueName('group')
  await using store = openStore(await createOffsetsTopic(), { group })
  const lease = await store.acquire('orders', 'a', LONG_MS)
  const names = [topic, uniqueName('gone'), `eu:${topic}`]
  for (let id = 1; id <= 2; id++) {
    await store.begin(
      lease,
      batch(
        id,
        names.map(name => range(name, 0, id, id + 1)),
      ),
    )
    await store.commit(lease, id)
  }
  expect((await store.read('orders')).offsets).toEqual(names.toSorted().map(name => at(name, 0, 3)))
  expect(warning.mock.calls.map(([text]) => String(text))).toEqual([expect.stringMatching(`^Group ${group} does not show all offsets`)])
  warning.mockRestore()
  expect(await describeGroup(kafkaCluster(), group)).toEqual([{ topic, partition: 0, offset: 3, lag: 7 }])
})
