import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { jsonlSink } from '../../connectors/files/index.ts'
import { type KafkaRecord, type KafkaSourceOptions, kafkaSource } from '../../connectors/kafka/index.ts'
import { memoryOffsets } from '../../offsets/memory/index.ts'
import { silentLog } from '../../src/core/log.ts'
import { type StreamOptions, stream } from '../../src/index.ts'
import { temporaryFolder } from '../connectors/files/temporary-folder.ts'
import { tidemark } from '../src/cli/tidemark-process.ts'
import { writeJob } from '../src/cli/write-job.ts'
import type { KafkaAddress, KafkaCluster } from '../support/cluster/kafka-cluster.ts'
import { startKafka } from '../support/cluster/start-kafka.ts'
import { createTopic, kafkaCluster, sendMessages, uniqueName } from '../support/kafka.ts'

const topic = uniqueName('orders')
let other: KafkaCluster

beforeAll(async () => {
  other = await startKafka({ own: true })
  await fill(kafkaCluster(), 'eu', 40)
  await fill(other, 'us', 10)
})
afterAll(() => other?.close())

async function fill(kafka: KafkaAddress, region: string, count: number): Promise<void> {
  await createTopic(topic, { partitions: 2 }, kafka)
  const messages = Array.from({ length: count }, (_, id) => ({ partition: id % 2, value: `${region} ${id}` }))
  await sendMessages(topic, messages, { kafka })
}

const source = (kafka: KafkaAddress, options: Partial<KafkaSourceOptions> = {}) =>
  kafkaSource({ kafka: { brokers: kafka.brokers }, topics: [topic], ...options })
const eu = (options: Partial<KafkaSourceOptions> = {}) => source(kafkaCluster(), { alias: 'eu', ...options })
const us = (options: Partial<KafkaSourceOptions> = {}) => source(other, { alias: 'us', ...options })

const job = (options: Partial<StreamOptions> = {}) =>
  stream({ name: 'regions', offsets: memoryOffsets(), batchIntervalMs: 0, log: silentLog, ...options })

/** A sink function that notes each record under the cluster it says it comes from. */
function noting() {
  const values = new Map<string, string[]>()
  const note = async (rows: AsyncIterable<readonly KafkaRecord[]>) => {
    for await (const array of rows) {
      for (const { topic: from, value } of array) values.set(from, [...(values.get(from) ?? []), String(value)])
    }
  }
  const counts = () => Object.fromEntries(Array.from(values, ([from, own]) => [from.replace(topic, 'orders'), own.length]).sort())
  return { values, note, counts }
}

/** Runs one job with both sources up to what is there, each into a function of its own. */
async function runBoth(sources: readonly [ReturnType<typeof eu>, ReturnType<typeof us>], options: Partial<StreamOptions> = {}) {
  const seen = noting()
  const flow = job(options)
  flow.from(sources[0]).forEachRange(seen.note, { name: 'eu' })
  const run = await flow.from(sources[1]).forEachRange(seen.note, { name: 'us' }).start({ until: 'latest' })
  return { ...seen, summary: await run.done }
}

