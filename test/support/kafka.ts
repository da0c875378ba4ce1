import { randomUUID } from 'node:crypto'
import { Kafka, type KafkaConfig, logLevel, type Message, type Transaction } from 'kafkajs'
import { inject } from 'vitest'
import { kafkaSource } from '../../connectors/kafka/index.ts'
import { ConfigError } from '../../src/core/errors.ts'
import { askMetadata } from './cluster/ask-metadata.ts'
import type { KafkaAddress } from './cluster/kafka-cluster.ts'
import { waitUntil } from './services/wait-until.ts'
import './kafkajs-codecs.ts'

/** The Kafka that the integration tests share. Tests that stop brokers start one of their own: `startKafka({ own: true })`. */
export function kafkaCluster(): KafkaAddress {
  return inject('kafka')
}

/** A client of the PLAINTEXT listener that logs nothing. */
export function kafkaClient(kafka: KafkaAddress = kafkaCluster(), config: Partial<KafkaConfig> = {}): Kafka {
  return new Kafka({ clientId: 'tidemark-test', brokers: kafka.brokers, logLevel: logLevel.NOTHING, ...config })
}

/** The kafkajs configuration of the SASL_SSL listener. @throws ConfigError when the cluster has none */
export function saslConfig(kafka: KafkaAddress = kafkaCluster()): KafkaConfig & { sasl: NonNullable<KafkaAddress['sasl']> } {
  if (kafka.sasl === undefined) throw new ConfigError('This Kafka was started without a SASL_SSL listener: startKafka({ sasl: true }).')
  return {
    clientId: 'tidemark-test',
    brokers: kafka.saslBrokers,
    // A copy: kafkajs keeps the authenticator it makes in the object it is given, password included, and so in every later copy of it.
    sasl: { ...kafka.sasl },
    ssl: kafka.ca === undefined ? true : { ca: [kafka.ca] },
    logLevel: logLevel.NOTHING,
  }
}

/** How {@link createTopic} makes a topic. */
export type TopicOptions = {
  /** @default 1 */
  readonly partitions?: number
  /** @default 1 */
  readonly replicas?: number
  /** Node ids of the replicas of each partition, the preferred leader first; instead of `partitions` and `replicas`. */
  readonly assignment?: readonly (readonly number[])[]
  readonly config?: Readonly<Record<string, string>>
}

/** A topic name nobody else uses; `about` shows up in it, to be found again in Kafka's own tools. */
export function uniqueName(about = 'test'): string {
  return `${about}-${randomUUID().slice(0, 13)}`
}

/** Creates a topic and waits until every broker knows its leaders and they take records. Gives its name. */
export async function createTopic(
  name: string = uniqueName(),
  { partitions = 1, replicas = 1, assignment, config = {} }: TopicOptions = {},
  kafka: KafkaAddress = kafkaCluster(),
): Promise<string> {
  const admin = kafkaClient(kafka).admin()
  await admin.connect()
  try {
    await admin.createTopics({
      waitForLeaders: false,
      topics: [
        {
          topic: name,
          configEntries: Object.entries(config).map(([entry, value]) => ({ name: entry, value })),
          ...(assignment === undefined
            ? { numPartitions: partitions, replicationFactor: replicas }
            : {
                numPartitions: -1,
                replicationFactor: -1,
                replicaAssignment: assignment.map((nodes, partition) => ({ partition, replicas: [...nodes] })),
              }),
        },
      ],
    })
  } finally {
    await admin.disconnect()
  }
  const count = assignment?.length ?? partitions
  await waitUntil(`topic ${name} with ${count} partitions on every broker`, async () => {
    const answers = await Promise.all(kafka.brokers.map(broker => askMetadata(broker, [name])))
    return answers.every(({ topics }) => {
      const known = topics.get(name) ?? []
      return known.length === count && known.every(partition => partition.errorCode === 0 && partition.leader >= 0)
    })
  })
  // A leader that is announced may still refuse for a moment, and kafkajs then sends all of a request's partitions again, also those that
  // were written. One that gives offsets takes records.
  await using source = kafkaSource({ kafka: { brokers: kafka.brokers }, topics: [name] })
  await source.latestOffsets()
  return name
}

/** A codec by Kafka's number for it; the values of kafkajs' `CompressionTypes`. */
export const CODEC = { none: 0, gzip: 1, snappy: 2, lz4: 3, zstd: 4 } as const

/** How long a broker may take to write, ms. */
const PRODUCE_TIMEOUT_MS = 120_000

/** How {@link sendMessages} sends. */
export type SendOptions = {
  /** @default 'none' */
  readonly codec?: keyof typeof CODEC
  readonly kafka?: KafkaAddress
}

/** Sends messages with kafkajs; those for one partition make one record batch. */
export async function sendMessages(
  topic: string,
  messages: Message[],
  { codec = 'none', kafka = kafkaCluster() }: SendOptions = {},
): Promise<void> {
  // The first write to a thousand partitions takes longer than kafkajs waits, and then it would send it again.
  const producer = kafkaClient(kafka, { requestTimeout: PRODUCE_TIMEOUT_MS }).producer({ allowAutoTopicCreation: false })
  await producer.connect()
  try {
    await producer.send({ topic, messages, compression: CODEC[codec] })
  } finally {
    await producer.disconnect()
  }
}

/** How {@link sendTransaction} ends its transaction; `open` leaves it open, so that the last stable offset stays in front of it. */
export type TransactionEnd = 'commit' | 'abort' | 'open'

/**
 * Sends messages with kafkajs in one transaction, and resolves when its marker is in the log. An open one ends by the broker's
 * timeout, or when its id is used again.
 */
export async function sendTransaction(
  topic: string,
  messages: Message[],
  end: TransactionEnd,
  {
    codec = 'none',
    kafka = kafkaCluster(),
    transactionalId = uniqueName('transaction'),
  }: SendOptions & { readonly transactionalId?: string } = {},
): Promise<void> {
  await withTransaction(kafka, transactionalId, async transaction => {
    await transaction.send({ topic, messages, compression: CODEC[codec] })
    if (end === 'commit') await transaction.commit()
    if (end === 'abort') await transaction.abort()
  })
  // Commit and abort return before the marker is written, and a read right behind them could miss the records. The same id can be
  // initialised again only when it is.
  if (end !== 'open') await withTransaction(kafka, transactionalId, async () => {})
}

/** The most that a broker allows: one that is left open is to be open until its test has ended, however slow the machine. */
const OPEN_FOR_MS = 900_000

async function withTransaction(
  kafka: KafkaAddress,
  transactionalId: string,
  work: (transaction: Transaction) => Promise<void>,
): Promise<void> {
  const producer = kafkaClient(kafka).producer({
    ...{ allowAutoTopicCreation: false, transactionalId, maxInFlightRequests: 1, idempotent: true },
    transactionTimeout: OPEN_FOR_MS,
  })
  await producer.connect()
  try {
    await work(await producer.transaction())
  } finally {
    await producer.disconnect()
  }
}
