import { readFileSync } from 'node:fs'
import { crc32, gzipSync } from 'node:zlib'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type KafkaRecord, type KafkaSourceOptions, kafkaSource } from '../../../../connectors/kafka/index.ts'
import { isTidemarkError } from '../../../../src/core/errors.ts'
import { collect } from '../../../support/collect.ts'
import { type BatchToEncode, type Codec, encodeRecordBatch, sealBatch } from '../../../support/encode-record-batch.ts'
import { ScriptedCluster } from '../../../support/scripted-broker.ts'

type Fixture = {
  readonly name: string
  readonly hex: string
  readonly batches: readonly { readonly baseOffset: string; readonly lastOffset: string; readonly sizeInBytes: number }[]
  readonly records: readonly {
    readonly offset: string
    readonly timestamp: string
    readonly key: string | null
    readonly value: string | null
    readonly headers: readonly (readonly [string, string | null])[]
    readonly controlType?: string
  }[]
  readonly trailingPartialBytes: number
}
type Entry = { readonly baseOffset: number; readonly lastOffset: number; readonly bytes: Buffer }
type Plain = Pick<KafkaRecord, 'offset' | 'timestamp' | 'key' | 'value' | 'headers'>

/** What the official Java client wrote, and what it reads from that. */
const fixtures = (
  JSON.parse(readFileSync(new URL('../../../fixtures/record-batches.json', import.meta.url), 'utf8')) as { cases: Fixture[] }
).cases.filter(({ name }) => name !== 'v2-large-deltas')

const RECORDS = 30
const GZIP = 1
const LOG_APPEND_TIME = 8

/** Serves entries as they are, as the only partition of `orders`, and reads it. */
async function serve(entries: readonly Entry[], options: Partial<KafkaSourceOptions> = {}) {
  const cluster = await ScriptedCluster.start({ orders: [{}] })
  const end = (entries.at(-1)?.lastOffset ?? -1) + 1
  Object.assign(cluster.partition('orders'), { batches: [...entries], highWatermark: end, lastStableOffset: end })
  const source = kafkaSource({ kafka: { brokers: cluster.addresses }, topics: ['orders'], isolation: 'read_uncommitted', ...options })
  return {
    cluster,
    end,
    read: (fromOffset = 0, untilOffset = end) => collect(source, { topic: 'orders', partition: 0, fromOffset, untilOffset }),
    [Symbol.asyncDispose]: async () => {
      await source.close()
      await cluster[Symbol.asyncDispose]()
    },
  }
}

function entriesOf({ hex, batches }: Fixture): Entry[] {
  const bytes = Buffer.from(hex, 'hex')
  let at = 0
  return batches.map(({ baseOffset, lastOffset, sizeInBytes }) => {
    at += sizeInBytes
    return { baseOffset: Number(baseOffset), lastOffset: Number(lastOffset), bytes: bytes.subarray(at - sizeInBytes, at) }
  })
}

const fromHex = (hex: string | null) => (hex === null ? null : Buffer.from(hex, 'hex'))

function recordsOf({ records }: Fixture): Plain[] {
  return records
    .filter(({ controlType }) => controlType === undefined)
    .map(({ offset, timestamp, key, value, headers }) => ({
      ...{ offset: Number(offset), timestamp: Number(timestamp), key: fromHex(key), value: fromHex(value) },
      headers: headers.map(([name, header]) => [name, fromHex(header)] as const),
    }))
}

const plain = (records: readonly KafkaRecord[]): Plain[] =>
  records.map(({ offset, timestamp, key, value, headers }) => ({ offset, timestamp, key, value, headers }))

/** All fixtures one behind the other. An entry's offset is its own: no checksum covers it, and brokers write it when they append. */
function oneLog(): { entries: Entry[]; records: Plain[] } {
  const entries: Entry[] = []
  const records: Plain[] = []
  let next = 0
  for (const fixture of fixtures) {
    const first = Number(fixture.batches[0]?.baseOffset)
    const by = next - first
    for (const { baseOffset, lastOffset, bytes } of entriesOf(fixture)) {
      const moved = Buffer.from(bytes)
      moved.writeBigInt64BE(moved.readBigInt64BE(0) + BigInt(by))
      entries.push({ baseOffset: baseOffset + by, lastOffset: lastOffset + by, bytes: moved })
      next = lastOffset + by + 1
    }
    records.push(...recordsOf(fixture).map(record => ({ ...record, offset: record.offset + by })))
  }
  return { entries, records }
}

