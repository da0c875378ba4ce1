import { describe, expect, test } from 'vitest'
import { BatchDecoder } from '../../../../connectors/kafka/record-batch/batch-decoder.ts'
import { scanBatches } from '../../../../connectors/kafka/record-batch/scan-batches.ts'
import { isTidemarkError } from '../../../../src/core/errors.ts'
import { type Codec, encodeRecordBatch, sealBatch } from '../../../support/encode-record-batch.ts'

const CODECS: readonly Codec[] = ['none', 'gzip', 'snappy', 'snappy-xerial', 'lz4', 'zstd']
const MASKS = [0x01, 0x80, 0x7f, 0xff]
const MAX_DECOMPRESSED_BYTES = 1_000_000

/** The decoded records as text, or undefined where there was an error of ours; any other error fails the test. */
function read(bytes: Buffer, checkCrcs = true): { records: string[]; nextOffset: number } | undefined {
  const decoder = new BatchDecoder(bytes, {
    topic: 'orders',
    partition: 3,
    fromOffset: 0,
    isolation: 'read_committed',
    checkCrcs,
    maxDecompressedBytes: MAX_DECOMPRESSED_BYTES,
  })
  const records: string[] = []
  try {
    for (let read = decoder.next(); read !== undefined; read = decoder.next()) records.push(...read.map(record => JSON.stringify(record)))
  } catch (error) {
    if (isTidemarkError(error, 'DECODE')) return undefined
    throw error
  }
  return { records, nextOffset: decoder.nextOffset }
}

const batch = (from: number, codec: Codec) =>
  encodeRecordBatch({
    codec,
    records: Array.from({ length: 6 }, (_, i) => ({
      offset: from + i,
      timestamp: 1_700_000_000_000 + i * 5000,
      key: i % 2 === 0 ? null : Buffer.from(`key-${i}`),
      value: Buffer.from(`{"id":${from + i},"city":"Lisbon"}`),
      headers: i === 3 ? [['trace', Buffer.from('abc')] as const] : [],
    })),
  })

// The checksum begins at byte 21. In front of it only these can change without being seen, by us or by the Java client:
// the base offset and the leader epoch, which brokers write after the producer has made the checksum.
const isUnchecked = (at: number) => at < 8 || (at >= 12 && at < 16)

describe.each(CODECS)('%s', codec => {
  const first = batch(0, codec)
  const bytes = Buffer.concat([first, batch(6, codec)])
  const whole = read(bytes)

  test('cut off anywhere, the whole batches in front are read and the position stays behind them', () => {
    expect(whole?.records).toHaveLength(12)
    for (let length = 0; length <= bytes.length; length++) {
      const cut = read(bytes.subarray(0, length))
      const batches = length === bytes.length ? 2 : length >= first.length ? 1 : 0
      if (length > 0 && batches === 0) expect(cut, `${length} bytes`).toBeUndefined()
      else expect(cut, `${length} bytes`).toEqual({ records: whole?.records.slice(0, batches * 6), nextOffset: batches * 6 })
      expect(scanBatches(bytes.subarray(0, length)).nextOffset).toBe(batches === 0 ? -1 : batches * 6)
    }
  })

  test('with any byte changed there is an error, or the position ends where the sound records do', () => {
    for (let at = 0; at < bytes.length; at++) {
      for (const mask of MASKS) {
        const changed = Buffer.from(bytes)
        changed.writeUInt8(changed.readUInt8(at) ^ mask, at)
        const result = read(changed)
        if (result === undefined || isUnchecked(at % first.length)) continue
        expect(result.records, `byte ${at} ^ ${mask}`).toEqual(whole?.records.slice(0, result.nextOffset))
      }
    }
  })

  test('with any byte changed under a checksum that fits, nothing hangs, nothing grows, and every error is ours', () => {
    for (let at = 8; at < first.length; at++) {
      for (const mask of MASKS) {
        const changed = Buffer.from(first)
        changed.writeUInt8(changed.readUInt8(at) ^ mask, at)
        const result = read(sealBatch(changed), false)
        expect(result?.records.length ?? 0, `byte ${at} ^ ${mask}`).toBeLessThanOrEqual(MAX_DECOMPRESSED_BYTES / 7)
      }
    }
  })
})
