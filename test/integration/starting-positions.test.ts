import { beforeAll, describe, expect, test } from 'vitest'
import { kafkaSource } from '../../connectors/kafka/index.ts'
import { memoryOffsets } from '../../offsets/memory/index.ts'
import { silentLog } from '../../src/core/log.ts'
import type { OffsetStore } from '../../src/core/offset-store.ts'
import type { StartingOffsets } from '../../src/core/source.ts'
import { type Run, type StreamEvent, stream, type Until } from '../../src/index.ts'
import { readCases } from '../src/driver/read-cases.ts'
import { createTopic, kafkaClient, kafkaCluster, sendMessages, uniqueName } from '../support/kafka.ts'
import { waitUntil } from '../support/services/wait-until.ts'

type ByPartition<Value> = Readonly<Record<string, Value>>
type Case = {
  readonly name: string
  readonly kind: 'batch' | 'stream' | 'rule'
  readonly log?: ByPartition<number[]>
  readonly startingOffsets?: ByPartition<number> | 'earliest'
  readonly startingOffsetsByTimestamp?: ByPartition<string>
  readonly endingOffsetsByTimestamp?: ByPartition<string>
  readonly expected?: number[] | string
  readonly expectedError?: string
  readonly afterRestartThenAdd?: number[]
}

const { cases } = readCases<{ cases: Case[] }>('starting-positions')
const caseNamed = (start: string) => cases.find(({ name }) => name.startsWith(start)) as Case

const T1 = 1_700_000_000_000
const TIMES: ByPartition<number> = { T1, T2: T1 + 1_000, T3: T1 + 2_000, 'Long.MaxValue': Number.MAX_SAFE_INTEGER }
const ascending = (a: number, b: number) => a - b

/** What a run is given beside the job's defaults: earliest, and a store of its own. */
type Start = { readonly startingOffsets?: StartingOffsets; readonly store?: OffsetStore }

function declare(topics: readonly string[] | RegExp, { startingOffsets, store = memoryOffsets() }: Start, values: number[]) {
  const kafka = { brokers: kafkaCluster().brokers }
  return stream({ name: 'starting', offsets: store, batchIntervalMs: 0, log: silentLog })
    .from(kafkaSource({ kafka, topics, metadataMaxAgeMs: 200, ...(startingOffsets && { startingOffsets }) }))
    .forEachBatch(records => {
      for (const { value } of records) values.push(Number(value))
    })
}

/** Runs to an end and gives the values that were read, in order. */
async function read(topics: readonly string[] | RegExp, start: Start = {}, until: Until = 'latest'): Promise<number[]> {
  const values: number[] = []
  const run = await declare(topics, start, values).start({ until })
  await run.done
  return values.sort(ascending)
}

/** Runs on, adding what is read to `values`. A new stream; its starting points are written by then: what is sent before may lie in front of `latest`. */
async function follow(topics: readonly string[] | RegExp, start: Start, values: number[]): Promise<Run> {
  const begun = Promise.withResolvers<void>()
  const listener = ({ type }: StreamEvent) => {
    if (type === 'partitionsStarted') begun.resolve()
  }
  const run = await declare(topics, start, values).start({ listeners: [listener] })
  await Promise.race([begun.promise, run.done])
  return run
}

const toMessages = (log: ByPartition<number[]>, timestamp?: number) =>
  Object.entries(log).flatMap(([partition, values]) =>
    values.map(value => ({
      partition: Number(partition),
      value: String(value),
      ...(timestamp !== undefined && { timestamp: String(timestamp) }),
    })),
  )

/** The table's sentinels as ours: −2 is earliest, −1 latest. */
function startAt(offset: number): 'earliest' | 'latest' | { offset: number } {
  if (offset === -2) return 'earliest'
  return offset === -1 ? 'latest' : { offset }
}

function each(topic: string, starts: ByPartition<'earliest' | 'latest' | { offset: number } | { timestamp: number }>): StartingOffsets {
  return { at: 'each', partitions: Object.entries(starts).map(([partition, start]) => ({ topic, partition: Number(partition), start })) }
}

const mapValues = <From, To>(table: ByPartition<From>, map: (value: From) => To): ByPartition<To> =>
  Object.fromEntries(Object.entries(table).map(([key, value]) => [key, map(value)]))

async function withAdmin<T>(use: (admin: ReturnType<ReturnType<typeof kafkaClient>['admin']>) => Promise<T>): Promise<T> {
  const admin = kafkaClient().admin()
  await admin.connect()
  try {
    return await use(admin)
  } finally {
    await admin.disconnect()
  }
}