function message(offset: number, attributes: number, timestamp: number, value: Buffer): Buffer {
  const bytes = Buffer.alloc(12 + 4 + 1 + 1 + 8 + 4 + 4 + value.length)
  bytes.writeBigInt64BE(BigInt(offset), 0)
  bytes.writeInt32BE(bytes.length - 12, 8)
  bytes.writeInt8(1, 16)
  bytes.writeInt8(attributes, 17)
  bytes.writeBigInt64BE(BigInt(timestamp), 18)
  bytes.writeInt32BE(-1, 26)
  bytes.writeInt32BE(value.length, 30)
  value.copy(bytes, 34)
  bytes.writeUInt32BE(crc32(bytes.subarray(16)), 12)
  return bytes
}

/** A set of magic 1 with relative offsets, as brokers from 0.10 keep it. */
function wrappedSet(fromOffset: number, count: number, { appendedAt }: { readonly appendedAt?: number } = {}): Entry {
  const inner = Array.from({ length: count }, (_, at) => message(at, 0, 1_000 + at, Buffer.from(`v${fromOffset + at}`)))
  const attributes = appendedAt === undefined ? GZIP : GZIP | LOG_APPEND_TIME
  const lastOffset = fromOffset + count - 1
  return {
    baseOffset: fromOffset,
    lastOffset,
    bytes: message(lastOffset, attributes, appendedAt ?? 1_000 + count, gzipSync(Buffer.concat(inner))),
  }
}

function batchOf(fromOffset: number, count: number, more: Partial<BatchToEncode> = {}): Entry {
  const records = Array.from({ length: count }, (_, at) => ({ offset: fromOffset + at, value: Buffer.from(`v${fromOffset + at}`) }))
  return { baseOffset: fromOffset, lastOffset: fromOffset + count - 1, bytes: encodeRecordBatch({ records, ...more }) }
}

const offsets = (from: number, until: number) => Array.from({ length: until - from }, (_, at) => from + at)

describe('what the Java client wrote', () => {
  test.for(fixtures)('$name is read as that client reads it', async fixture => {
    const entries = entriesOf(fixture)
    await using served = await serve(entries)
    expect(plain(await served.read(entries[0]?.baseOffset))).toEqual(recordsOf(fixture))
  })

  test('of every format and codec is read in one log, whatever the range and the size of fetches', async () => {
    const { entries, records } = oneLog()
    const end = (entries.at(-1)?.lastOffset ?? 0) + 1
    const range = fc.tuple(fc.integer({ min: 0, max: end }), fc.integer({ min: 0, max: end }))
    await fc.assert(
      fc.asyncProperty(range, fc.constantFrom(1_024, 4_096, 1_048_576), async ([one, other], fetchMaxBytes) => {
        const [from, until] = [Math.min(one, other), Math.max(one, other)]
        await using served = await serve(entries, { fetchMaxBytes })
        const expected = records.filter(({ offset }) => offset >= from && offset < until)
        expect(plain(await served.read(from, until))).toEqual(expected)
      }),
      { numRuns: 60 },
    )
  })
})

describe('sets of magic 1', () => {
  test('are read from their middle, behind others and in front of a batch', async () => {
    await using served = await serve([wrappedSet(0, 10), wrappedSet(10, 10), batchOf(20, 10)], { fetchMaxBytes: 1_024 })
    expect((await served.read(5, 25)).map(({ offset, value }) => `${offset} ${value}`)).toEqual(offsets(5, 25).map(at => `${at} v${at}`))
  })

  test('have the time at which the broker took them, where it stamps', async () => {
    await using served = await serve([wrappedSet(0, 3, { appendedAt: 77 }), wrappedSet(3, 2)])
    expect((await served.read()).map(({ timestamp }) => timestamp)).toEqual([77, 77, 77, 1_000, 1_001])
  })
})

describe('large batches', () => {
  test.for<Codec>(['none', 'gzip', 'lz4', 'zstd'])('of 250,000 records (%s) are read whole, and in part', async codec => {
    const count = 250_000
    await using served = await serve([batchOf(0, 5), batchOf(5, count, { codec })], { fetchMaxBytes: 65_536, maxBytesInFlight: 131_072 })
    const records = await served.read()
    expect(records.length).toBe(count + 5)
    expect(records.every(({ offset }, at) => offset === at)).toBe(true)
    expect((await served.read(200_000, 200_003)).map(({ value }) => String(value))).toEqual(['v200000', 'v200001', 'v200002'])
  })

  test('of old messages that are larger than a fetch and than all bytes in flight come whole', async () => {
    const count = 20_000
    await using served = await serve([wrappedSet(0, count)], { fetchMaxBytes: 1_024, maxBytesInFlight: 1_024 })
    expect((await served.read()).length).toBe(count)
  })
})

