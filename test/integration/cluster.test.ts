import type { EachMessagePayload } from 'kafkajs'
import { describe, expect, test } from 'vitest'
import { askMetadata } from '../support/cluster/ask-metadata.ts'
import { startKafka } from '../support/cluster/start-kafka.ts'
import { CODEC, createTopic, kafkaClient, kafkaCluster, saslConfig, sendMessages, sendTransaction, uniqueName } from '../support/kafka.ts'
import { type RecordContent, readAll, recordCrc } from '../support/oracle.ts'
import { produce } from '../support/produce.ts'
import { waitUntil } from '../support/services/wait-until.ts'

describe('the cluster the tests run against', () => {
  test('answers from two brokers that know each other', async () => {
    const { brokers } = kafkaCluster()
    expect(brokers.length).toBe(2)
    const answers = await Promise.all(brokers.map(broker => askMetadata(broker)))
    for (const { brokerIds } of answers) expect(new Set(brokerIds).size).toBe(2)
  })

  test('replicates a topic, led by the broker that was asked for', async () => {
    const [first = ''] = kafkaCluster().brokers
    const [one = -1, two = -1] = (await askMetadata(first)).brokerIds
    const topic = await createTopic(uniqueName('replicated'), { assignment: [[two, one]] })
    const { topics } = await askMetadata(first, [topic])
    expect(topics.get(topic)).toMatchObject([{ partition: 0, errorCode: 0, leader: two }])
  })

  test('lets a client in over SASL_SSL with SCRAM-SHA-512', async () => {
    await using admin = await connectedAdmin(saslConfig())
    const { brokers } = await admin.client.describeCluster()
    expect(brokers.length).toBe(2)
  })

  test('refuses a wrong password', async () => {
    const config = saslConfig()
    await expect(connectedAdmin({ ...config, sasl: { ...config.sasl, password: 'wrong' } })).rejects.toThrow(/authentication/i)
  })

  test('shows a certificate that only its own authority vouches for', async () => {
    await expect(connectedAdmin({ ...saslConfig(), ssl: true })).rejects.toThrow(/self-signed certificate/)
  })
})

test('a killed broker loses its partitions to the other one, and comes back with its log', async () => {
  await using kafka = await startKafka({ brokers: 2, own: true })
  const [first = ''] = kafka.brokers
  const topic = await createTopic(uniqueName('failover'), { assignment: [[2, 1]] }, kafka)
  await sendMessages(topic, [{ value: 'before' }], { kafka })
  const replica = async () => (await askMetadata(first, [topic])).topics.get(topic)?.[0]

  await kafka.killBroker(1)
  await waitUntil('the first broker leading', async () => (await replica())?.leader === 1)
  await sendMessages(topic, [{ value: 'meanwhile' }], { kafka })

  await kafka.startBroker(1)
  await waitUntil('both replicas in sync', async () => (await replica())?.isr.length === 2)
  expect((await readAll(kafka, topic, 'read_committed')).map(record => record.offset)).toEqual([0, 1])
})

