import { once } from 'node:events'
import { createServer, type Server } from 'node:net'
import { type Kafka, logLevel } from 'kafkajs'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type KafkaOffsetsOptions, kafkaOffsets } from '../../../offsets/kafka/index.ts'
import type { KafkaCluster } from '../../support/cluster/kafka-cluster.ts'
import { startKafka } from '../../support/cluster/start-kafka.ts'
import { grantRights } from '../../support/grant-rights.ts'
import { kafkaClient, kafkaCluster, saslConfig, uniqueName } from '../../support/kafka.ts'
import { LONG_MS, openStore } from './own-topic.ts'

async function refusal(options: KafkaOffsetsOptions): Promise<Error & { code?: string; retryable?: boolean }> {
  await using store = kafkaOffsets(options)
  return store.acquire('orders', 'a', LONG_MS).then(
    () => new Error('it was granted'),
    (error: Error) => error,
  )
}

describe('options', () => {
  test('that are wrong are refused at once, all of them by name', () => {
    const wrong = { kafka: { brokers: [undefined] }, topic: 'a/b', group: '', prefix: 'x' } as unknown as KafkaOffsetsOptions
    expect(() => kafkaOffsets(wrong)).toThrow(
      /kafkaOffsets: 4 options are wrong:[\s\S]*kafka\.brokers\[0\][\s\S]*topic[\s\S]*group[\s\S]*prefix/,
    )
  })

  test('that are right connect nothing', async () => {
    await using store = kafkaOffsets({ kafka: { brokers: ['127.0.0.1:1'] } })
    expect(store).toBeDefined()
  })

  test('take a Kafka that somebody else made, who keeps it', async () => {
    const kafka = kafkaClient()
    const topic = uniqueName('offsets')
    const store = openStore(topic, { kafka })
    await store.acquire('orders', 'a', LONG_MS)
    await store.close()
    expect((await store.acquire('orders', 'b', LONG_MS)).epoch).toBe(2)
    await store.close()
    const admin = kafka.admin()
    await admin.connect()
    expect(await admin.listTopics()).toContain(topic)
    await admin.disconnect()
  })

  test('take no client that only looks like kafkajs', async () => {
    const kafka = { admin: () => {} } as unknown as Kafka
    expect(await refusal({ kafka })).toMatchObject({
      code: 'UNSUPPORTED',
      message: expect.stringMatching(/no Kafka.createCluster as 2\.2\.4 has it/),
    })
  })
})

describe('brokers that do not let anybody in', () => {
  let silent: Server

  beforeAll(async () => {
    silent = createServer(() => {}).listen(0, '127.0.0.1')
    await once(silent, 'listening')
  })
  afterAll(() => void silent.close())

  test('that are not there are named, and may be there later', async () => {
    const error = await refusal({ kafka: { brokers: ['127.0.0.1:1'] } })
    expect(error).toMatchObject({ code: 'CONNECTION', retryable: true, message: expect.stringMatching(/127\.0\.0\.1:1\b/) })
  })

  test('that never answer are given up', async () => {
    const { port } = silent.address() as { port: number }
    const error = await refusal({ kafka: { brokers: [`127.0.0.1:${port}`] } })
    expect(error).toMatchObject({ code: 'CONNECTION', retryable: true, message: expect.stringMatching(`127.0.0.1:${port}`) })
  })

  test('are passed over where another of the list answers', async () => {
    await using store = openStore(uniqueName('offsets'), { kafka: { brokers: ['127.0.0.1:1', ...kafkaCluster().brokers] } })
    expect((await store.acquire('orders', 'a', LONG_MS)).epoch).toBe(1)
  })

  test('that refuse the password say so without saying it', async () => {
    const { sasl, ...config } = saslConfig()
    const error = await refusal({ kafka: { ...config, sasl: { ...sasl, password: 'wrong-secret' } } })
    expect(error).toMatchObject({ code: 'AUTH', message: expect.stringMatching(/refused the credentials/) })
    expect(`${error.message} ${JSON.stringify(error)}`).not.toContain('wrong-secret')
  })

  test('that want no TLS say so', async () => {
    const error = await refusal({ kafka: { brokers: kafkaCluster().brokers, ssl: true } })
    expect(error).toMatchObject({ message: expect.stringMatching(/TLS|ssl/) })
  })

  test('take a login over TLS', async () => {
    await using store = kafkaOffsets({ kafka: saslConfig(), topic: uniqueName('offsets') })
    expect((await store.acquire('orders', 'a', LONG_MS)).epoch).toBe(1)
  })
})

describe('a user without rights', () => {
  let cluster: KafkaCluster

  beforeAll(async () => {
    cluster = await startKafka({ sasl: true, authorizer: true, own: true })
  })
  afterAll(() => cluster?.close())

  test('is told which one is missing, until it has them all', async () => {
    const topic = uniqueName('offsets')
    const options = { kafka: { ...saslConfig(cluster), logLevel: logLevel.NOTHING }, topic }
    await using warm = openStore(topic, {}, cluster)
    const owner = await warm.acquire('others', 'a', LONG_MS)
    await warm.release(owner)

    for (const [right, missing] of [
      [[], /Grant the user Describe, DescribeConfigs, Read and Write on the topic/],
      [['DESCRIBE'], /Grant the user DescribeConfigs on the topic/],
      [['DESCRIBE_CONFIGS'], /Grant the user Describe, DescribeConfigs, Read and Write on the topic/],
      [['READ'], /Grant the user Describe and Write on transactional ids with the prefix tidemark-offsets-/],
    ] as const) {
      await grantRights(cluster, [{ on: 'TOPIC', name: topic, operations: right }])
      expect(await refusal(options)).toMatchObject({ code: 'AUTH', message: expect.stringMatching(missing) })
    }
    await grantRights(cluster, [
      { on: 'TOPIC', name: topic, operations: ['WRITE'] },
      { on: 'TRANSACTIONAL_ID', name: 'tidemark-offsets-', isPrefix: true, operations: ['DESCRIBE', 'WRITE'] },
    ])
    await using store = kafkaOffsets(options)
    expect((await store.acquire('orders', 'a', LONG_MS)).epoch).toBe(1)
  })
})
