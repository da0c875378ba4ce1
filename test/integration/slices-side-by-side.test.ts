import { beforeAll, describe, expect, test } from 'vitest'
import { jsonlSink } from '../../connectors/files/index.ts'
import { memoryOffsets } from '../../offsets/memory/index.ts'
import { silentLog } from '../../src/core/log.ts'
import { comparePartitions } from '../../src/core/values.ts'
import { inProcess, type Sink, type StreamOptions, stream, type Task } from '../../src/index.ts'
import { temporaryFolder } from '../connectors/files/temporary-folder.ts'
import { createTopic, kafkaCluster, sendMessages, uniqueName } from '../support/kafka.ts'
import { readAll } from '../support/oracle.ts'
import { placesIn } from './files-of-places.ts'
import { sourceOf } from './slices-world.ts'

const PER_PARTITION = 400
const SLICES = 4
type Row = { readonly topic: string; readonly partition: number; readonly offset: number }

let first: string
let second: string
let byJava: (topic: string) => Row[]
beforeAll(async () => {
  const messages = Array.from({ length: 2 * PER_PARTITION }, (_, id) => ({ partition: id % 2, value: `${id}` }))
  const fill = async (about: string) => {
    const topic = await createTopic(uniqueName(about), { partitions: 2 })
    await sendMessages(topic, messages, { codec: 'gzip' })
    const records = await readAll(kafkaCluster(), topic, 'read_committed')
    return { topic, rows: records.map(({ partition, offset }) => ({ topic, partition, offset })) }
  }
  const filled = await Promise.all([fill('first'), fill('second')])
  ;[{ topic: first }, { topic: second }] = filled
  byJava = topic => filled.find(each => each.topic === topic)?.rows ?? []
})

/** How many tasks wait for each other before any of them may go on. */
type Meeting = { readonly of: (task: Task) => string; readonly size: number }

/** A sink that knows which tasks it has at a time, and holds each at its first rows until as many of its kind have come as are to meet. */
class MeetingSink implements Sink<Row> {
  readonly name: string
  readonly guarantee = 'at-least-once'
  readonly ordering: 'none' | 'partition'
  readonly rows: Row[] = []
  /** The most slices of a partition at a time, by partition. */
  readonly most = new Map<string, number>()
  readonly #meeting: Meeting
  readonly #atWork = new Map<string, number>()
  readonly #here = new Map<string, { count: number; readonly all: PromiseWithResolvers<void> }>()

  constructor(name: string, ordering: 'none' | 'partition', meeting: Meeting) {
    this.name = name
    this.ordering = ordering
    this.#meeting = meeting
  }