describe('two clusters with a topic of the same name', () => {
  test('are read side by side, each record under its own topic, and committed together', async () => {
    const offsets = memoryOffsets()
    const { values, counts, summary } = await runBoth([eu(), us()], { offsets })
    expect(summary).toMatchObject({ reason: 'done', batches: 1, records: 50 })
    expect(counts()).toEqual({ 'eu:orders': 40, 'us:orders': 10 })
    for (const [from, own] of values) expect(own.every(value => value.startsWith(from.slice(0, 3).replace(':', ' ')))).toBe(true)
    const { offsets: committed } = await offsets.read('regions')
    const places = committed.map(at => `${at.topic.replace(topic, 'orders')}/${at.partition} ${at.offset}`)
    expect(places.sort()).toEqual(['eu:orders/0 20', 'eu:orders/1 20', 'us:orders/0 5', 'us:orders/1 5'])
    expect((await runBoth([eu(), us()], { offsets })).summary).toMatchObject({ reason: 'done', batches: 0, records: 0 })
  })

  test('begin each where it is said, by the name that the cluster knows', async () => {
    const start = { at: 'exact', offsets: [0, 1].map(partition => ({ topic, partition, offset: 15 })) } as const
    const starts = ['latest', 'earliest'] as const
    const each = { at: 'each', partitions: starts.map((start, partition) => ({ topic, partition, start })) } as const
    const { counts } = await runBoth([eu({ startingOffsets: start }), us({ startingOffsets: each })])
    expect(counts()).toEqual({ 'eu:orders': 10, 'us:orders': 5 })
  })

  test('end where it is said, by the name in the job', async () => {
    const seen = noting()
    const flow = job()
    flow.from(eu()).forEachRange(seen.note, { name: 'eu' })
    const until = [
      { topic: `eu:${topic}`, partition: 0, offset: 3 },
      { topic: `us:${topic}`, partition: 1, offset: 2 },
    ]
    const run = await flow
      .from(us())
      .forEachRange(seen.note, { name: 'us' })
      .start({ until: { at: 'exact', offsets: until } })
    await run.done
    expect(seen.counts()['eu:orders']).toBe(3)
    expect(seen.counts()['us:orders']).toBe(2)
  })

  test('without an alias are refused, by the topic and what to do', async () => {
    const flow = job()
    flow.from(source(kafkaCluster())).forEachRange(async () => {}, { name: 'one' })
    const starting = flow
      .from(source(other))
      .forEachRange(async () => {}, { name: 'two' })
      .start({ until: 'latest' })
    await expect(starting.then(run => run.done)).rejects.toMatchObject({
      code: 'JOB',
      message: expect.stringMatching(new RegExp(`^Topic ${topic} comes from two sources of the job, .*Give one of them an alias`)),
    })
  })

  test('write files into a folder each', async () => {
    const directory = temporaryFolder()
    const flow = job()
    const text = (record: KafkaRecord) => ({ value: String(record.value) })
    flow.from(eu()).map(text).to(jsonlSink({ directory }), { name: 'eu' })
    const run = await flow
      .from(us())
      .map(text)
      .to(jsonlSink({ directory: join(directory, 'us') }), { name: 'us' })
      .start({ until: 'latest' })
    await run.done
    const lines = (readdirSync(directory, { recursive: true }) as string[])
      .filter(name => name.endsWith('.jsonl'))
      .map(name => ({ name, lines: readFileSync(join(directory, name), 'utf8').trimEnd().split('\n') }))
    const count = (of: string) => lines.filter(({ name }) => name.includes(of)).reduce((sum, { lines: own }) => sum + own.length, 0)
    expect(lines.reduce((sum, { lines: own }) => sum + own.length, 0)).toBe(50)
    expect([count(`eu%3A${topic}`), count(`us%3A${topic}`)]).toEqual([40, 10])
  })
})

test('one cluster and topic named by two sources is refused by name', async () => {
  const flow = job()
  flow.from(eu()).forEachRange(async () => {}, { name: 'one' })
  const starting = flow
    .from(eu())
    .forEachRange(async () => {}, { name: 'two' })
    .start({ until: 'latest' })
  await expect(starting.then(run => run.done)).rejects.toMatchObject({
    code: 'JOB',
    message: expect.stringMatching(new RegExp(`^Topic eu:${topic} comes from two sources of the job, `)),
  })
})

test('several outputs of one source get every record each, and are committed as one batch', async () => {
  const offsets = memoryOffsets()
  const seen = [noting(), noting()] as const
  const flow = job({ offsets })
  const shared = flow.from(eu())
  shared.forEachRange(seen[0].note, { name: 'first' })
  const run = await shared.forEachRange(seen[1].note, { name: 'second' }).start({ until: 'latest' })
  expect(await run.done).toMatchObject({ batches: 1, records: 40 })
  expect(seen.map(({ counts }) => counts())).toEqual([{ 'eu:orders': 40 }, { 'eu:orders': 40 }])
  const entries = await Array.fromAsync(offsets.history('regions'))
  expect(entries.filter(({ kind }) => kind === 'batch').length).toBe(1)
})

test('the command shows plan and offsets under the aliases', async () => {
  const cwd = temporaryFolder()
  const from = (kafka: KafkaAddress, alias: string) =>
    `kafkaSource({ kafka: { brokers: ${JSON.stringify(kafka.brokers)} }, topics: ['${topic}'], alias: '${alias}' })`
  writeJob(
    cwd,
    'regions.ts',
    `import { stream } from 'tidemark'
import { kafkaSource } from 'tidemark/kafka'
const regions = stream({ name: 'regions', log: undefined })
regions.from(${from(kafkaCluster(), 'eu')}).forEachRange(async rows => { for await (const _ of rows); }, { name: 'eu' })
export default regions.from(${from(other, 'us')}).forEachRange(async rows => { for await (const _ of rows); }, { name: 'us' })`,
  )
  const plan = await tidemark(['plan', 'regions.ts'], { cwd })
  expect({ code: plan.code, stderr: plan.stderr }).toEqual({ code: 0, stderr: '' })
  for (const [alias, until] of [
    ['eu', 20],
    ['us', 5],
  ]) {
    expect(plan.stdout).toMatch(new RegExp(`${alias}:${topic}/1 +0 +${until} `))
  }
  expect(await tidemark(['run', 'regions.ts', '--until', 'latest'], { cwd })).toMatchObject({ code: 0 })
  const shown = await tidemark(['offsets', 'show', 'regions.ts'], { cwd })
  expect(shown.stdout).toMatch(new RegExp(`^eu:${topic}/0 +20 +0 +20 +0$`, 'm'))
  expect(shown.stdout).toMatch(new RegExp(`^us:${topic}/0 +5 +0 +5 +0$`, 'm'))
})
