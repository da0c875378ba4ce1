import { expect, test } from 'vitest'
import { kafkaSource } from '../../../../connectors/kafka/index.ts'
import { ScriptedCluster } from '../../../support/scripted-broker.ts'

const open = (cluster: ScriptedCluster, topics: readonly string[] | RegExp = ['orders'], metadataMaxAgeMs = 30_000) =>
  kafkaSource({ kafka: { brokers: cluster.addresses }, topics, metadataMaxAgeMs })

test('many who ask at once share one request, and what it told is kept', async () => {
  await using cluster = await ScriptedCluster.start({ orders: [{ records: 10 }] })
  const source = open(cluster)
  await Promise.all(Array.from({ length: 20 }, () => source.latestOffsets()))
  await source.partitions()
  expect(cluster.broker.asked('Metadata').length).toBe(1)
  await source.close()
})

test('who gives up waiting does not take the answer from the others', async () => {
  await using cluster = await ScriptedCluster.start({ orders: [{ records: 10 }] })
  const source = open(cluster)
  const abort = new AbortController()
  const impatient = source.partitions({ signal: abort.signal })
  const patient = source.partitions()
  const reason = new Error('enough')
  abort.abort(reason)
  await expect(impatient).rejects.toBe(reason)
  expect(await patient).toEqual([{ topic: 'orders', partition: 0 }])
  await source.close()
})

test('any broker that answers will do: those that are gone are passed over', async () => {
  await using cluster = await ScriptedCluster.start({ orders: [{ records: 10, leaderId: 3 }] }, { brokers: 3 })
  const source = open(cluster, ['orders'], 100)
  await source.partitions()
  await cluster.brokers[0]?.close()
  await cluster.brokers[1]?.close()
  const before = cluster.brokers[2]?.asked('Metadata').length ?? 0
  // Whatever is known is too old by now or soon, and only the third can be asked.
  while ((cluster.brokers[2]?.asked('Metadata').length ?? 0) <= before) expect(await source.latestOffsets()).toMatchObject([{ offset: 10 }])
  await source.close()
})

test('where no broker is left the error names one of them, and may be tried again', async () => {
  await using cluster = await ScriptedCluster.start({ orders: [{ records: 10 }] }, { brokers: 2 })
  const source = open(cluster)
  await source.latestOffsets()
  for (const broker of cluster.brokers) await broker.close()
  await expect(source.latestOffsets()).rejects.toMatchObject({
    ...{ code: 'CONNECTION', retryable: true },
    message: expect.stringMatching(/^No connection to Kafka at 127\.0\.0\.1:\d+: .*ECONNREFUSED/),
  })
  await source.close()
})

test('a topic that may not be described is an error of rights that names it', async () => {
  await using cluster = await ScriptedCluster.start({ orders: [{ records: 10 }] })
  cluster.broker.script('Metadata', (_asked, respond) => {
    const response = respond()
    return { ...response, topics: response.topics.map(topic => ({ ...topic, errorCode: 29, partitions: [] })) }
  })
  const source = open(cluster)
  await expect(source.partitions()).rejects.toMatchObject({
    code: 'AUTH',
    message: expect.stringMatching(/Metadata of topic orders: not allowed/),
  })
  await source.close()
})

test('under a pattern a topic in trouble hides none of the others, and is not waited for', async () => {
  await using cluster = await ScriptedCluster.start({ orders: [{}], 'orders-two': [{}], unrelated: [{}] })
  const LEADER_NOT_AVAILABLE = 5
  cluster.broker.script('Metadata', (_asked, respond) => {
    const response = respond()
    const topics = response.topics.map(topic =>
      topic.name === 'orders' ? topic : { ...topic, errorCode: LEADER_NOT_AVAILABLE, partitions: [] },
    )
    return { ...response, topics }
  })
  const source = open(cluster, /^orders/)
  expect(await source.partitions()).toEqual([{ topic: 'orders', partition: 0 }])
  expect(cluster.broker.asked('Metadata').length).toBe(1)
  expect(cluster.broker.asked('Metadata')[0]?.request).toEqual({ topics: null })
  await source.close()
})

test('internal topics never match a pattern', async () => {
  await using cluster = await ScriptedCluster.start({ orders: [{}], __internal: [{}] })
  cluster.broker.script('Metadata', (_asked, respond) => {
    const response = respond()
    return { ...response, topics: response.topics.map(topic => ({ ...topic, isInternal: topic.name === '__internal' })) }
  })
  const source = open(cluster, /./)
  expect(await source.partitions()).toEqual([{ topic: 'orders', partition: 0 }])
  await source.close()
})

test('a pattern with the flags g and y finds the same each time', async () => {
  await using cluster = await ScriptedCluster.start({ orders: [{}], 'orders-two': [{}] })
  const source = open(cluster, /orders/gy)
  expect(await source.partitions()).toEqual(await source.partitions())
  expect((await source.partitions()).length).toBe(2)
  await source.close()
})