test('an answer that ends in the middle of a batch is read on from there', async () => {
  const entries = Array.from({ length: RECORDS / 10 }, (_, at) => batchOf(at * 10, 10))
  await using served = await serve(entries)
  served.cluster.broker.script('Fetch', (_asked, respond) => {
    const response = respond()
    // The first comes whole, as brokers send it.
    const cut = (records: Buffer) => records.subarray(0, Math.max(12 + records.readInt32BE(8), records.length - 7))
    return {
      ...response,
      responses: response.responses.map(topic => ({
        ...topic,
        partitions: topic.partitions.map(answer => ({ ...answer, records: cut(answer.records) })),
      })),
    }
  })
  expect((await served.read()).map(({ offset }) => offset)).toEqual(offsets(0, RECORDS))
})

describe('what cannot be read is refused with topic, partition and offset, after all that is sound in front of it', () => {
  const damage = (change: (bytes: Buffer) => void) => {
    const entry = batchOf(10, 5)
    change(entry.bytes)
    return { ...entry, bytes: sealBatch(entry.bytes) }
  }
  const bomb = (codec: Codec): Entry => {
    const records = [{ offset: 10, value: Buffer.alloc(4_000_000) }]
    return { baseOffset: 10, lastOffset: 10, bytes: encodeRecordBatch({ records, codec }) }
  }
  const FIRST_RECORD = 61

  test.for<[string, RegExp, Entry]>([
    ['a checksum that does not fit', /its checksum is/, { ...batchOf(10, 5), bytes: withByte(batchOf(10, 5).bytes, 70) }],
    ['more records than there are', /./, damage(bytes => bytes.writeInt32BE(0x7fffffff, 57))],
    ['a negative number of records', /it says that it holds -1 records/, damage(bytes => bytes.writeInt32BE(-1, 57))],
    ['a record longer than its batch', /./, damage(bytes => bytes.fill(0xfe, FIRST_RECORD, FIRST_RECORD + 1))],
    ['a length that no varint ends', /./, damage(bytes => bytes.fill(0xff, FIRST_RECORD, FIRST_RECORD + 11))],
    ['a format that is to come', /its format has the number 3/, { ...batchOf(10, 5), bytes: withByte(batchOf(10, 5).bytes, 16, 3) }],
    ['a codec that is to come', /The codec has the number 5, and Kafka knows 1 \(gzip\)/, batchOf(10, 5, { extraAttributes: 5 })],
    ['bytes that are no gzip', /its records do not decompress/, batchOf(10, 5, { extraAttributes: 1 })],
    ['a bomb of gzip', /more than 1000000 bytes|1000000/, bomb('gzip')],
    ['a bomb of snappy', /1000000/, bomb('snappy')],
    ['a bomb of blocks of snappy', /1000000/, bomb('snappy-xerial')],
    ['a bomb of lz4', /1000000/, bomb('lz4')],
    ['a bomb of zstd', /1000000/, bomb('zstd')],
    [
      'an old set that is a bomb',
      /1000000/,
      { baseOffset: 10, lastOffset: 10, bytes: message(10, GZIP, 0, gzipSync(message(0, 0, 0, Buffer.alloc(2_000_000)))) },
    ],
    [
      'an old set in an old set',
      /compressed again/,
      { baseOffset: 10, lastOffset: 10, bytes: message(10, GZIP, 0, gzipSync(wrappedSet(0, 1).bytes)) },
    ],
  ])('%s', async ([, reason, entry]) => {
    await using served = await serve([batchOf(0, 10), entry], { maxDecompressedBatchBytes: 1_000_000 })
    const source = kafkaSource({
      ...{ kafka: { brokers: served.cluster.addresses }, topics: ['orders'], isolation: 'read_uncommitted' as const },
      maxDecompressedBatchBytes: 1_000_000,
    })
    const sound: number[] = []
    const failure = await (async () => {
      const range = { topic: 'orders', partition: 0, fromOffset: 0, untilOffset: served.end }
      for await (const array of source.read(range)) sound.push(...array.map(({ offset }) => offset))
    })().catch((error: unknown) => error)
    await source.close()
    if (!isTidemarkError(failure, 'DECODE')) throw new TypeError(`It ended with ${String(failure)}.`)
    expect(failure.message).toMatch(/^orders\/0: the (batch|record) at offset 1\d /)
    expect(failure.message).toMatch(reason)
    expect(failure).toMatchObject({ details: { topic: 'orders', partition: 0, offset: expect.any(Number) } })
    expect(sound.slice(0, 10)).toEqual(offsets(0, 10))
  })
})

function withByte(bytes: Buffer, at: number, value = 0xaa): Buffer {
  const changed = Buffer.from(bytes)
  changed[at] = value
  return changed
}
