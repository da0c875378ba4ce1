import { expect, test } from 'vitest'
import { kafkaSink, kafkaSource } from '../../../../connectors/kafka/index.ts'
import type { KafkaRecord } from '../../../../connectors/kafka/record.ts'
import { murmur2 } from '../../../../connectors/kafka/sink/records/murmur2.ts'
import type { Sink } from '../../../../src/core/sink.ts'
import { runJava } from '../../../support/cluster/run-java.ts'
import { createTopic, kafkaCluster, uniqueName } from '../../../support/kafka.ts'
import { readAll, recordCrc } from '../../../support/oracle.ts'
import { produce } from '../../../support/produce.ts'
import { type Order, orders, readCommitted, running, SinkWorld } from './sink-world.ts'

const BATCH_TIME = 1_700_000_000_000

/** Writes rows of any kind as batch 1. */
async function writeRows<Row>(world: SinkWorld, sink: Sink<Row>, rows: AsyncIterable<readonly Row[]>): Promise<void> {
  await sink.prepare?.(world.context())
  await sink.open?.(world.context())
  await sink.fence?.(world.mark(1, 1))
  await sink.write(world.task(), rows, running)
  await sink.close?.()
}

test.for(['none', 'gzip', 'snappy', 'lz4', 'zstd'] as const)(
  'rows compressed with %s are what a Java consumer reads',
  async compression => {
    const world = await SinkWorld.open({ partitions: 3, compression, maxRequestBytes: 8_192, key: ({ id }) => `order-${id}` })
    const ids = Array.from({ length: 2_000 }, (_, id) => id)
    const sink = await world.sink()
    await sink.fence?.(world.mark(1, 1))
    await sink.write(world.task(), orders(...ids), running)
    const read = await world.byJava()
    const crcs = ids.map(id => recordCrc({ key: Buffer.from(`order-${id}`), value: Buffer.from(JSON.stringify({ id })), headers: [] }))
    expect(read.map(({ crc }) => crc).sort()).toEqual(crcs.sort())
    expect(new Set(read.map(({ timestamp }) => timestamp))).toEqual(new Set([BATCH_TIME]))
  },
)

test('keys land in the partitions where the Java producer puts them', async () => {
  const keys = Array.from({ length: 300 }, (_, id) => `${'kü€'.slice(0, id % 4)}${'x'.repeat(id % 11)}${id}`)
  const byJava = await createTopic(uniqueName('by-java'), { partitions: 7 })
  await runJava(kafkaCluster(), 'ProduceByKey.java', brokers => [brokers, byJava, ...keys])
  const world = await SinkWorld.open({ partitions: 7 })
  const sink = kafkaSink<string>({ kafka: { brokers: world.kafka.brokers }, topic: world.topic, key: key => key, value: Buffer.from })
  await writeRows(
    world,
    sink,
    (async function* () {
      yield keys
    })(),
  )
  const placed = (records: { partition: number; crc: number }[]) => records.map(({ partition, crc }) => `${partition} ${crc}`).sort()
  expect(placed(await world.byJava())).toEqual(placed(await readAll(kafkaCluster(), byJava, 'read_committed')))
})

test.for([
  ['21', -973_932_308],
  ['foobar', -790_332_482],
  ['a-little-bit-long-string', -985_981_536],
  ['a-little-bit-longer-string', -1_486_304_829],
  ['lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8', -58_897_971],
  ['abc', 479_470_107],
] as const)("murmur2 of %s is what Kafka's own test says", ([text, hash]) => {
  expect(murmur2(Buffer.from(text))).toBe(hash)
})

test('records pass through as they are: key, value, headers and time', async () => {
  const from = await createTopic(uniqueName('from'), { partitions: 2 })
  await produce(kafkaCluster(), { topic: from, count: 500, keys: true, headers: 2, timestamp: 1_600_000_000_000, timestampStep: 7 })
  const world = await SinkWorld.open({ partitions: 2 })
  await using source = kafkaSource({ kafka: { brokers: world.kafka.brokers }, topics: [from] })
  const sink = kafkaSink<KafkaRecord>({
    kafka: { brokers: world.kafka.brokers },
    topic: world.topic,
    partition: ({ partition }) => partition,
  })
  async function* rows() {
    for (const { topic, partition, offset } of await source.latestOffsets()) {
      yield* source.read({ topic, partition, fromOffset: 0, untilOffset: offset })
    }
  }
  await writeRows(world, sink, rows())
  const content = (records: Awaited<ReturnType<SinkWorld['byJava']>>) =>
    records.map(({ partition, timestamp, crc }) => `${partition} ${timestamp} ${crc}`)
  expect(content(await world.byJava())).toEqual(content(await readAll(world.kafka, from, 'read_committed')))
})

