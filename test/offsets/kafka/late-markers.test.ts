import { setTimeout } from 'node:timers/promises'
import { Kafka, logLevel } from 'kafkajs'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { KafkaConnection } from '../../../offsets/kafka/kafka-connection.ts'
import { partitionOf, transactionalIdOf } from '../../../offsets/kafka/stream-names.ts'
import { insisting } from '../../../src/testing/offset-store/write-calls.ts'
import type { KafkaCluster } from '../../support/cluster/kafka-cluster.ts'
import { startKafka } from '../../support/cluster/start-kafka.ts'
import { LONG_MS, openStore, SETTINGS } from './own-topic.ts'

const TOPIC = 'offsets'

let cluster: KafkaCluster
let kafka: Kafka

beforeAll(async () => {
  cluster = await startKafka({ brokers: 2, own: true })
  kafka = new Kafka({ brokers: [...cluster.brokers], logLevel: logLevel.NOTHING })
  const admin = kafka.admin()
  await admin.connect()
  const replicaAssignment = Array.from({ length: 8 }, (_, partition) => ({ partition, replicas: [1, 2] }))
  const settings = Object.entries({ ...SETTINGS, 'min.insync.replicas': '2' })
  await admin.createTopics({
    topics: [{ topic: TOPIC, replicaAssignment, configEntries: settings.map(([name, value]) => ({ name, value })) }],
  })
  await admin.disconnect()
})

afterAll(async () => {
  await cluster?.close()
})

/** A stream whose transactions are kept by the broker that leads the topic, which stays up. */
async function streamOfFirstBroker(): Promise<string> {
  const connection = new KafkaConnection({ kafka: { brokers: cluster.brokers }, topic: TOPIC, group: undefined })
  try {
    return await connection.run(async asked => {
      for (let n = 0; ; n++) {
        const coordinator = await connection.transactionCoordinator(asked, transactionalIdOf(TOPIC, `orders-${n}`))
        if ((coordinator as unknown as { nodeId: number }).nodeId === 1) return `orders-${n}`
      }
    })
  } finally {
    await connection.close()
  }
}

test('a commit that was answered is there for whoever looks, however long its marker is on the way', async () => {
  await using store = openStore(TOPIC, {}, cluster)
  // The first transaction of a cluster makes the topic that says who keeps which.
  await store.acquire('first', 'a', LONG_MS)
  const stream = await streamOfFirstBroker()
  const { streamId } = await store.acquire(stream, 'a', LONG_MS)
  const producer = kafka.producer({
    ...{ transactionalId: transactionalIdOf(TOPIC, stream), maxInFlightRequests: 1, idempotent: true },
    transactionTimeout: LONG_MS,
  })
  await producer.connect()
  const transaction = await producer.transaction()
  const head = {
    ...{ v: 1, streamId, epoch: 1, lease: { owner: 'a', ttlMs: LONG_MS }, retired: null, lastBatchId: 71 },
    ...{ lastCommittedId: 0, lastSeq: 0, hasPending: false, isRemoved: false, write: 'x' },
  }
  const message = { key: JSON.stringify([stream, 'head']), value: JSON.stringify(head), partition: partitionOf(stream) }
  await transaction.send({ topic: TOPIC, messages: [message] })
  await using other = openStore(TOPIC, {}, cluster)
  // A transaction that is not decided has nobody wait.
  expect(await other.read(stream)).toMatchObject({ lastBatchId: 0 })

  // One of two replicas is gone: the topic takes nothing more, markers neither. That of the commit comes when it is back.
  await cluster.killBroker(1)
  await isUnderReplicated()
  await transaction.commit()
  const seen: unknown[] = []
  const look = async () => {
    await using late = openStore(TOPIC, {}, cluster)
    // The broker may be away for longer than one look waits.
    const insistent = insisting(late)
    seen.push((await insistent.read(stream)).lastBatchId, await insistent.streams())
  }
  const looking = look()
  await setTimeout(1_500)
  expect(seen).toEqual([])
  await cluster.startBroker(1)
  await looking
  expect(seen).toEqual([71, ['first', stream]])
  await producer.disconnect()
})

/** Resolves once the topic's leader knows that its other replica is gone. */
async function isUnderReplicated(): Promise<void> {
  const admin = kafka.admin()
  await admin.connect()
  await expect
    .poll(
      async () => {
        const { topics } = await admin.fetchTopicMetadata({ topics: [TOPIC] })
        return topics[0]?.partitions.every(({ isr }) => isr.length === 1)
      },
      { timeout: 60_000 },
    )
    .toBe(true)
  await admin.disconnect()
}
