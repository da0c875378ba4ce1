import { ConfigResourceTypes } from 'kafkajs'
import { beforeAll, describe, expect, test } from 'vitest'
import { type KafkaRecord, kafkaSource } from '../../connectors/kafka/index.ts'
import type { Isolation, Source } from '../../src/core/source.ts'
import type { OffsetRange } from '../../src/core/values.ts'
import { asOracle } from '../support/as-oracle.ts'
import { collect } from '../support/collect.ts'
import { CODEC, createTopic, kafkaClient, kafkaCluster, sendMessages, sendTransaction, uniqueName } from '../support/kafka.ts'
import { type OracleRecord, readAll } from '../support/oracle.ts'
import { produce } from '../support/produce.ts'
import { sendBatch } from '../support/send-batch.ts'
import { waitUntil } from '../support/services/wait-until.ts'

const START = 1_700_000_000_000
const ISOLATIONS = ['read_committed', 'read_uncommitted'] as const

/** A topic and what the Java consumer reads of it. */
type Golden = { readonly topic: string } & Record<Isolation, OracleRecord[]>

// Made at the same time: most of it is waiting, for Java to start and for the cleaner.
let codecs: Golden
let transactions: Golden
let compacted: Golden
let appendTime: Golden
let large: Golden
beforeAll(async () => {
  const made = await Promise.all([makeCompacted(), makeTransactions(), makeCodecs(), makeLarge(), makeAppendTime()])
  ;[compacted, transactions, codecs, large, appendTime] = made
})

describe('what any producer wrote with any codec', () => {
  describeAgainstJava(() => codecs, 16_000)
})

describe('transactions of several producers, some aborted, one left open', () => {
  describeAgainstJava(() => transactions, 4_000)

  test('the end is the last stable offset under read_committed, and the high watermark otherwise', async () => {
    await using committed = open(transactions.topic, 'read_committed')
    await using uncommitted = open(transactions.topic, 'read_uncommitted')
    const [stable, all] = await Promise.all([committed.latestOffsets(), uncommitted.latestOffsets()])
    // Behind the stable end: the undecided record, a committed one with its marker, and a plain one.
    expect((all[0]?.offset ?? 0) - (stable[0]?.offset ?? 0)).toBe(4)
    expect(stable[1]?.offset).toBe(all[1]?.offset)
    expect(transactions.read_uncommitted.length).toBeGreaterThan(transactions.read_committed.length)
  })

  test('the isolation of a read may be another than that of its source, as a replay wants it', async () => {
    await using source = open(transactions.topic, 'read_committed')
    const [range] = await wholeRanges(source)
    if (range === undefined) throw new RangeError('The topic has no partitions.')
    const read = await collect(source, range, { isolation: 'read_uncommitted' })
    expect(asOracle(read)).toEqual(transactions.read_uncommitted.filter(isIn(range)))
  })
})

describe('a compacted topic after the cleaner ran', () => {
  describeAgainstJava(() => compacted, 2)

  test('ranges that hold nothing any more end without a record', async () => {
    await using source = open(compacted.topic, 'read_committed')
    const [whole] = await wholeRanges(source)
    if (whole === undefined) throw new RangeError('The topic has no partitions.')
    const held = await Promise.all(cut(whole, [1000]).map(range => collect(source, range)))
    expect(held.filter(records => records.length === 0).length).toBeGreaterThan(5)
    expect(compacted.read_committed.length).toBeLessThan(whole.untilOffset / 10)
  })
})

describe('a topic whose broker stamps the records', () => {
  describeAgainstJava(() => appendTime, 12_000)

  test('no record has the time that its producer gave it', () => {
    expect(Math.min(...appendTime.read_committed.map(({ timestamp }) => timestamp))).toBeGreaterThan(1_000_000_000_000)
  })
})

describe('records larger than a fetch asks for', () => {
  test.for(ISOLATIONS)('come whole, one fetch after the other, under %s', async isolation => {
    await using source = open(large.topic, isolation, { fetchMaxBytes: 65_536, maxBytesInFlight: 65_536 })
    const read = await readRanges(source, await wholeRanges(source))
    expect(read.length).toBe(18)
    expect(read).toEqual(large[isolation])
  })
})