test('key, value, headers, topic and partition are what the functions say', async () => {
  const world = await SinkWorld.open({ partitions: 4 })
  const second = await createTopic(uniqueName('second'), { partitions: 4 })
  const sink = kafkaSink<Order>({
    kafka: { brokers: world.kafka.brokers },
    topic: ({ id }) => (id % 2 === 0 ? world.topic : second),
    key: ({ id }) => (id === 4 ? null : Buffer.from([id])),
    value: ({ id }) => (id === 3 ? null : `värde ${id}`),
    headers: ({ id }) => [
      ['ï', String(id)],
      ['ï', null],
      ['b', Buffer.from([id])],
    ],
    partition: ({ id }) => id % 4,
  })
  await writeRows(world, sink, orders(1, 2, 3, 4))
  const seen = [...(await readCommitted(world.kafka, world.topic)), ...(await readCommitted(world.kafka, second))].map(record => ({
    ...{ topic: record.topic, partition: record.partition, key: record.key?.[0] ?? null, value: record.value?.toString() ?? null },
    headers: record.headers.map(([name, value]) => [name, value?.toString('latin1') ?? null]),
  }))
  const expected = [4, 2, 1, 3].map(id => ({
    ...{ topic: id % 2 === 0 ? world.topic : second, partition: id % 4, key: id === 4 ? null : id, value: id === 3 ? null : `värde ${id}` },
    headers: [
      ['ï', String(id)],
      ['ï', null],
      ['b', String.fromCharCode(id)],
    ],
  }))
  expect(seen).toEqual(expected)
})

test('rows without a key fill partition after partition, from another one in each task', async () => {
  const world = await SinkWorld.open({ partitions: 2, value: ({ id }) => `${id} ${'x'.repeat(10_000)}` })
  const sink = await world.sink()
  await sink.fence?.(world.mark(1, 1))
  await sink.write(world.task(), orders(...Array(20).keys()), running)
  await sink.write(world.task({ index: 1 }), orders(100), running)
  const ids = (await readCommitted(world.kafka, world.topic)).map(
    ({ partition, value }) => `${partition}:${value?.toString().split(' ')[0]}`,
  )
  const expected = [7, 8, 9, 10, 11, 12, 13, 100].map(id => `0:${id}`)
  expect(ids).toEqual([...expected, ...[0, 1, 2, 3, 4, 5, 6, 14, 15, 16, 17, 18, 19].map(id => `1:${id}`)])
})

test('a record that does not fit, a topic that takes less and a topic that is not there are told with what to change', async () => {
  const world = await SinkWorld.open({ value: () => 'x'.repeat(5_000) })
  const small = await world.sink({ maxRequestBytes: 4_096 })
  await small.fence?.(world.mark(1, 1))
  const write = (sink: Sink<Order>) => sink.write(world.task(), orders(1), running)
  await expect(write(small)).rejects.toMatchObject({
    code: 'CONFIG',
    message: expect.stringMatching(/value of 5000 bytes and does not fit a batch of 4096 bytes\. Raise maxRequestBytes/),
  })
  const narrow = await createTopic(uniqueName('narrow'), { config: { 'max.message.bytes': '1000' } })
  await expect(write(await world.sink({ topic: narrow }))).rejects.toMatchObject({
    code: 'CONFIG',
    message: expect.stringContaining(`Raise max.message.bytes of topic ${narrow}`),
  })
  const missing = uniqueName('missing')
  await expect(world.sink({ topic: missing })).rejects.toMatchObject({
    code: 'CONFIG',
    message: expect.stringContaining(`Topic ${missing} does not exist`),
  })
  await expect(write(await world.sink({ topic: () => missing }))).rejects.toMatchObject({ code: 'CONFIG' })
  await write(await world.sink())
  expect(await readCommitted(world.kafka, world.topic)).toHaveLength(1)
})

test('a function that gives what cannot be written is told with what it gave', async () => {
  const world = await SinkWorld.open()
  const sink = await world.sink({ partition: () => 2 })
  await sink.fence?.(world.mark(1, 1))
  const write = (bad: Sink<Order>) => bad.write(world.task(), orders(1), running)
  await expect(write(sink)).rejects.toMatchObject({
    code: 'JOB',
    message: expect.stringMatching(/gave 2 for a row; topic .* has partitions 0 to 1/),
  })
  await expect(write(await world.sink({ key: (() => 5) as never }))).rejects.toMatchObject({
    code: 'JOB',
    message: expect.stringContaining('gave number 5'),
  })
  await expect(write(await world.sink({ value: (() => undefined) as never }))).rejects.toMatchObject({ code: 'JOB' })
  expect(await readCommitted(world.kafka, world.topic)).toEqual([])
})