  async write(task: Task, rows: AsyncIterable<readonly Row[]>): Promise<void> {
    const partition = `${task.range.topic}/${task.range.partition}`
    const atWork = (this.#atWork.get(partition) ?? 0) + 1
    this.#atWork.set(partition, atWork)
    this.most.set(partition, Math.max(this.most.get(partition) ?? 0, atWork))
    await this.#meet(task)
    for await (const array of rows) this.rows.push(...array)
    this.#atWork.set(partition, (this.#atWork.get(partition) ?? 0) - 1)
  }

  /** Whoever waits for one that never comes ends with the test's time. */
  async #meet(task: Task): Promise<void> {
    const key = this.#meeting.of(task)
    const meeting = this.#here.get(key) ?? { count: 0, all: Promise.withResolvers<void>() }
    this.#here.set(key, meeting)
    meeting.count += 1
    if (meeting.count >= this.#meeting.size) meeting.all.resolve()
    await meeting.all.promise
  }
}

const options: StreamOptions = {
  name: 'slices',
  batchIntervalMs: 0,
  limits: { maxRecordsPerTask: PER_PARTITION / SLICES },
  executor: inProcess({ concurrency: 2 * SLICES }),
  log: silentLog,
}
const rowOf = ({ topic, partition, offset }: Row): Row => ({ topic, partition, offset })
const partitionOf = ({ range }: Task) => `${range.topic}/${range.partition}`
/** The same slice of each partition: 0 is the first. */
const placeOf = ({ range }: Task) => `${range.topic} ${range.fromOffset}`

const inOrder = (rows: readonly Row[]) => rows.toSorted((a, b) => comparePartitions(a, b) || a.offset - b.offset)

/** The rows of each partition as they came. */
function expectOrder(rows: readonly Row[]): void {
  for (const [, own] of Map.groupBy(rows, ({ topic, partition }) => `${topic}/${partition}`)) expect(own).toEqual(inOrder(own))
}

describe('slices of a partition', () => {
  test('are all at work at the same time where the output needs no order', async () => {
    const sink = new MeetingSink('any order', 'none', { of: partitionOf, size: SLICES })
    const job = stream({ ...options, offsets: memoryOffsets() })
      .from(sourceOf([first]))
      .map(rowOf)
      .to(sink)
    await (await job.start({ until: 'latest' })).done
    expect(Object.fromEntries(sink.most)).toEqual({ [`${first}/0`]: SLICES, [`${first}/1`]: SLICES })
    expect(inOrder(sink.rows)).toEqual(byJava(first))
  })

  test('come one after another where it does, each beside those of the other partition', async () => {
    const sink = new MeetingSink('in order', 'partition', { of: placeOf, size: 2 })
    const job = stream({ ...options, offsets: memoryOffsets() })
      .from(sourceOf([first]))
      .map(rowOf)
      .to(sink)
    await (await job.start({ until: 'latest' })).done
    expect(Object.fromEntries(sink.most)).toEqual({ [`${first}/0`]: 1, [`${first}/1`]: 1 })
    expectOrder(sink.rows)
    expect(inOrder(sink.rows)).toEqual(byJava(first))
  })

  test('that go to outputs of both kinds come one after another, and each output has all of them', async () => {
    const sink = new MeetingSink('in order', 'partition', { of: placeOf, size: 2 })
    const directory = temporaryFolder()
    const job = stream({ ...options, offsets: memoryOffsets() })
    const rows = job.from(sourceOf([first])).map(rowOf)
    rows.to(sink)
    rows.to(jsonlSink({ directory }), { name: 'files' })
    await (await job.start({ until: 'latest' })).done
    expect(Object.fromEntries(sink.most)).toEqual({ [`${first}/0`]: 1, [`${first}/1`]: 1 })
    expectOrder(sink.rows)
    const expected = byJava(first)
    expect(inOrder(sink.rows)).toEqual(expected)
    expect(inOrder((await placesIn(directory)) as unknown as Row[])).toEqual(expected)
  })

  test('of two sources go each as the outputs of its own source want', async () => {
    const ordered = new MeetingSink('in order', 'partition', { of: placeOf, size: 2 })
    const free = new MeetingSink('any order', 'none', { of: partitionOf, size: SLICES })
    // Those that wait for their turn hold no slot, so that the others can meet.
    const job = stream({ ...options, offsets: memoryOffsets(), executor: inProcess({ concurrency: 2 * SLICES + 2 }) })
    job
      .from(sourceOf([first]))
      .map(rowOf)
      .to(ordered)
    job
      .from(sourceOf([second], 'other'))
      .map(rowOf)
      .to(free)
    await (await job.start({ until: 'latest' })).done
    const other = `other:${second}`
    expect(Object.fromEntries(ordered.most)).toEqual({ [`${first}/0`]: 1, [`${first}/1`]: 1 })
    expect(Object.fromEntries(free.most)).toEqual({ [`${other}/0`]: SLICES, [`${other}/1`]: SLICES })
    expectOrder(ordered.rows)
    expect(inOrder(ordered.rows)).toEqual(byJava(first))
    const bare = free.rows.map(row => ({ ...row, topic: row.topic.replace('other:', '') }))
    expect(inOrder(bare)).toEqual(byJava(second))
  })
})