/** Holds a topic against the oracle, whole and in pieces. */
function describeAgainstJava(golden: () => Golden, leastRecords: number): void {
  describe.for(ISOLATIONS)('under %s', isolation => {
    test('every record is the same: partition, offset, time, key, value and headers', async () => {
      await using source = open(golden().topic, isolation)
      const read = await readRanges(source, await wholeRanges(source))
      expect(read.length).toBeGreaterThanOrEqual(leastRecords)
      expect(read).toEqual(golden()[isolation])
    })

    test('many ranges that begin and end anywhere, read at once in small fetches, give the same records', async () => {
      await using source = open(golden().topic, isolation, { fetchMaxBytes: 8_192, maxBytesInFlight: 65_536 })
      const ranges = (await wholeRanges(source)).flatMap(range => cut(range, [997, 1, 313, 2, 1499, 7]))
      expect(ranges.length).toBeGreaterThan(10)
      const read = await Promise.all(ranges.map(range => collect(source, range)))
      for (const [index, range] of ranges.entries()) {
        expect(asOracle(read[index] ?? [])).toEqual(golden()[isolation].filter(isIn(range)))
      }
    })
  })
}

function open(
  topic: string,
  isolation: Isolation,
  limits: { fetchMaxBytes?: number; maxBytesInFlight?: number } = {},
): Source<KafkaRecord> & AsyncDisposable {
  const source = kafkaSource({ kafka: { brokers: kafkaCluster().brokers }, topics: [topic], isolation, ...limits })
  return Object.assign(source, { [Symbol.asyncDispose]: () => source.close() })
}

/** Everything there is, one range a partition. */
async function wholeRanges(source: Source<KafkaRecord>): Promise<OffsetRange[]> {
  const [earliest, latest] = await Promise.all([source.earliestOffsets(), source.latestOffsets()])
  return earliest.map(({ topic, partition, offset }, index) => ({
    ...{ topic, partition, fromOffset: offset },
    untilOffset: latest[index]?.offset ?? 0,
  }))
}

async function readRanges(source: Source<KafkaRecord>, ranges: readonly OffsetRange[]): Promise<OracleRecord[]> {
  const read = await Promise.all(ranges.map(range => collect(source, range)))
  return asOracle(read.flat())
}

/** Cuts a range into pieces of odd sizes, so that they begin and end anywhere in batches, and some hold nothing. */
function cut(range: OffsetRange, sizes: readonly number[]): OffsetRange[] {
  const pieces: OffsetRange[] = []
  for (let from = range.fromOffset, turn = 0; from < range.untilOffset; turn++) {
    const untilOffset = Math.min(range.untilOffset, from + (sizes[turn % sizes.length] ?? 1))
    pieces.push({ ...range, fromOffset: from, untilOffset })
    from = untilOffset
  }
  return pieces
}

function isIn(range: OffsetRange): (record: OracleRecord) => boolean {
  return ({ partition, offset }) => partition === range.partition && offset >= range.fromOffset && offset < range.untilOffset
}

/** What the Java consumer reads of a topic. Without transactions it is the same in both ways, and asked for once. */
async function askOracle(topic: string, isolations: readonly Isolation[] = ISOLATIONS): Promise<Golden> {
  const [first = [], second = first] = await Promise.all(isolations.map(isolation => readAll(kafkaCluster(), topic, isolation)))
  return { topic, read_committed: first, read_uncommitted: second }
}

async function makeCodecs(): Promise<Golden> {
  const topic = await createTopic(uniqueName('codecs'), {
    partitions: 2,
    config: { 'message.timestamp.after.max.ms': '9223372036854775807' },
  })
  const shapes = [
    { key: null, value: Buffer.from('no key') },
    { key: 'no value', value: null },
    { key: Buffer.alloc(0), value: Buffer.alloc(0) },
    { key: 'ключ', value: Buffer.from([0, 255, 254]), headers: { ü: 'ß', empty: Buffer.alloc(0) } },
    { key: 'repeated', value: 'x', headers: { again: ['one', 'two', 'three'], other: 'x' } },
    { key: 'old', value: 'y', timestamp: '1' },
    { key: 'far in the future', value: 'z', timestamp: '253402300799000' },
  ]
  const lots = Array.from({ length: 300 }, (_, id) => ({ key: `k${id}`, value: JSON.stringify({ id, text: 'the same text '.repeat(5) }) }))
  const messages = [...shapes, ...lots].map((message, index) => ({ ...message, partition: index % 2 }))
  const byJava = (['none', 'gzip', 'snappy', 'lz4', 'zstd'] as const).map((compression, turn) =>
    produce(kafkaCluster(), { topic, count: 3000, firstId: turn * 3000, keys: true, headers: turn % 3, compression }),
  )
  const byKafkajs = (Object.keys(CODEC) as (keyof typeof CODEC)[]).map(codec => sendMessages(topic, messages, { codec }))
  await Promise.all([...byJava, ...byKafkajs])
  const headers = [
    ['none', null],
    ['empty', Buffer.alloc(0)],
    ['none', Buffer.from('and again')],
    ['', null],
  ] as const
  for (const codec of ['none', 'gzip', 'snappy', 'snappy-xerial', 'lz4', 'zstd'] as const) {
    const records = [0, 1, 2].map(offset => ({
      offset,
      timestamp: START + offset,
      value: Buffer.from(codec),
      headers: headers.slice(offset),
    }))
    await sendBatch(kafkaCluster(), topic, 1, { records, codec })
  }
  return askOracle(topic, ['read_committed'])
}

