import { describe, expect, test } from 'vitest'
import { type KafkaSourceOptions, kafkaSource } from '../../../../connectors/kafka/index.ts'
import { ConfigError } from '../../../../src/core/errors.ts'
import { ScriptedCluster } from '../../../support/scripted-broker.ts'

const RANGE = { topic: 'eu:orders', partition: 0, fromOffset: 0, untilOffset: 30 }
const TOPIC_AUTHORIZATION_FAILED = 29

async function openAliased(options: Partial<KafkaSourceOptions> = {}) {
  const cluster = await ScriptedCluster.start({ orders: [{ records: 30 }, { records: 20 }] })
  const source = kafkaSource({ kafka: { brokers: cluster.addresses }, topics: ['orders'], alias: 'eu', ...options })
  const close = async () => {
    await source.close()
    await cluster[Symbol.asyncDispose]()
  }
  return { cluster, source, [Symbol.asyncDispose]: close }
}

const placesOf = (all: readonly { readonly topic: string; readonly partition: number; readonly offset: number }[]) =>
  all.map(({ topic, partition, offset }) => `${topic}/${partition}@${offset}`)

describe('a topic under an alias', () => {
  test('has it in partitions, offsets and records, and not in what the cluster is asked', async () => {
    await using opened = await openAliased()
    const { cluster, source } = opened
    expect(await source.partitions()).toEqual([
      { topic: 'eu:orders', partition: 0 },
      { topic: 'eu:orders', partition: 1 },
    ])
    expect(placesOf(await source.earliestOffsets())).toEqual(['eu:orders/0@0', 'eu:orders/1@0'])
    const latest = await source.latestOffsets()
    expect(placesOf(latest)).toEqual(['eu:orders/0@30', 'eu:orders/1@20'])
    expect(placesOf((await source.epochEndOffsets?.(latest)) ?? [])).toEqual(['eu:orders/0@30', 'eu:orders/1@20'])
    const topics = new Set<string>()
    for await (const records of source.read(RANGE)) for (const { topic } of records) topics.add(topic)
    expect([...topics]).toEqual(['eu:orders'])
    const asked = cluster.broker.requests.flatMap(({ request }) => JSON.stringify(request))
    expect(asked.join()).not.toContain('eu:')
  })

  test('is waited for, and fetched together with others', async () => {
    await using opened = await openAliased()
    const { cluster, source } = opened
    const news = await source.awaitRecords?.([{ topic: 'eu:orders', partition: 1, offset: 5 }])
    expect(placesOf(news ?? [])).toEqual(['eu:orders/1@20'])
    const before = cluster.broker.asked('Fetch').length
    const ranges = [RANGE, { ...RANGE, partition: 1, untilOffset: 20 }]
    source.prefetch?.(ranges, {})
    let records = 0
    for (const range of ranges) for await (const array of source.read(range)) records += array.length
    expect({ records, fetches: cluster.broker.asked('Fetch').length - before }).toEqual({ records: 50, fetches: 1 })
  })

  test('is one of its own, and the bare topic is not', async () => {
    await using opened = await openAliased()
    expect(['eu:orders', 'orders', 'us:orders', 'eu:other'].map(topic => opened.source.names?.(topic))).toEqual([true, false, false, false])
  })

  test.for(['orders', 'eu:orders'])('may begin at exact offsets, where it is called %s', async topic => {
    await using exact = await openAliased({ startingOffsets: { at: 'exact', offsets: [{ topic, partition: 0, offset: 7 }] } })
    expect(exact.source.startingOffsets).toMatchObject({ at: 'exact', offsets: [{ topic: 'eu:orders', partition: 0, offset: 7 }] })
    await using each = await openAliased({ startingOffsets: { at: 'each', partitions: [{ topic, partition: 1, start: 'latest' }] } })
    expect(each.source.startingOffsets).toEqual({ at: 'each', partitions: [{ topic: 'eu:orders', partition: 1, start: 'latest' }] })
  })
})

describe('an error tells the cluster by its alias', () => {
  test('of lost records, in message and ranges', async () => {
    await using opened = await openAliased()
    opened.cluster.partition('orders').logStart = 10
    const failure = await Array.fromAsync(opened.source.read(RANGE)).catch(error => error)
    expect(failure).toMatchObject({
      code: 'DATA_LOSS',
      lossCause: 'retention',
      message: expect.stringMatching(/^eu:orders\/0 \[0, 10\) is gone/),
      missing: [{ topic: 'eu:orders', partition: 0, fromOffset: 0, untilOffset: 10 }],
      resumeAt: 10,
    })
  })

  test('of lost records that are left out', async () => {
    await using opened = await openAliased()
    opened.cluster.partition('orders').logStart = 10
    const told: unknown[] = []
    const offsets: number[] = []
    for await (const array of opened.source.read(RANGE, { onDataLoss: loss => told.push(loss.missing[0]?.topic) })) {
      offsets.push(...array.map(({ offset }) => offset))
    }
    expect(told).toEqual(['eu:orders'])
    expect(offsets.at(0)).toBe(10)
  })

  test('as it was thrown, where whoever is asked about lost records throws', async () => {
    await using opened = await openAliased()
    opened.cluster.partition('orders').logStart = 10
    const mine = new ConfigError('no eu: loss today')
    const reading = Array.fromAsync(
      opened.source.read(RANGE, {
        onDataLoss: () => {
          throw mine
        },
      }),
    )
    await expect(reading).rejects.toBe(mine)
  })

  test('of a right that is missing', async () => {
    await using opened = await openAliased()
    opened.cluster.broker.script('Fetch', (_asked, respond) => {
      const response = respond()
      const refuse = (topic: (typeof response.responses)[0]) => ({
        ...topic,
        partitions: topic.partitions.map(answer => ({ ...answer, errorCode: TOPIC_AUTHORIZATION_FAILED, records: Buffer.alloc(0) })),
      })
      return { ...response, responses: response.responses.map(refuse) }
    })
    await expect(Array.fromAsync(opened.source.read(RANGE))).rejects.toMatchObject({
      code: 'AUTH',
      message: expect.stringMatching(/^eu: Fetch of orders\/0 at 0: not allowed/),
    })
  })

  test('of bytes that cannot be read', async () => {
    await using opened = await openAliased()
    opened.cluster.partition('orders').batches[0]?.bytes.fill(0xff, 70, 80)
    await expect(Array.fromAsync(opened.source.read(RANGE))).rejects.toMatchObject({
      code: 'DECODE',
      message: expect.stringMatching(/^eu:orders\/0: the batch at offset 0 cannot be read/),
    })
  })

  test('of a topic that does not exist, once, however many ask', async () => {
    await using opened = await openAliased({ topics: ['nowhere'] })
    const failures = await Promise.all([1, 2, 3].map(() => opened.source.latestOffsets().catch(error => error)))
    expect(failures.map(({ message }) => message)).toEqual(
      Array(3).fill(expect.stringMatching(/^eu: Topic nowhere does not exist on 127\.0\.0\.1:\d+\. /)),
    )
  })
})

test('an alias that could be taken for part of a topic or a path is refused', () => {
  for (const alias of ['', 'a:b', 'a/b', 'a b']) {
    expect(() => kafkaSource({ kafka: { brokers: ['localhost:9092'] }, topics: ['t'], alias })).toThrow(/alias is .*a name of letters/)
  }
})
