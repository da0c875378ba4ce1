import { Kafka, logLevel } from 'kafkajs'
import type { KafkaAddress } from '../support/cluster/kafka-cluster.ts'
import { produce } from '../support/produce.ts'

/** The topics that are read: JSON records in 4 partitions of one broker. */
export const READ_TOPICS = [
  { topic: 'bench-none', compression: 'none', count: 5_000_000, bytes: 73 },
  { topic: 'bench-lz4', compression: 'lz4', count: 5_000_000, bytes: 73 },
  { topic: 'bench-zstd', compression: 'zstd', count: 5_000_000, bytes: 73 },
  { topic: 'bench-1k', compression: 'none', count: 1_000_000, bytes: 1024 },
] as const

export const PARTITIONS = 4

export async function makeTopic(
  kafka: KafkaAddress,
  topic: string,
  partitions = PARTITIONS,
  config: Readonly<Record<string, string>> = {},
): Promise<void> {
  const configEntries = Object.entries(config).map(([name, value]) => ({ name, value }))
  const admin = new Kafka({ brokers: kafka.brokers, logLevel: logLevel.NOTHING }).admin()
  await admin.connect()
  try {
    await admin.createTopics({ waitForLeaders: true, topics: [{ topic, numPartitions: partitions, replicationFactor: 1, configEntries }] })
  } finally {
    await admin.disconnect()
  }
}

/** Makes and fills the topics that are wanted, with the Java producer. */
export async function fillReadTopics(kafka: KafkaAddress, wanted: readonly string[], tell: (line: string) => void): Promise<void> {
  for (const { topic, ...records } of READ_TOPICS) {
    if (!wanted.includes(topic)) continue
    await makeTopic(kafka, topic)
    const { ms } = await produce(kafka, { topic, ...records })
    tell(
      `${topic}: ${records.count.toLocaleString('en-US')} records of ${records.bytes} bytes, ${records.compression}, in ${(ms / 1000).toFixed(1)} s`,
    )
  }
}