describe('a run with an end', () => {
  let topic: string
  beforeAll(async () => {
    topic = await createTopic(uniqueName('positions'), { partitions: 3 })
    const message = (value: number, timestamp: number) => ({
      partition: value % 3,
      value: String(value),
      timestamp: String(timestamp),
    })
    await sendMessages(
      topic,
      Array.from({ length: 30 }, (_, value) => message(value, T1 + Math.floor(value / 10) * 1_000)),
    )
  })

  test.each(cases.filter(({ kind }) => kind === 'batch'))('as in Spark: $name', async each_ => {
    const { startingOffsets, startingOffsetsByTimestamp, endingOffsetsByTimestamp, expected, expectedError } = each_
    // A timestamp goes before offsets in Spark; here a start is one or the other, so that none needs to.
    const starts =
      startingOffsetsByTimestamp !== undefined
        ? each(
            topic,
            mapValues(startingOffsetsByTimestamp, name => ({ timestamp: TIMES[name] ?? Number.NaN })),
          )
        : typeof startingOffsets === 'object'
          ? each(topic, mapValues(startingOffsets, startAt))
          : undefined
    const [end, ...others] = new Set(Object.values(endingOffsetsByTimestamp ?? {}))
    expect(others, 'a run ends at one time for all partitions').toEqual([])
    const until: Until = end === undefined ? 'latest' : { at: 'timestamp', timestamp: TIMES[end] ?? Number.NaN }
    const result = read([topic], { ...(starts && { startingOffsets: starts }) }, until)
    if (expectedError === undefined) expect(await result).toEqual(expected)
    else await expect(result).rejects.toMatchObject({ code: 'CONFIG', message: expect.stringContaining(`${topic}/2`) })
  })

  test('at exact offsets reads from there, up to exact offsets', async () => {
    const offsets = (all: readonly number[]) => all.map((offset, partition) => ({ topic, partition, offset }))
    const startingOffsets = { at: 'exact', offsets: offsets([2, 3, 4]) } as const
    const values = await read([topic], { startingOffsets }, { at: 'exact', offsets: offsets([4, 4, 4]) })
    expect(values).toEqual([6, 9, 10])
  })

  test.each([
    ['beyond the end of the log', [99, 0, 0], /\/0 at 99, but its log reaches from 0 to 10/],
    ['leaving a partition out', [0, 0], /no entry for .*\/2/],
  ])('exact offsets %s are refused before anything is read or written', async (_, all, message) => {
    const store = memoryOffsets()
    const offsets = all.map((offset, partition) => ({ topic, partition, offset }))
    const run = read([topic], { store, startingOffsets: { at: 'exact', offsets } })
    await expect(run).rejects.toMatchObject({ code: 'CONFIG', message: expect.stringMatching(message) })
    expect((await store.read('starting')).offsets).toEqual([])
  })

  test('latest reads nothing of what was there', async () => {
    expect(await read([topic], { startingOffsets: { at: 'latest' } })).toEqual([])
  })
})