async function makeTransactions(): Promise<Golden> {
  const topic = await createTopic(uniqueName('transactions'), { partitions: 2 })
  await produce(kafkaCluster(), {
    ...{ topic, count: 6000, transactionRecords: 60, abortEvery: 3, producers: 3, keys: true },
    ...{ compression: 'lz4', batchBytes: 2048 },
  })
  const plain = [0, 1].map(partition => ({ partition, value: 'plain' }))
  await sendTransaction(topic, [{ partition: 0, value: 'dropped' }], 'abort')
  await sendMessages(topic, plain)
  await sendTransaction(topic, [{ partition: 0, value: 'undecided' }], 'open')
  await sendTransaction(topic, [{ partition: 0, value: 'committed, behind an open one' }], 'commit')
  await sendMessages(topic, plain)
  return askOracle(topic)
}

async function makeCompacted(): Promise<Golden> {
  const topic = await createTopic(uniqueName('compacted'), { config: { 'segment.ms': '300' } })
  await produce(kafkaCluster(), {
    ...{ topic, keys: true, transactionRecords: 100, abortEvery: 4, batchBytes: 2048, bytes: 100, count: 12_000 },
  })
  await sendMessages(
    topic,
    Array.from({ length: 9_990 }, (_, id) => ({ key: `k${id}`, value: null })),
  )
  // Not before: the cleaner takes the state of transactions away under their producer, who fails then.
  await setConfig(topic, {
    ...{ 'cleanup.policy': 'compact', 'min.cleanable.dirty.ratio': '0.01', 'max.compaction.lag.ms': '1' },
    ...{ 'delete.retention.ms': '0', 'segment.ms': '300' },
  })
  const source = open(topic, 'read_committed')
  // A segment is closed by the next record that comes after its time, and only closed ones are cleaned.
  await waitUntil('the cleaner', async () => {
    await sendMessages(topic, [{ key: 'last', value: 'one' }])
    return (await readRanges(source, await wholeRanges(source))).length < 1_000
  })
  await source.close()
  return askOracle(topic)
}

async function setConfig(topic: string, config: Readonly<Record<string, string>>): Promise<void> {
  const admin = kafkaClient().admin()
  await admin.connect()
  try {
    const configEntries = Object.entries(config).map(([name, value]) => ({ name, value }))
    await admin.alterConfigs({ validateOnly: false, resources: [{ type: ConfigResourceTypes.TOPIC, name: topic, configEntries }] })
  } finally {
    await admin.disconnect()
  }
}

async function makeAppendTime(): Promise<Golden> {
  const topic = await createTopic(uniqueName('append-time'), { config: { 'message.timestamp.type': 'LogAppendTime' } })
  await produce(kafkaCluster(), { topic, count: 12_000, compression: 'zstd', timestamp: 1_000_000, timestampStep: 7, batchBytes: 16_384 })
  return askOracle(topic, ['read_committed'])
}

async function makeLarge(): Promise<Golden> {
  const topic = await createTopic(uniqueName('large'), { config: { 'max.message.bytes': '4000000' } })
  await produce(kafkaCluster(), { topic, count: 6, bytes: 1_500_000, batchBytes: 16_384 })
  await produce(kafkaCluster(), { topic, count: 12, bytes: 1_500_000, compression: 'zstd', batchBytes: 4_000_000, firstId: 6 })
  return askOracle(topic, ['read_committed'])
}
