import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { decodeRecordBatches } from '../../../connectors/kafka/decode-record-batches.ts'
import { scanBatches } from '../../../connectors/kafka/record-batch/scan-batches.ts'
import { encodeRecordBatch } from '../../support/encode-record-batch.ts'

type RecordJson = {
  offset: string
  timestamp: string
  key: string | null
  value: string | null
  headers: [string, string | null][]
  controlType?: string
}
type BatchCase = {
  name: string
  hex: string
  batches: { nextOffset: string; lastOffset: string; sizeInBytes: number }[]
  records: RecordJson[]
  trailingPartialBytes: number
}
type Read = { visibleOffsets: number[]; nextFetchOffset: string }
type CommittedCase = {
  name: string
  fetchOffset: string
  abortedTransactions: { producerId: string; firstOffset: string }[]
  hex: string
  readUncommitted: Read
  readCommitted: Read
}

const load = <T>(name: string): T[] =>
  (JSON.parse(readFileSync(new URL(`../../fixtures/${name}.json`, import.meta.url), 'utf8')) as { cases: T[] }).cases

const batchCases = load<BatchCase>('record-batches')
const committedCases = load<CommittedCase>('read-committed')
const AT = { topic: 'orders', partition: 3, isolation: 'read_uncommitted' } as const
const fromHex = (hex: string | null) => (hex === null ? null : Buffer.from(hex, 'hex'))

const isTooLarge = (c: BatchCase) => c.batches.some(batch => !Number.isSafeInteger(Number(batch.nextOffset)))

describe('batches written by the official Java client', () => {
  test('are all here', () => {
    expect(batchCases.length).toBeGreaterThanOrEqual(23)
    expect(committedCases.length).toBeGreaterThanOrEqual(9)
    expect(batchCases.filter(isTooLarge).map(c => c.name)).toEqual(['v2-large-deltas'])
  })

  test.each(batchCases.filter(c => !isTooLarge(c)))(
    '$name: gives the records that the Java client reads',
    ({ hex, batches, records, trailingPartialBytes }) => {
      const bytes = Buffer.from(hex, 'hex')
      const fromOffset = Number(records[0]?.offset ?? 0)
      const decoded = decodeRecordBatches(bytes, { ...AT, fromOffset })
      const expected = records
        .filter(record => record.controlType === undefined)
        .map(record => ({
          topic: 'orders',
          partition: 3,
          offset: Number(record.offset),
          timestamp: Number(record.timestamp),
          key: fromHex(record.key),
          value: fromHex(record.value),
          headers: record.headers.map(([name, value]) => [name, fromHex(value)]),
        }))
      expect(decoded.records).toEqual(expected)
      expect(decoded.nextOffset).toBe(Number(batches.at(-1)?.nextOffset))
      const scan = scanBatches(bytes)
      expect(scan).toMatchObject({ nextOffset: decoded.nextOffset, completeBytes: bytes.length - trailingPartialBytes })
      expect(scan.isTruncated).toBe(trailingPartialBytes > 0)
    },
  )

  test('v2-large-deltas: an offset beyond 2^53 - 1 is an error and never a rounded number', () => {
    for (const { hex } of batchCases.filter(isTooLarge)) {
      const bytes = Buffer.from(hex, 'hex')
      expect(() => decodeRecordBatches(bytes, { ...AT, fromOffset: 0 })).toThrow('outside of 0 to 2^53 - 1')
      expect(scanBatches(bytes)).toMatchObject({ nextOffset: -1, completeBytes: 0 })
    }
  })

  describe.each(committedCases)('$name', ({ fetchOffset, abortedTransactions, hex, readUncommitted, readCommitted }) => {
    const bytes = Buffer.from(hex, 'hex')
    const fromOffset = Number(fetchOffset)
    const offsets = (result: { records: { offset: number }[] }) => result.records.map(record => record.offset)

    test('read uncommitted: the records and the position are those of the Java client', () => {
      const result = decodeRecordBatches(bytes, { ...AT, fromOffset })
      expect(offsets(result)).toEqual(readUncommitted.visibleOffsets)
      expect(result.nextOffset).toBe(Number(readUncommitted.nextFetchOffset))
    })

    test.each([Number, BigInt])('read committed: the records and the position are those of the Java client (producer ids by %o)', toId => {
      const aborted = abortedTransactions.map(t => ({ producerId: toId(t.producerId), firstOffset: Number(t.firstOffset) }))
      for (const abortedTransactions of [aborted, aborted.toReversed()]) {
        const result = decodeRecordBatches(bytes, { ...AT, isolation: 'read_committed', fromOffset, abortedTransactions })
        expect(offsets(result)).toEqual(readCommitted.visibleOffsets)
        expect(result.nextOffset).toBe(Number(readCommitted.nextFetchOffset))
      }
    })
  })
})

