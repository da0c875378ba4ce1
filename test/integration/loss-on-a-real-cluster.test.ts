import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type KafkaRecord, kafkaSource } from '../../connectors/kafka/index.ts'
import { memoryOffsets } from '../../offsets/memory/index.ts'
import type { StreamEvent } from '../../src/core/events.ts'
import { silentLog } from '../../src/core/log.ts'
import type { OffsetStore } from '../../src/core/offset-store.ts'
import { type Run, type StreamOptions, stream } from '../../src/index.ts'
import { temporaryFolder } from '../connectors/files/temporary-folder.ts'
import { tidemark } from '../src/cli/tidemark-process.ts'
import { writeJob } from '../src/cli/write-job.ts'
import { asOracle } from '../support/as-oracle.ts'
import { askMetadata } from '../support/cluster/ask-metadata.ts'
import type { KafkaCluster } from '../support/cluster/kafka-cluster.ts'
import { startKafka } from '../support/cluster/start-kafka.ts'
import { createTopic, kafkaClient, sendMessages, uniqueName } from '../support/kafka.ts'
import { readAll } from '../support/oracle.ts'
import { waitUntil } from '../support/services/wait-until.ts'

/** Brokers die and come back in some of these. */
const TIMEOUT_MS = 240_000

let kafka: KafkaCluster

beforeAll(async () => {
  kafka = await startKafka({ brokers: 3, own: true })
})

afterAll(() => kafka.close())

/** A stream of one topic, over its starts. */
class Lossy {
  readonly topic: string
  readonly records: KafkaRecord[] = []
  readonly events: StreamEvent[] = []
  readonly store: OffsetStore = memoryOffsets()
  readonly #topics: readonly string[] | RegExp

  constructor(topic: string, topics: readonly string[] | RegExp = [topic]) {
    this.topic = topic
    this.#topics = topics
  }

