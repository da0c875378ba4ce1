import { beforeAll, describe, expect, test } from 'vitest'
import { type KafkaRecord, kafkaSource } from '../../connectors/kafka/index.ts'
import type { Source } from '../../src/core/source.ts'
import { collect } from '../support/collect.ts'
import { createTopic, kafkaClient, kafkaCluster, sendMessages, sendTransaction, uniqueName } from '../support/kafka.ts'
import { waitUntil } from '../support/services/wait-until.ts'

type Options = Partial<Parameters<typeof kafkaSource>[0]>
type Opened = Required<Pick<Source<KafkaRecord>, 'awaitRecords' | 'committedOffsets'>> & Source<KafkaRecord> & AsyncDisposable

function open(topics: readonly string[] | RegExp, options: Options = {}): Opened {
  const source = kafkaSource({ kafka: { brokers: kafkaCluster().brokers }, topics, ...options })
  return Object.assign(source, { [Symbol.asyncDispose]: () => source.close() }) as Opened
}

async function withAdmin<T>(use: (admin: ReturnType<ReturnType<typeof kafkaClient>['admin']>) => Promise<T>): Promise<T> {
  const admin = kafkaClient().admin()
  await admin.connect()
  try {
    return await use(admin)
  } finally {
    await admin.disconnect()
  }
}

// Three partitions: a hundred records a second apart, none at all, and ten of which the first five are deleted.
let topic: string
const START = 1_700_000_000_000
beforeAll(async () => {
  topic = await createTopic(uniqueName('places'), { partitions: 3 })
  await sendMessages(topic, [
    ...Array.from({ length: 100 }, (_, id) => ({ partition: 0, value: `a${id}`, timestamp: String(START + id * 1000) })),
    ...Array.from({ length: 10 }, (_, id) => ({ partition: 2, value: `c${id}`, timestamp: String(START + id) })),
  ])
  await withAdmin(async admin => {
    // kafkajs deletes only in topics that it was asked about before.
    await admin.fetchTopicOffsets(topic)
    await admin.deleteTopicRecords({ topic, partitions: [{ partition: 2, offset: '5' }] })
  })
})
const places = (offsets: readonly { readonly topic: string; readonly partition: number; readonly offset: number }[]) =>
  offsets.map(({ partition, offset }) => [partition, offset])

describe('offsets', () => {
  test('the earliest are what DeleteRecords has left, the latest where the next record goes', async () => {
    await using source = open([topic])
    expect(places(await source.earliestOffsets())).toEqual([
      [0, 0],
      [1, 0],
      [2, 5],
    ])
    expect(places(await source.latestOffsets())).toEqual([
      [0, 100],
      [1, 0],
      [2, 10],
    ])
  })

  test('they carry the id of the topic, as the cluster knows it, and the epoch of the leader', async () => {
    await using source = open([topic])
    const [at] = await source.latestOffsets()
    expect(at?.topicId).toMatch(/^[\w-]{22}$/)
    expect(at?.leaderEpoch).toBeGreaterThanOrEqual(0)
  })

  test.for([
    ['before all', START - 1, 0],
    ['of a record', START + 42_000, 42],
    ['between two records', START + 42_001, 43],
    ['of the last record', START + 99_000, 99],
    ['behind all, which is the end', START + 99_001, 100],
  ] as const)('for a time %s', async ([, timestamp, offset]) => {
    await using source = open([topic])
    const found = places(await source.offsetsForTimestamp(timestamp))
    expect(found[0]).toEqual([0, offset])
    // A partition without records has its end.
    expect(found[1]).toEqual([1, 0])
  })

  test.for([-1, 0.5, Number.NaN])('%d is no time', async timestamp => {
    await using source = open([topic])
    await expect(source.offsetsForTimestamp(timestamp)).rejects.toMatchObject({ code: 'CONFIG' })
  })

  test('records that were deleted are lost to retention, by their exact offsets', async () => {
    await using source = open([topic])
    const range = { topic, partition: 2, fromOffset: 2, untilOffset: 10 }
    await expect(collect(source, range)).rejects.toMatchObject({
      lossCause: 'retention',
      missing: [{ topic, partition: 2, fromOffset: 2, untilOffset: 5 }],
    })
  })
})

describe('what a consumer group has committed', () => {
  test('is read without joining the group, and a partition it has nothing for is left out', async () => {
    const groupId = uniqueName('group')
    const partitions = [
      { partition: 0, offset: '42' },
      { partition: 2, offset: '7' },
    ]
    await withAdmin(admin => admin.setOffsets({ groupId, topic, partitions }))
    await using source = open([topic])
    expect(await source.committedOffsets(groupId)).toMatchObject([
      { topic, partition: 0, offset: 42, topicId: expect.any(String) },
      { topic, partition: 2, offset: 7 },
    ])
  })

  test('of a group that nobody has heard of is nothing', async () => {
    await using source = open([topic])
    expect(await source.committedOffsets(uniqueName('nobody'))).toEqual([])
  })

  test('is not waited for by who has given up', async () => {
    await using source = open([topic])
    const reason = new Error('enough')
    await expect(source.committedOffsets(uniqueName('nobody'), { signal: AbortSignal.abort(reason) })).rejects.toBe(reason)
  })
})