describe('the oracle', () => {
  const records: RecordContent[] = [
    { key: Buffer.from('a'), value: Buffer.from('1'), headers: [] },
    { key: null, value: Buffer.from('no key'), headers: [] },
    { key: Buffer.from('no value'), value: null, headers: [['h', Buffer.from('x')]] },
    { key: Buffer.alloc(0), value: Buffer.alloc(0), headers: [] },
    {
      key: Buffer.from('ключ'),
      value: Buffer.from([0, 255, 254]),
      headers: [
        ['h', Buffer.from('1')],
        ['ü', Buffer.alloc(0)],
      ],
    },
  ]

  test.for(Object.keys(CODEC) as (keyof typeof CODEC)[])('reads what kafkajs wrote with codec %s, with the same checksums', async codec => {
    const topic = await createTopic(uniqueName('oracle'))
    const messages = records.map(({ key, value, headers }, index) => ({
      key: key as Buffer | null,
      value: value as Buffer | null,
      headers: Object.fromEntries(headers) as Record<string, Buffer>,
      timestamp: String(1_700_000_000_000 + index),
    }))
    await sendMessages(topic, messages, { codec })
    expect(await readAll(kafkaCluster(), topic, 'read_committed')).toEqual(
      records.map((record, index) => ({ partition: 0, offset: index, timestamp: 1_700_000_000_000 + index, crc: recordCrc(record) })),
    )
  })

  test('reads exactly the ranges it is given', async () => {
    const topic = await createTopic(uniqueName('oracle-ranges'), { partitions: 2 })
    await produce(kafkaCluster(), { topic, count: 100 })
    const read = await readAll(kafkaCluster(), topic, 'read_committed', [
      { partition: 0, fromOffset: 10, untilOffset: 13 },
      { partition: 1, fromOffset: 0, untilOffset: 1 },
    ])
    expect(read.map(({ partition, offset }) => [partition, offset])).toEqual([
      [0, 10],
      [0, 11],
      [0, 12],
      [1, 0],
    ])
  })

  test('tells committed from aborted and open transactions', async () => {
    const topic = await createTopic(uniqueName('oracle-transactions'))
    await sendTransaction(topic, [{ value: 'kept' }], 'commit')
    await sendTransaction(topic, [{ value: 'dropped' }, { value: 'dropped too' }], 'abort')
    await sendMessages(topic, [{ value: 'plain' }])
    await sendTransaction(topic, [{ value: 'undecided' }], 'open')
    // A marker takes the offset behind each ended transaction.
    expect((await readAll(kafkaCluster(), topic, 'read_committed')).map(record => record.offset)).toEqual([0, 5])
    expect((await readAll(kafkaCluster(), topic, 'read_uncommitted')).map(record => record.offset)).toEqual([0, 2, 3, 5, 6])
  })
})

describe('the producer of many records', () => {
  test('writes the records it says: size, key, headers and time by id, in turn to each partition', async () => {
    const topic = await createTopic(uniqueName('produce'), { partitions: 3 })
    const timestamp = 1_700_000_000_000
    const options = { topic, count: 10_000, bytes: 73, keys: true, headers: 2, compression: 'lz4', timestamp, timestampStep: 10 } as const
    expect(await produce(kafkaCluster(), options)).toMatchObject({ records: 10_000, committed: 10_000, aborted: 0 })

    const messages = await consume(topic, 10_000)
    const ids = messages.map(({ partition, message }) => {
      const value = message.value ?? Buffer.alloc(0)
      expect(value.length).toBe(73)
      const { id } = JSON.parse(value.toString())
      expect(partition).toBe(id % 3)
      expect(message.key?.toString()).toBe(`k${id}`)
      expect(message.headers).toEqual({ h0: Buffer.from(`${id}`), h1: Buffer.from(`${id + 1}`) })
      expect(Number(message.timestamp)).toBe(timestamp + id * 10)
      return id
    })
    expect(ids.sort((a, b) => a - b)).toEqual(Array.from({ length: 10_000 }, (_, id) => id))
  })

  test('interleaves transactions and aborts those it was told to', async () => {
    const topic = await createTopic(uniqueName('produce-transactions'), { partitions: 2 })
    const report = await produce(kafkaCluster(), { topic, count: 3000, transactionRecords: 100, abortEvery: 3, producers: 3 })
    // Ten transactions a producer: the third, sixth and ninth of each are aborted.
    expect(report).toMatchObject({ records: 3000, committed: 2100, aborted: 900 })
    expect((await readAll(kafkaCluster(), topic, 'read_committed')).length).toBe(2100)
    expect((await readAll(kafkaCluster(), topic, 'read_uncommitted')).length).toBe(3000)
  })
})

async function connectedAdmin(config: Parameters<typeof kafkaClient>[1]) {
  const client = kafkaClient(kafkaCluster(), { ...config, retry: { retries: 0 } }).admin()
  await client.connect()
  return { client, [Symbol.asyncDispose]: () => client.disconnect() }
}

async function consume(topic: string, count: number): Promise<EachMessagePayload[]> {
  const consumer = kafkaClient().consumer({ groupId: uniqueName('group') })
  await consumer.connect()
  try {
    await consumer.subscribe({ topics: [topic], fromBeginning: true })
    const messages: EachMessagePayload[] = []
    await new Promise<void>((resolve, reject) => {
      consumer.on(consumer.events.CRASH, ({ payload }) => {
        if (!payload.restart) reject(payload.error)
      })
      consumer
        .run({
          eachMessage: async payload => {
            if (messages.push(payload) === count) resolve()
          },
        })
        .catch(reject)
    })
    return messages
  } finally {
    await consumer.disconnect()
  }
}