describe('decodeRecordBatches', () => {
  const batch = (from: number, to: number) =>
    encodeRecordBatch({ records: Array.from({ length: to - from }, (_, i) => ({ offset: from + i, value: Buffer.from(`v${from + i}`) })) })

  test('records are plain objects with seven fields of their own', () => {
    const records = [{ offset: 5, timestamp: 1700, key: null, value: Buffer.from('v'), headers: [['h', null] as const] }]
    const [record] = decodeRecordBatches(encodeRecordBatch({ records }), { ...AT, fromOffset: 0 }).records
    const plain = { topic: 'orders', partition: 3, offset: 5, timestamp: 1700, key: null, value: Buffer.from('v'), headers: [['h', null]] }
    expect(record).toStrictEqual(plain)
    expect({ ...record }).toStrictEqual(plain)
    expect(JSON.stringify(record)).toBe(JSON.stringify(plain))
    expect(structuredClone(record)).toMatchObject({ offset: 5, timestamp: 1700, key: null })
  })

  test('a Uint8Array that is no Buffer is read, and gives Buffers that are views of it', () => {
    const bytes = new Uint8Array(Buffer.concat([Buffer.from('xyz'), batch(0, 2)]).subarray(3))
    const offsetBytes = new Uint8Array(bytes.length + 7)
    offsetBytes.set(bytes, 7)
    const view = offsetBytes.subarray(7)
    const { records } = decodeRecordBatches(view, { ...AT, fromOffset: 0 })
    expect(Buffer.isBuffer(records[1]?.value)).toBe(true)
    expect(records.map(record => String(record.value))).toEqual(['v0', 'v1'])
    view.fill(0x7a)
    expect(String(records[0]?.value)).toBe('zz')
  })

  test('no bytes hold no records, and the position stays', () => {
    expect(decodeRecordBatches(Buffer.alloc(0), { ...AT, fromOffset: 42 })).toEqual({ records: [], nextOffset: 42 })
  })

  test('bytes without one complete batch are an error', () => {
    const bytes = batch(0, 2)
    expect(() => decodeRecordBatches(bytes.subarray(0, 5), { ...AT, fromOffset: 0 })).toThrow(
      'the 5 bytes fetched at offset 0 hold no complete batch',
    )
    expect(() => decodeRecordBatches(bytes.subarray(0, -1), { ...AT, fromOffset: 0 })).toThrow(`the first is ${bytes.length} bytes long`)
  })

  test('the position of a range is its end exactly when the range is complete', () => {
    const bytes = Buffer.concat([batch(10, 13), batch(20, 25)])
    const read = (untilOffset: number) => {
      const { records, nextOffset } = decodeRecordBatches(bytes, { ...AT, fromOffset: 11, untilOffset })
      return [records.map(record => record.offset), nextOffset]
    }
    expect(read(12)).toEqual([[11], 12])
    expect(read(13)).toEqual([[11, 12], 13])
    // The next batch begins at 20, so nothing is left of the range.
    expect(read(17)).toEqual([[11, 12], 17])
    expect(read(22)).toEqual([[11, 12, 20, 21], 22])
    expect(read(25)).toEqual([[11, 12, 20, 21, 22, 23, 24], 25])
    expect(read(40)).toEqual([[11, 12, 20, 21, 22, 23, 24], 25])
    expect(read(11)).toEqual([[], 11])
  })

  test('an offset that is no safe integer is refused', () => {
    expect(() => decodeRecordBatches(batch(0, 1), { ...AT, fromOffset: 2 ** 53 })).toThrow('fromOffset is 9007199254740992')
    expect(() => decodeRecordBatches(batch(0, 1), { ...AT, fromOffset: 0, untilOffset: 1.5 })).toThrow('untilOffset is 1.5')
  })
})