describe('topics', () => {
  test('a pattern finds those that match it, and never an internal one', async () => {
    const prefix = uniqueName('pattern')
    await Promise.all([createTopic(`${prefix}.a`), createTopic(`${prefix}.b`, { partitions: 2 }), createTopic(`x-${prefix}`)])
    // Makes the topic of the groups' offsets, if nobody has yet.
    await withAdmin(admin => admin.fetchOffsets({ groupId: uniqueName('group'), topics: [topic] }))
    await using source = open(new RegExp(`^${prefix}`))
    await using all = open(/./)
    expect(await source.partitions()).toEqual([
      { topic: `${prefix}.a`, partition: 0 },
      { topic: `${prefix}.b`, partition: 0 },
      { topic: `${prefix}.b`, partition: 1 },
    ])
    const names = new Set((await all.partitions()).map(at => at.topic))
    expect(names.has(topic)).toBe(true)
    expect([...names].filter(name => name.startsWith('__'))).toEqual([])
  })

  test('a pattern that matches nothing has no partitions, and that is no error', async () => {
    await using source = open(/^no such topic$/)
    expect(await source.partitions()).toEqual([])
    expect(await source.latestOffsets()).toEqual([])
  })

  test('a topic and partitions that are added while the source is open are found', async () => {
    const prefix = uniqueName('growing')
    const first = await createTopic(`${prefix}.a`)
    await using source = open(new RegExp(`^${prefix}`), { metadataMaxAgeMs: 100 })
    expect((await source.partitions()).length).toBe(1)
    await withAdmin(admin => admin.createPartitions({ topicPartitions: [{ topic: first, count: 3 }] }))
    await waitUntil('the new partitions', async () => (await source.partitions()).length === 3, { timeoutMs: 5_000 })
    await createTopic(`${prefix}.b`)
    await waitUntil('the new topic', async () => (await source.partitions()).length === 4, { timeoutMs: 5_000 })
  })

  test('one that does not exist is named by the error, as is one that could not', async () => {
    await using source = open([topic, 'no-such-topic'])
    await using impossible = open(['no such topic'])
    const startedAt = performance.now()
    const outcomes = await Promise.allSettled([source.partitions(), impossible.partitions()])
    expect(outcomes).toMatchObject([
      {
        reason: {
          code: 'CONFIG',
          message: expect.stringMatching(/^Topic no-such-topic does not exist on .*Create it/),
          details: { topics: ['no-such-topic'] },
        },
      },
      { reason: { code: 'CONFIG', message: expect.stringMatching(/no such topic: that is no name a topic can have/) } },
    ])
    expect(performance.now() - startedAt).toBeLessThan(8_000)
  })

  test('one that is made a moment after it is asked for is waited for', async () => {
    const late = uniqueName('late')
    await using source = open([late])
    const partitions = source.partitions()
    await createTopic(late)
    expect(await partitions).toEqual([{ topic: late, partition: 0 }])
  })
})

describe('a wait for records', () => {
  test('ends when a record comes, and says how far the partition reaches', async () => {
    const own = await createTopic(uniqueName('wait'), { partitions: 2 })
    await using source = open([own])
    const ends = await source.latestOffsets()
    const news = source.awaitRecords(ends)
    await sendMessages(own, [
      { partition: 1, value: 'a' },
      { partition: 1, value: 'b' },
    ])
    expect(places(await news)).toEqual([[1, 2]])
  })

  test('under read_committed ends when the transaction commits, and not with its records', async () => {
    const own = await createTopic(uniqueName('wait-committed'))
    const transactionalId = uniqueName('open')
    await using source = open([own])
    await using uncommitted = open([own], { isolation: 'read_uncommitted' })
    const ends = await source.latestOffsets()
    const news = source.awaitRecords(ends)
    let isOver = false
    news.then(() => {
      isOver = true
    })
    await sendTransaction(own, [{ value: 'undecided' }], 'open', { transactionalId })
    expect(places(await uncommitted.awaitRecords(ends))).toEqual([[0, 1]])
    expect(isOver).toBe(false)
    // The same id aborts what it left open; behind the marker comes the record that commits.
    await sendTransaction(own, [{ value: 'committed' }], 'commit', { transactionalId })
    let [at] = await news
    while (at !== undefined && at.offset < 4) [at] = await source.awaitRecords([at])
    expect(at).toMatchObject({ topic: own, partition: 0, offset: 4 })
    const records = await collect(source, { topic: own, partition: 0, fromOffset: 0, untilOffset: 4 })
    expect(records.map(({ value }) => String(value))).toEqual(['committed'])
  })
})
