import { Redis } from 'ioredis'
import { Client } from 'pg'
import { beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { consoleSink } from '../../connectors/console/index.ts'
import { jsonlSink } from '../../connectors/files/index.ts'
import { kafkaSink } from '../../connectors/kafka/index.ts'
import { postgresSink } from '../../connectors/postgres/index.ts'
import { redisSink } from '../../connectors/redis/index.ts'
import { memoryOffsets } from '../../offsets/memory/index.ts'
import { silentLog } from '../../src/core/log.ts'
import { inProcess, type Sink, stream } from '../../src/index.ts'
import { forEachBatchSink, forEachRangeSink } from '../../src/streams/functions-as-sinks.ts'
import { temporaryFolder } from '../connectors/files/temporary-folder.ts'
import { createTopic, kafkaCluster, uniqueName } from '../support/kafka.ts'
import { services } from '../support/services.ts'
import { placesIn } from './files-of-places.ts'
import { fillSlicedTopics, inOrder, type Place, placeOf, SLICE, type SlicedTopics, sourceOf, TaskWatch } from './slices-world.ts'

let topics: SlicedTopics
beforeAll(async () => {
  topics = await fillSlicedTopics()
})

/** Reads both topics in slices of a few batches into the output, by four at a time. */
async function runInto(sink: Sink<Place>): Promise<TaskWatch> {
  const watch = new TaskWatch()
  const run = await stream({
    name: uniqueName('slices'),
    offsets: memoryOffsets(),
    batchIntervalMs: 0,
    limits: { maxRecordsPerBatch: 4_000, maxRecordsPerTask: SLICE },
    executor: inProcess({ concurrency: 4 }),
    listeners: [watch.listener],
    log: silentLog,
  })
    .from(sourceOf([topics.hot, topics.compacted]))
    .map(placeOf)
    .to(sink, { name: 'out' })
    .start({ until: 'latest' })
  expect((await run.done).records).toBe(topics.places.length)
  expect(watch.slices.length).toBeGreaterThan(60)
  expect(new Set(watch.slices).size).toBe(watch.slices.length)
  return watch
}

async function openPostgres(columns: string): Promise<{ client: Client; table: string }> {
  const client = new Client(services().postgres)
  await client.connect()
  onTestFinished(() => client.end())
  const table = uniqueName('slices').replaceAll('-', '_')
  await client.query(`create table ${table} (${columns})`)
  return { client, table }
}

const byKey = (places: readonly Place[]) => Map.groupBy(places, ({ topic, key }) => `${topic} ${key}`)
const isDeleted = ({ place }: Place) => place % 7 === 0

/** What is left by key when each record replaces the one before, and some delete it. */
function lastOfKeys(places: readonly Place[]): Place[] {
  const last = Array.from(byKey(places).values(), own => own.at(-1))
  return last.filter(place => place !== undefined && !isDeleted(place)).sort((a, b) => inOrder(a as Place, b as Place)) as Place[]
}

describe('a partition read in slices that begin and end inside of batches, over aborted records and gaps', () => {
  test('is in files once, one file a slice', async () => {
    const directory = temporaryFolder()
    const { slices } = await runInto(jsonlSink({ directory }))
    expect((await placesIn(directory)).map(row => row as unknown as Place).sort(inOrder)).toEqual(topics.places)
    expect(slices.length).toBeGreaterThan(topics.places.length / SLICE)
  })

  test('is appended to a table once', async () => {
    const { client, table } = await openPostgres('topic text, part int, place int, crc float8, key text')
    await runInto(postgresSink<Place>({ connectionString: services().postgres, table }))
    expect((await client.query<Place>(`select * from ${table}`)).rows.sort(inOrder)).toEqual(topics.places)
  })

  test.for([
    ['with a version', { version: 'place' }],
    ['without one', {}],
  ] as const)('leaves the last row of each key in a table that is merged into %s, and not those that were deleted', async ([, options]) => {
    const { client, table } = await openPostgres('topic text, key text, part int, place int, crc float8, primary key (topic, key)')
    await runInto(
      postgresSink<Place>({ connectionString: services().postgres, table, key: ['topic', 'key'], deleteWhen: isDeleted, ...options }),
    )
    expect((await client.query<Place>(`select * from ${table}`)).rows.sort(inOrder)).toEqual(lastOfKeys(topics.places))
  })

  test('leaves the last row of each key in Redis', async () => {
    const prefix = uniqueName('key')
    const key = (place: Place) => `${prefix}:${place.topic}:${place.key}`
    await runInto(redisSink<Place>({ url: services().redis, string: { key }, deleteWhen: isDeleted }))
    const client = new Redis(services().redis)
    onTestFinished(() => client.disconnect())
    const keys = await client.keys(`${prefix}:*`)
    const values = await client.mget(keys)
    expect(values.map(value => JSON.parse(value ?? 'null') as Place).sort(inOrder)).toEqual(lastOfKeys(topics.places))
  })

  test('is in a stream of Redis once, in the order of the log', async () => {
    const key = uniqueName('entries')
    await runInto(redisSink<Place>({ url: services().redis, stream: { key, fields: place => ({ json: JSON.stringify(place) }) } }))
    const client = new Redis(services().redis)
    onTestFinished(() => client.disconnect())
    const entries = (await client.xrange(key, '-', '+')).map(([, [, json = '']]) => JSON.parse(json) as Place)
    expect(entries.toSorted(inOrder)).toEqual(topics.places)
    for (const topic of [topics.hot, topics.compacted]) {
      expect(entries.filter(place => place.topic === topic)).toEqual(topics.places.filter(place => place.topic === topic))
    }
  })

  test('is in a topic once, and the rows of each key in their order', async () => {
    const target = await createTopic(uniqueName('target'), { partitions: 3 })
    const kafka = { brokers: kafkaCluster().brokers }
    await runInto(kafkaSink<Place>({ kafka, topic: target, key: ({ topic, key }) => `${topic} ${key}` }))
    await using source = sourceOf([target])
    const written: Place[] = []
    for (const { offset: untilOffset, ...at } of await source.latestOffsets()) {
      for await (const records of source.read({ ...at, fromOffset: 0, untilOffset })) {
        written.push(...records.map(({ value }) => JSON.parse(String(value)) as Place))
      }
    }
    expect(written.toSorted(inOrder)).toEqual(topics.places)
    const expected = byKey(topics.places)
    for (const [key, places] of byKey(written)) expect(places).toEqual(expected.get(key))
  })
})

test('only outputs that append, or that the driver puts in order, take slices of a partition side by side', () => {
  const postgres = { connectionString: 'postgres://localhost/orders' }
  const url = 'redis://localhost'
  const key = () => ''
  const kafka = { brokers: ['localhost:9092'] }
  const orderings: [string, Sink<never>][] = [
    ['none', jsonlSink({ directory: 'out' })],
    ['none', postgresSink({ ...postgres, table: 'orders' })],
    ['none', consoleSink()],
    ['none', forEachBatchSink()],
    ['partition', postgresSink<Place>({ ...postgres, table: 'orders', key: 'key' })],
    ['partition', postgresSink<Place>({ ...postgres, table: 'orders', key: 'key', version: 'place' })],
    ['partition', postgresSink({ ...postgres, write: async () => {} })],
    ['partition', redisSink({ url, string: { key } })],
    ['partition', redisSink({ url, hash: { key } })],
    ['partition', redisSink({ url, stream: { key: 'orders' } })],
    ['partition', redisSink({ url, sortedSet: { key: 'orders', member: key, score: () => 0 } })],
    ['partition', kafkaSink({ kafka, topic: 'orders' })],
    ['partition', forEachRangeSink(() => {})],
  ]
  expect(orderings.map(([, { name, ordering }]) => [name, ordering])).toEqual(orderings.map(([ordering, { name }]) => [name, ordering]))
})