describe('a stream', () => {
  const specific = caseNamed('stream from specific offsets')

  test(`as in Spark: ${specific.name}, and after a restart from the store`, async () => {
    const topic = await createTopic(uniqueName('specific'), { partitions: 5 })
    await sendMessages(topic, toMessages(specific.log ?? {}))
    const store = memoryOffsets()
    const starts = specific.startingOffsets as ByPartition<number>
    const values: number[] = []
    const first = await follow([topic], { store, startingOffsets: each(topic, mapValues(starts, startAt)) }, values)
    const expected = specific.expected as number[]
    await waitUntil('the first records', async () => values.length >= expected.length)
    await first.stop()
    expect(values.sort(ascending)).toEqual(expected.toSorted(ascending))

    const added = specific.afterRestartThenAdd ?? []
    await sendMessages(
      topic,
      added.map((value, partition) => ({ partition, value: String(value) })),
    )
    // The job says otherwise now; only a new stream would heed it.
    expect(await read([topic], { store, startingOffsets: { at: 'latest' } })).toEqual(added)
  })

  /** Spark's log with its times: in each partition the values that the table expects are of T2, the others of T1. */
  async function timedTopic(late: readonly number[]): Promise<string> {
    const topic = await createTopic(uniqueName('timed'), { partitions: 5 })
    const isLate = (value: number) => late.includes(value)
    const log = specific.log ?? {}
    await sendMessages(
      topic,
      toMessages(
        mapValues(log, values => values.filter(value => !isLate(value))),
        T1,
      ),
    )
    await sendMessages(topic, toMessages({ ...mapValues(log, values => values.filter(isLate)) }, TIMES.T2))
    return topic
  }
  const global = caseNamed('stream from global timestamp')
  const late = global.expected as number[]
  const T2 = TIMES.T2 as number

  test(`as in Spark: ${global.name}`, async () => {
    const topic = await timedTopic(late)
    const added = late.filter(value => value > 22)
    await sendMessages(topic, toMessages({ '4': added }, TIMES.T2))
    const values = await read([topic], { startingOffsets: { at: 'timestamp', timestamp: T2 } })
    expect(values).toEqual(late.toSorted(ascending))
  })

  test('a timestamp that no record of a partition reaches stops the start by default, naming the partition', async () => {
    const topic = await timedTopic(late)
    await expect(read([topic], { startingOffsets: { at: 'timestamp', timestamp: T2 } })).rejects.toMatchObject({
      code: 'CONFIG',
      message: expect.stringMatching(new RegExp(`no record at or after .* in ${topic}/4\\. .*noMatch: 'latest'`)),
    })
  })

  test(`as in Spark: ${caseNamed('stream: same').name}: ${caseNamed('stream: same').expected}`, async () => {
    const topic = await timedTopic(late)
    const store = memoryOffsets()
    const startingOffsets = { at: 'timestamp', timestamp: T2, noMatch: 'latest' } as const
    const here = late.filter(value => value <= 22).sort(ascending)
    expect(await read([topic], { store, startingOffsets })).toEqual(here)
    await sendMessages(topic, toMessages({ '4': [23, 24] }, T1))
    expect(await read([topic], { store, startingOffsets })).toEqual([23, 24])
  })

  // Each waits out a fetch of kafkajs' own consumer, which its admin client starts too.
  describe.concurrent('from what a group has committed', () => {
    async function committedTopic(): Promise<{ topic: string; group: string }> {
      const topic = await createTopic(uniqueName('committed'), { partitions: 2 })
      await sendMessages(topic, toMessages({ '0': [0, 1, 2, 3], '1': [10, 11, 12] }))
      return { topic, group: uniqueName('group') }
    }

    test('goes on where it stands, set by an administrator', async () => {
      const { topic, group } = await committedTopic()
      const partitions = [
        { partition: 0, offset: '3' },
        { partition: 1, offset: '1' },
      ]
      await withAdmin(admin => admin.setOffsets({ groupId: group, topic, partitions }))
      expect(await read([topic], { startingOffsets: { at: 'committed', group } })).toEqual([3, 11, 12])
    })

    test('goes on where a consumer of it stopped', async () => {
      const { topic, group } = await committedTopic()
      const consumer = kafkaClient().consumer({ groupId: group })
      const consumed: number[] = []
      await consumer.connect()
      await consumer.subscribe({ topic, fromBeginning: true })
      await consumer.run({
        eachMessage: async ({ message }) => {
          consumed.push(Number(message.value))
        },
      })
      await waitUntil('the consumer has all records', async () => consumed.length === 7)
      await consumer.disconnect()
      await sendMessages(topic, toMessages({ '0': [4], '1': [13] }))
      expect(await read([topic], { startingOffsets: { at: 'committed', group } })).toEqual([4, 13])
    })

    test('is refused where it has committed nothing for a partition, naming both', async () => {
      const { topic, group } = await committedTopic()
      await withAdmin(admin => admin.setOffsets({ groupId: group, topic, partitions: [{ partition: 0, offset: '3' }] }))
      await expect(read([topic], { startingOffsets: { at: 'committed', group } })).rejects.toMatchObject({
        code: 'CONFIG',
        message: expect.stringMatching(new RegExp(`group ${group} has committed no offset for ${topic}/1\\.`)),
      })
    })
  })
})

describe.concurrent('what is found while running', () => {
  test('partitions begin at their earliest, whatever the job says', async () => {
    const topic = await createTopic(uniqueName('grows'), { partitions: 1 })
    await sendMessages(topic, toMessages({ '0': [1] }))
    const values: number[] = []
    await using _run = await follow([topic], { startingOffsets: { at: 'latest' } }, values)
    await sendMessages(topic, toMessages({ '0': [2] }))
    await waitUntil('a record of the first partition', async () => values.length === 1)
    await withAdmin(admin => admin.createPartitions({ topicPartitions: [{ topic, count: 2 }] }))
    await waitUntil('a record is in the new partition', async () => {
      await sendMessages(topic, toMessages({ '1': [3] }))
      return true
    })
    await waitUntil('the new partition is read', async () => values.includes(3))
    expect(values[0]).toBe(2)
    expect(values.every(value => value !== 1)).toBe(true)
  })

  test('topics of a regular expression begin at their earliest, and others are left alone', async () => {
    const family = uniqueName('family')
    const one = await createTopic(`${family}-one`)
    await sendMessages(one, toMessages({ '0': [1] }))
    const values: number[] = []
    const store = memoryOffsets()
    const topics = new RegExp(`^${family}-`)
    {
      await using _run = await follow(topics, { store, startingOffsets: { at: 'latest' } }, values)
      await sendMessages(one, toMessages({ '0': [2] }))
      await waitUntil('a record of the first topic', async () => values.length === 1)
      await sendMessages(await createTopic(`${family}-two`), toMessages({ '0': [3, 4] }))
      await sendMessages(await createTopic(`other-${family}-three`), toMessages({ '0': [99] }))
      await waitUntil('the new topic is read', async () => values.length === 3)
    }
    await sendMessages(await createTopic(`${family}-four`), toMessages({ '0': [5] }))
    // Found by a later run: its first start was long ago.
    values.push(...(await read(topics, { store, startingOffsets: { at: 'latest' } })))
    expect(values).toEqual([2, 3, 4, 5])
  })
})
