import { type KafkaOffsetsOptions, kafkaOffsets } from '../../../offsets/kafka/index.ts'
import type { OffsetStore } from '../../../src/core/offset-store.ts'
import type { Batch, OffsetRange, PartitionOffset } from '../../../src/core/values.ts'
import type { KafkaAddress } from '../../support/cluster/kafka-cluster.ts'
import { createTopic, kafkaClient, kafkaCluster, uniqueName } from '../../support/kafka.ts'

/** What a topic that holds offsets must be set to. */
export const SETTINGS = {
  'cleanup.policy': 'compact',
  'message.timestamp.type': 'LogAppendTime',
  'unclean.leader.election.enable': 'false',
} as const

/** A lease long enough to outlive any test. */
export const LONG_MS = 600_000

/** A topic of the test's own that can hold offsets, with other settings besides. */
export function createOffsetsTopic(config: Readonly<Record<string, string>> = {}, partitions = 8): Promise<string> {
  return createTopic(uniqueName('offsets'), { partitions, config: { ...SETTINGS, ...config } })
}

/** A store on a topic; each call is another client. */
export function openStore(
  topic: string,
  options: Partial<KafkaOffsetsOptions> = {},
  kafka: KafkaAddress = kafkaCluster(),
): OffsetStore & AsyncDisposable {
  return kafkaOffsets({ kafka: { brokers: kafka.brokers }, topic, ...options })
}

export function range(topic: string, partition: number, fromOffset: number, untilOffset: number): OffsetRange {
  return { topic, partition, fromOffset, untilOffset }
}

export function batch(id: number, ranges: readonly OffsetRange[], rest: Partial<Batch> = {}): Batch {
  return { id, batchTime: 1_700_000_000_000 + id, epoch: 1, ranges, ...rest }
}

export function at(topic: string, partition: number, offset: number): PartitionOffset {
  return { topic, partition, offset }
}

/** What the cluster says a topic's settings are. */
export async function settingsOf(topic: string): Promise<Map<string, string>> {
  const admin = kafkaClient().admin()
  await admin.connect()
  try {
    const { resources } = await admin.describeConfigs({ includeSynonyms: false, resources: [{ type: 2, name: topic }] })
    return new Map(resources[0]?.configEntries.map(({ configName, configValue }) => [configName, configValue]))
  } finally {
    await admin.disconnect()
  }
}

/** Sets a topic to exactly these settings. */
export async function alterSettings(topic: string, settings: Readonly<Record<string, string>>): Promise<void> {
  const admin = kafkaClient().admin()
  await admin.connect()
  try {
    const configEntries = Object.entries(settings).map(([name, value]) => ({ name, value }))
    await admin.alterConfigs({ validateOnly: false, resources: [{ type: 2, name: topic, configEntries }] })
  } finally {
    await admin.disconnect()
  }
}
