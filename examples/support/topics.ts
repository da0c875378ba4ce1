import { setTimeout as delay } from 'node:timers/promises'
import { CompressionTypes, Kafka, logLevel } from 'kafkajs'
import { kafkaSource } from 'tidemark/kafka'

/** A message as examples send it; its partition is that of its key unless one is named. */
export type ExampleMessage = {
  readonly key?: string
  readonly value: string
  readonly partition?: number
  readonly timestamp?: number
}

const MESSAGES_A_SEND = 5_000
/** How long a new topic may take until its leaders answer, ms. */
const LEADERS_WITHIN_MS = 30_000

/** Where this run's Kafka is. */
export function brokers(): string[] {
  return (process.env.KAFKA_BROKERS ?? 'localhost:9092').split(',')
}

/** A name of this run's own for a topic: it goes when the example ends. */
export function topicName(name: string): string {
  return `${process.env.TOPIC_PREFIX ?? ''}${name}`
}

/** A kafkajs client that logs nothing. */
export function kafkaClient(): Kafka {
  return new Kafka({ clientId: 'example', brokers: brokers(), logLevel: logLevel.NOTHING })
}

/** Makes a topic of this run, and waits until its leaders answer. */
export async function createTopic(name: string, { partitions = 4 }: { readonly partitions?: number } = {}): Promise<string> {
  const topic = topicName(name)
  const admin = kafkaClient().admin()
  await admin.connect()
  try {
    await admin.createTopics({ waitForLeaders: false, topics: [{ topic, numPartitions: partitions, replicationFactor: 1 }] })
  } finally {
    await admin.disconnect()
  }
  await using source = kafkaSource({ kafka: { brokers: brokers() }, topics: [topic] })
  for (const since = performance.now(); ; ) {
    try {
      if ((await source.latestOffsets()).length === partitions) return topic
    } catch (error) {
      // A broker that has just started may not know of it yet.
      if (performance.now() - since > LEADERS_WITHIN_MS) throw error
    }
    await delay(100)
  }
}

/** Sends messages with kafkajs, in order. */
export async function sendMessages(topic: string, messages: readonly ExampleMessage[]): Promise<void> {
  const producer = kafkaClient().producer({ allowAutoTopicCreation: false })
  await producer.connect()
  try {
    for (let first = 0; first < messages.length; first += MESSAGES_A_SEND) {
      const some = messages.slice(first, first + MESSAGES_A_SEND).map(({ timestamp, ...message }) => ({
        ...message,
        ...(timestamp !== undefined && { timestamp: String(timestamp) }),
      }))
      await producer.send({ topic, messages: some, compression: CompressionTypes.GZIP })
    }
  } finally {
    await producer.disconnect()
  }
}
