import { crc32, gzipSync } from 'node:zlib'
import { compressFrameSync } from 'lz4-napi'
import { expect, test } from 'vitest'
import { decodeRecordBatches } from '../../../../connectors/kafka/decode-record-batches.ts'
import { encodeRecordBatch } from '../../../support/encode-record-batch.ts'

type MessageToEncode = {
  offset: number
  magic: 0 | 1
  timestamp?: number
  attributes?: number
  key?: Buffer | null
  value?: Buffer | null
}

function field(bytes: Buffer | null): Buffer {
  const length = Buffer.alloc(4)
  length.writeInt32BE(bytes === null ? -1 : bytes.length)
  return bytes === null ? length : Buffer.concat([length, bytes])
}

function encodeMessage({ offset, magic, timestamp = 0, attributes = 0, key = null, value = null }: MessageToEncode): Buffer {
  const time = Buffer.alloc(magic === 0 ? 0 : 8)
  if (magic === 1) time.writeBigInt64BE(BigInt(timestamp))
  const content = Buffer.concat([Buffer.from([magic, attributes]), time, field(key), field(value)])
  const header = Buffer.alloc(16)
  header.writeBigInt64BE(BigInt(offset), 0)
  header.writeInt32BE(content.length + 4, 8)
  header.writeUInt32BE(crc32(content), 12)
  return Buffer.concat([header, content])
}

const AT = { topic: 'old', partition: 0, isolation: 'read_committed', fromOffset: 0 } as const
const GZIP = 1
const LZ4 = 3
const ZSTD = 4
const LOG_APPEND_TIME = 8
const read = (bytes: Buffer, options: { fromOffset?: number; untilOffset?: number } = {}) =>
  decodeRecordBatches(bytes, { ...AT, ...options })
const message = (magic: 0 | 1, offset: number, timestamp = offset * 10) =>
  encodeMessage({ magic, offset, timestamp, key: Buffer.from(`k${offset}`), value: Buffer.from(`v${offset}`) })
const inner = (magic: 0 | 1, offsets: readonly number[]) => Buffer.concat(offsets.map(offset => message(magic, offset)))
const show = ({ records }: ReturnType<typeof read>) => records.map(r => `${r.offset} ${r.timestamp} ${r.key} ${r.value}`)

test('a set of magic 1 has relative offsets, counted back from its wrapper', () => {
  const wrapper = encodeMessage({ magic: 1, offset: 102, attributes: GZIP, value: gzipSync(inner(1, [0, 1, 2])) })
  const result = read(wrapper, { fromOffset: 101 })
  expect(show(result)).toEqual(['101 10 k1 v1', '102 20 k2 v2'])
  expect(result.nextOffset).toBe(103)
  expect(read(wrapper, { fromOffset: 101, untilOffset: 102 })).toMatchObject({ records: [{ offset: 101 }], nextOffset: 102 })
})

test('a set of magic 1 whose wrapper old librdkafka left at 0 has absolute offsets', () => {
  const wrapper = encodeMessage({ magic: 1, offset: 0, attributes: GZIP, value: gzipSync(inner(1, [0, 1, 2])) })
  expect(read(wrapper)).toMatchObject({ records: [{ offset: 0 }, { offset: 1 }, { offset: 2 }], nextOffset: 3 })
  expect(read(wrapper, { fromOffset: 2 })).toMatchObject({ records: [{ offset: 2 }], nextOffset: 3 })
})

test('a set of magic 1 under LogAppendTime has the time of its wrapper', () => {
  const value = gzipSync(inner(1, [0, 1]))
  const wrapper = encodeMessage({ magic: 1, offset: 51, attributes: GZIP | LOG_APPEND_TIME, timestamp: 999, value })
  expect(show(read(wrapper))).toEqual(['50 999 k0 v0', '51 999 k1 v1'])
})

test('a set of magic 0 has absolute offsets and no times, and its lz4 frame a wrong header checksum', () => {
  const value = compressFrameSync(inner(0, [7, 9]))
  value.writeUInt8(value.readUInt8(6) ^ 0xff, 6)
  const result = read(encodeMessage({ magic: 0, offset: 9, attributes: LZ4, value }))
  expect(show(result)).toEqual(['7 -1 k7 v7', '9 -1 k9 v9'])
  expect(result.nextOffset).toBe(10)
})

test('all three formats may follow each other in one fetch', () => {
  const batch = encodeRecordBatch({ records: [{ offset: 3, timestamp: 30, key: Buffer.from('k3'), value: Buffer.from('v3') }] })
  expect(show(read(Buffer.concat([message(0, 1), message(1, 2), batch])))).toEqual(['1 -1 k1 v1', '2 20 k2 v2', '3 30 k3 v3'])
})

test('what is whole of a set that was cut off is read, as the Java client does', () => {
  const value = gzipSync(inner(0, [1, 2, 3]).subarray(0, -5))
  expect(show(read(encodeMessage({ magic: 0, offset: 3, attributes: GZIP, value })))).toEqual(['1 -1 k1 v1', '2 -1 k2 v2'])
})

test.each([
  ['a checksum that does not fit', () => Buffer.concat([message(1, 0).subarray(0, -1), Buffer.from('x')]), 'its checksum is'],
  ['a set without a value', () => encodeMessage({ magic: 1, offset: 5, attributes: GZIP, value: null }), 'without a value'],
  ['a set that holds nothing', () => encodeMessage({ magic: 1, offset: 5, attributes: GZIP, value: gzipSync('') }), 'holds none'],
  ['a set that is zstd', () => encodeMessage({ magic: 1, offset: 5, attributes: ZSTD, value: Buffer.alloc(9) }), 'which never was'],
  [
    'a set in a set',
    () => {
      const nested = encodeMessage({ magic: 1, offset: 0, attributes: GZIP, value: gzipSync(inner(1, [0])) })
      return encodeMessage({ magic: 1, offset: 5, attributes: GZIP, value: gzipSync(nested) })
    },
    'compressed again',
  ],
  [
    'a set of another magic',
    () => encodeMessage({ magic: 1, offset: 5, attributes: GZIP, value: gzipSync(inner(0, [0])) }),
    'has magic 0, and it has 1',
  ],
  [
    'a set that reaches below offset 0',
    () => encodeMessage({ magic: 1, offset: 1, attributes: GZIP, value: gzipSync(inner(1, [0, 7])) }),
    'relative offset 7',
  ],
])('%s is an error', (_, encode, what) => {
  expect(() => read(encode())).toThrow(what)
})
