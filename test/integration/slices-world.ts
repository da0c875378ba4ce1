import { ConfigResourceTypes } from 'kafkajs'
import { type KafkaRecord, kafkaSource } from '../../connectors/kafka/index.ts'
import { comparePartitions } from '../../src/core/values.ts'
import type { Listener } from '../../src/index.ts'
import { createTopic, kafkaClient, kafkaCluster, sendMessages, uniqueName } from '../support/kafka.ts'
import { readAll, recordCrc } from '../support/oracle.ts'
import { produce } from '../support/produce.ts'
import { waitUntil } from '../support/services/wait-until.ts'

/** A record's place and content, as the outputs of these tests write it. */
export type Place = { readonly topic: string; readonly part: number; readonly place: number; readonly crc: number; readonly key: string }

/** Of a slice: no divisor of anything, so that slices begin and end anywhere. */
export const SLICE = 97

/** Topics to be read in slices, and what the Java consumer reads of them. */
export type SlicedTopics = {
  /** One partition with batches of several codecs that are larger than a slice, and transactions of two producers, some of them aborted. */
  readonly hot: string
  /** One partition of which the cleaner has left little: whole slices hold nothing. */
  readonly compacted: string
  readonly places: readonly Place[]
}

export async function fillSlicedTopics(): Promise<SlicedTopics> {
  const [hot, compacted] = await Promise.all([fillHot(), fillCompacted()])
  const byJava = await Promise.all([hot, compacted].map(topic => placesByJava(topic)))
  return { hot, compacted, places: byJava.flat().sort(inOrder) }
}

export const inOrder = (a: Place, b: Place) =>
  comparePartitions({ ...a, partition: a.part }, { ...b, partition: b.part }) || a.place - b.place

export function placeOf({ topic, partition, offset, key, value, headers }: KafkaRecord): Place {
  return { topic, part: partition, place: offset, crc: recordCrc({ key, value, headers }), key: String(key) }
}

export function sourceOf(topics: readonly string[], alias?: string) {
  return kafkaSource({ kafka: { brokers: kafkaCluster().brokers }, topics, ...(alias !== undefined && { alias }) })
}

/** The tasks of a run that ended well, and what they have fetched. */
export class TaskWatch {
  /** As `batch/index topic/partition [from, until)`. */
  readonly slices: string[] = []
  /** Of each, in the same order. */
  readonly bytes: number[] = []

  readonly listener: Listener = event => {
    if (event.type !== 'taskEnded' || event.task.status !== 'completed') return
    const { task, bytes = 0 } = event.task
    const { topic, partition, fromOffset, untilOffset } = task.range
    this.slices.push(`${task.batchId}/${task.index} ${topic}/${partition} [${fromOffset}, ${untilOffset})`)
    this.bytes.push(bytes)
  }
}

/** What the Java consumer reads under read_committed. It prints no keys: those come from our own reader, which must see just the same records. */
async function placesByJava(topic: string): Promise<Place[]> {
  const byJava = await readAll(kafkaCluster(), topic, 'read_committed')
  await using source = sourceOf([topic])
  const places: Place[] = []
  for (const { offset: untilOffset, ...at } of await source.latestOffsets()) {
    for await (const records of source.read({ ...at, fromOffset: 0, untilOffset })) places.push(...records.map(placeOf))
  }
  const same = byJava.every(({ partition, offset, crc }, at) => {
    const own = places[at]
    return own?.part === partition && own.place === offset && own.crc === crc
  })
  if (!same || byJava.length !== places.length) throw new Error(`${topic}: the Java client reads ${byJava.length} records, and we others.`)
  return places
}

async function fillHot(): Promise<string> {
  const topic = await createTopic(uniqueName('hot'))
  const kafka = kafkaCluster()
  const transactions = { transactionRecords: 400, abortEvery: 3, producers: 2 } as const
  await produce(kafka, { topic, keys: true, lingerMs: 50, count: 3_000, compression: 'lz4', ...transactions })
  await produce(kafka, { topic, keys: true, lingerMs: 50, count: 3_000, firstId: 2_000, compression: 'zstd' })
  // One batch for sure.
  await sendMessages(
    topic,
    Array.from({ length: 10 * SLICE }, (_, id) => ({ key: `k${3 * id}`, value: `in one batch ${id}` })),
    { codec: 'gzip' },
  )
  await produce(kafka, { topic, keys: true, count: 1_000, firstId: 4_000, ...transactions, transactionalId: `${topic}-again` })
  return topic
}

async function fillCompacted(): Promise<string> {
  const topic = await createTopic(uniqueName('compacted'), { config: { 'segment.ms': '300' } })
  await produce(kafkaCluster(), { topic, keys: true, transactionRecords: 100, abortEvery: 4, batchBytes: 2048, bytes: 100, count: 3_000 })
  // Most keys once more, in batches of many: what came before goes, and leaves gaps.
  const again = Array.from({ length: 2_900 }, (_, id) => ({ key: `k${id}`, value: id % 3 === 0 ? null : `again ${id}` }))
  await sendMessages(topic, again, { codec: 'gzip' })
  const admin = kafkaClient().admin()
  await admin.connect()
  const config = {
    'cleanup.policy': 'compact',
    'min.cleanable.dirty.ratio': '0.01',
    'max.compaction.lag.ms': '1',
    'delete.retention.ms': '0',
  }
  const configEntries = Object.entries(config).map(([name, value]) => ({ name, value }))
  await admin.alterConfigs({ validateOnly: false, resources: [{ type: ConfigResourceTypes.TOPIC, name: topic, configEntries }] })
  await admin.disconnect()
  await using source = sourceOf([topic])
  await waitUntil('the cleaner', async () => {
    // A segment is closed by the next record that comes after its time, and only closed ones are cleaned.
    await sendMessages(topic, [{ key: 'last', value: 'one' }])
    const [{ offset: untilOffset, ...at } = { topic, partition: 0, offset: 0 }] = await source.latestOffsets()
    return (await Array.fromAsync(source.read({ ...at, fromOffset: 0, untilOffset }))).flat().length < untilOffset / 2
  })
  // What is cleaned once more between two reads would make them differ.
  await admin.connect()
  const stop = [{ name: 'cleanup.policy', value: 'delete' }]
  await admin.alterConfigs({ validateOnly: false, resources: [{ type: ConfigResourceTypes.TOPIC, name: topic, configEntries: stop }] })
  await admin.disconnect()
  return topic
}