  start(onDataLoss: NonNullable<StreamOptions['onDataLoss']>, until?: 'latest'): Promise<Run> {
    return stream({
      name: 'lossy',
      offsets: this.store,
      batchIntervalMs: 0,
      limits: { maxRecordsPerBatch: 100 },
      onDataLoss,
      log: silentLog,
      listeners: [event => this.events.push(event)],
    })
      .from(kafkaSource({ kafka: { brokers: kafka.brokers }, topics: this.#topics, metadataMaxAgeMs: 1_000 }))
      .forEachBatch(rows => {
        this.records.push(...rows)
      })
      .start(until === undefined ? {} : { until })
  }

  /** Reads all there is now. */
  async readAll(onDataLoss: NonNullable<StreamOptions['onDataLoss']> = 'fail'): Promise<void> {
    await (await this.start(onDataLoss, 'latest')).done
  }

  send(prefix: string, count: number, partition = 0): Promise<void> {
    const messages = Array.from({ length: count }, (_, id) => ({ partition, value: `${prefix}-${id}` }))
    return sendMessages(this.topic, messages, { kafka })
  }

  get values(): string[] {
    return this.records.map(record => String(record.value))
  }

  get losses() {
    return this.events.flatMap(event => (event.type === 'dataLoss' ? [event] : []))
  }

  until(what: string, look: () => boolean): Promise<void> {
    return waitUntil(what, async () => look(), { timeoutMs: 60_000 })
  }

  /** What a Java consumer finds in the topic, compared with what was read from `first` on. */
  async equalsJava(first = 0): Promise<void> {
    const golden = await readAll(kafka, this.topic, 'read_committed')
    const read = asOracle(this.records.slice(first)).sort((a, b) => a.partition - b.partition || a.offset - b.offset)
    expect(read).toEqual(golden)
  }

  async reasons(): Promise<string[]> {
    const history = await Array.fromAsync(this.store.history('lossy'))
    return history.flatMap(entry => (entry.kind === 'reset' ? [entry.reason] : []))
  }
}

async function withAdmin<T>(use: (admin: ReturnType<ReturnType<typeof kafkaClient>['admin']>) => Promise<T>): Promise<T> {
  const admin = kafkaClient(kafka).admin()
  await admin.connect()
  try {
    return await use(admin)
  } finally {
    await admin.disconnect()
  }
}

async function deleteTopic(topic: string): Promise<void> {
  await withAdmin(admin => admin.deleteTopics({ topics: [topic] }))
  await waitUntil(`${topic} gone`, async () => {
    const answers = await Promise.all(kafka.brokers.map(broker => askMetadata(broker, [topic])))
    return answers.every(({ topics }) => (topics.get(topic) ?? []).length === 0)
  })
}

async function deleteBefore(topic: string, offset: number): Promise<void> {
  await withAdmin(async admin => {
    // It finds the leader only in metadata that another call has loaded.
    await admin.fetchTopicOffsets(topic)
    await admin.deleteTopicRecords({ topic, partitions: [{ partition: 0, offset: String(offset) }] })
  })
}

describe('DeleteRecords in front of what a stream is to read', () => {
  test('stops it with exactly the offsets that are gone, or is skipped, and then the rest is what Java reads', async () => {
    const lossy = new Lossy(await createTopic(uniqueName('retention'), {}, kafka))
    await lossy.send('a', 50)
    await lossy.readAll()
    await lossy.send('b', 50)
    await deleteBefore(lossy.topic, 80)
    await expect((await lossy.start('fail')).done).rejects.toMatchObject({
      code: 'DATA_LOSS',
      lossCause: 'retention',
      missing: [{ topic: lossy.topic, partition: 0, fromOffset: 50, untilOffset: 80 }],
    })
    await lossy.readAll({ retention: 'skip' })
    expect(lossy.losses).toMatchObject([{ cause: 'retention', missing: [{ fromOffset: 50, untilOffset: 80 }], resumeAt: 80 }])
    await lossy.equalsJava(50)
    expect(await lossy.reasons()).toEqual(['retention'])
  })

  test('of a batch that is begun stops its replay, and with skip the batch is finished with what is left', async () => {
    const lossy = new Lossy(await createTopic(uniqueName('retention'), {}, kafka))
    await lossy.send('a', 150)
    const crashing = await stream({
      name: 'lossy',
      offsets: lossy.store,
      batchIntervalMs: 0,
      limits: { maxRecordsPerBatch: 100 },
      log: silentLog,
    })
      .from(kafkaSource({ kafka: { brokers: kafka.brokers }, topics: [lossy.topic] }))
      .forEachBatch(() => {
        throw new Error('crash')
      })
      .start()
    await expect(crashing.done).rejects.toThrow('crash')
    await deleteBefore(lossy.topic, 120)
    await expect((await lossy.start('fail')).done).rejects.toMatchObject({
      lossCause: 'retention',
      message: expect.stringMatching(/onDataLoss: { retention: 'skip' }.* Batch 1 is begun and not committed/),
      missing: [{ fromOffset: 0, untilOffset: 100 }],
    })
    await lossy.readAll('skip')
    expect(lossy.losses.map(({ missing }) => missing.map(range => [range.fromOffset, range.untilOffset]))).toEqual([
      [[0, 100]],
      [[100, 120]],
    ])
    await lossy.equalsJava()
  })
})

test('a topic that is deleted and made again while the stream is down, and while it runs', { timeout: TIMEOUT_MS }, async () => {
  const lossy = new Lossy(await createTopic(uniqueName('recreated'), { partitions: 2 }, kafka))
  await lossy.send('a', 30)
  await lossy.send('a', 30, 1)
  await lossy.readAll()
  await deleteTopic(lossy.topic)
  await createTopic(lossy.topic, { partitions: 1 }, kafka)
  await lossy.send('b', 50)
  const failed = (await lossy.start({ removed: 'skip' }, 'latest')).done
  await expect(failed).rejects.toMatchObject({ lossCause: 'recreated', details: { topic: lossy.topic, partition: 0 } })
  await lossy.readAll({ recreated: 'skip', removed: 'skip' })
  await lossy.equalsJava(60)

  const run = await lossy.start({ recreated: 'skip', removed: 'skip' })
  await deleteTopic(lossy.topic)
  await createTopic(lossy.topic, { partitions: 2 }, kafka)
  await lossy.send('c', 20)
  await lossy.send('c', 20, 1)
  await lossy.until('the new log read', () => lossy.records.length >= 60 + 50 + 40)
  await run.stop()
  await run.done
  await lossy.equalsJava(60 + 50)
})

describe.concurrent('a topic that is removed, while the stream runs and while it is down, is a loss', () => {
  test.for(['named', 'found by a pattern'])('where it is %s', { timeout: TIMEOUT_MS }, async how => {
    const name = uniqueName('removed')
    const stays = await createTopic(`${name}-stays`, {}, kafka)
    const lossy = new Lossy(
      await createTopic(`${name}-goes`, {}, kafka),
      how === 'named' ? [stays, `${name}-goes`] : new RegExp(`^${name}-`),
    )
    await lossy.send('a', 10)
    const running = await lossy.start('fail')
    await lossy.until('all read', () => lossy.records.length === 10)
    await deleteTopic(lossy.topic)
    await expect(running.done).rejects.toMatchObject({ code: 'DATA_LOSS', lossCause: 'removed', details: { topic: lossy.topic } })
    // No error of the configuration: the stream has read it.
    await expect(lossy.start('fail', 'latest').then(run => run.done)).rejects.toMatchObject({ lossCause: 'removed' })
    await sendMessages(stays, [{ value: 'goes on' }], { kafka })
    await lossy.readAll({ removed: 'skip' })
    expect(lossy.values.at(-1)).toBe('goes on')
    expect((await lossy.store.read('lossy')).offsets.map(({ topic }) => topic)).toEqual([stays])
    expect(await lossy.reasons()).toEqual(['removed'])
  })
})

test('a log that an unclean election cuts, and one that has grown again: the leader with fewer records says where they part', {
  timeout: TIMEOUT_MS,
}, async () => {
  // The first broker is the only controller and has to stay, so the logs are on the other two.
  const options = { assignment: [[2, 3]], config: { 'unclean.leader.election.enable': 'true', 'min.insync.replicas': '1' } }
  const make = async (about: string) => new Lossy(await createTopic(uniqueName(about), options, kafka))
  const [cut, grown, running] = [await make('cut'), await make('grown'), await make('running')]
  const all = [cut, grown, running]
  const [first = ''] = kafka.brokers
  const partitionOf = async ({ topic }: Lossy) => (await askMetadata(first, [topic])).topics.get(topic)?.[0]
  const everyTopic = (what: string, look: (partition: Awaited<ReturnType<typeof partitionOf>>) => boolean) =>
    waitUntil(what, async () => (await Promise.all(all.map(partitionOf))).every(look))

  for (const lossy of all) await lossy.send('shared', 30)
  await everyTopic('both replicas in sync', partition => partition?.isr.length === 2)
  await kafka.stopBroker(2)
  await everyTopic('the follower out of sync', partition => partition?.isr.length === 1 && partition.leader === 2)
  for (const lossy of all) await lossy.send('lost', 20)
  await cut.readAll()
  await grown.readAll()
  const run = await running.start({ truncation: 'skip' })
  await running.until('the records that will be lost read', () => running.records.length === 50)

  await kafka.killBroker(1)
  await kafka.startBroker(2)
  await everyTopic('the follower leads', partition => partition?.leader === 3)
  await grown.send('after', 60)
  await running.send('after', 60)

  await expect((await cut.start('fail')).done).rejects.toMatchObject({
    code: 'DATA_LOSS',
    lossCause: 'truncation',
    missing: [{ topic: cut.topic, partition: 0, fromOffset: 30, untilOffset: 50 }],
  })
  await cut.readAll({ truncation: 'skip' })
  await cut.send('after', 5)
  await expect((await grown.start('fail')).done).rejects.toMatchObject({
    lossCause: 'truncation',
    message: expect.stringContaining('was cut at offset 30 and has grown again'),
    missing: [{ topic: grown.topic, partition: 0, fromOffset: 30, untilOffset: 50 }],
  })
  await running.until('what took their place read', () => running.records.length >= 110)
  await run.stop()
  await run.done
  for (const lossy of all) {
    await lossy.readAll({ truncation: 'skip' })
    expect(lossy.losses.map(({ cause, missing }) => [cause, missing])).toMatchObject([
      ['truncation', [{ fromOffset: 30, untilOffset: 50 }]],
    ])
    expect(await lossy.reasons()).toEqual(['truncation'])
    const lost = Array.from({ length: 20 }, (_, id) => `lost-${id}`)
    expect(lossy.values.slice(30, 50)).toEqual(lost)
    lossy.records.splice(30, 20)
    await lossy.equalsJava()
  }
  await kafka.startBroker(1)
})

test('through the command: exit code 3, and a sentence that says how to go on', async () => {
  const lossy = new Lossy(await createTopic(uniqueName('command'), {}, kafka))
  await lossy.send('a', 10)
  const cwd = temporaryFolder()
  const job = (rest = '') => {
    writeJob(
      cwd,
      'orders.ts',
      `import { stream } from 'tidemark'
import { jsonlSink } from 'tidemark/files'
import { kafkaSource, text } from 'tidemark/kafka'
export default stream({ name: 'orders', batchIntervalMs: 0${rest} })
  .from(kafkaSource({ kafka: { brokers: ${JSON.stringify(kafka.brokers)} }, topics: ['${lossy.topic}'] }))
  .map(text())
  .to(jsonlSink({ directory: 'out' }))`,
    )
    return tidemark(['run', 'orders.ts', '--until', 'latest'], { cwd })
  }
  expect(await job()).toMatchObject({ code: 0 })
  await lossy.send('b', 10)
  await deleteBefore(lossy.topic, 15)
  const failed = await job()
  expect(failed.code).toBe(3)
  expect(failed.stderr).toContain(
    `${lossy.topic}/0 [10, 15) is gone: its log begins at 15 now. Retention or DeleteRecords removed it before it was read. To go on without, set ` +
      `onDataLoss: { retention: 'skip' }: the stream then reads from where the log begins.`,
  )
  expect(await job(", onDataLoss: { retention: 'skip' }")).toMatchObject({ code: 0 })
})
