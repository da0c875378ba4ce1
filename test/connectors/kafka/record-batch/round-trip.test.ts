import fc from 'fast-check'
import { expect, test } from 'vitest'
import { decodeRecordBatches } from '../../../../connectors/kafka/decode-record-batches.ts'
import type { KafkaRecord } from '../../../../connectors/kafka/record.ts'
import { BatchDecoder } from '../../../../connectors/kafka/record-batch/batch-decoder.ts'
import { scanBatches } from '../../../../connectors/kafka/record-batch/scan-batches.ts'
import { type Codec, encodeMarker, encodeRecordBatch, type RecordToEncode } from '../../../support/encode-record-batch.ts'

const CODECS: readonly Codec[] = ['none', 'gzip', 'snappy', 'snappy-xerial', 'lz4', 'zstd']
const AT = { topic: 'orders', partition: 3 } as const

const bytes = fc.oneof(
  fc.constant(null),
  fc.uint8Array({ maxLength: 40 }).map(Buffer.from),
  fc.integer({ min: 0, max: 20_000 }).map(n => Buffer.alloc(n, 'x')),
)
const recordSpec = fc.record({
  gap: fc.oneof({ weight: 4, arbitrary: fc.constant(0) }, { weight: 1, arbitrary: fc.nat({ max: 300 }) }),
  timestamp: fc.oneof(fc.nat({ max: 20_000 }), fc.integer({ min: -5, max: 4_000_000_000_000 })),
  key: bytes,
  value: bytes,
  headers: fc.array(fc.tuple(fc.string({ maxLength: 5, unit: 'grapheme' }), bytes), { maxLength: 3 }),
})
const batchSpec = fc.record({
  kind: fc.constantFrom('plain', 'transactional', 'commit', 'abort', 'empty'),
  producer: fc.nat({ max: 2 }),
  codec: fc.constantFrom(...CODECS),
  gapBefore: fc.nat({ max: 3 }),
  gapAfter: fc.nat({ max: 3 }),
  logAppendTime: fc.option(fc.nat(), { nil: undefined, freq: 4 }),
  records: fc.array(recordSpec, { minLength: 1, maxLength: 8 }),
})
const logSpec = fc.record({
  start: fc.oneof(fc.nat({ max: 50 }), fc.nat({ max: 2 ** 40 })),
  batches: fc.array(batchSpec, { maxLength: 14 }),
})

type Batch = {
  first: number
  last: number
  bytes: Buffer
  records: KafkaRecord[]
  producer: number
  isTransactional: boolean
  marker?: 'commit' | 'abort'
}

/** Writes a log as a broker would: transactions always end, and what the cleaner took leaves gaps. */
function writeLog({ start, batches }: { start: number; batches: Parameters<typeof writeBatch>[1][] }): Batch[] {
  const log: Batch[] = []
  const open = new Set<number>()
  let next = start
  const append = (batch: Batch) => {
    log.push(batch)
    next = batch.last + 1
    if (batch.isTransactional) open.add(batch.producer)
    if (batch.marker) open.delete(batch.producer)
  }
  for (const spec of batches) append(writeBatch(next + spec.gapBefore, spec))
  for (const producer of open) append(writeMarker('commit', next, producer))
  return log
}

function writeMarker(marker: 'commit' | 'abort', offset: number, producer: number): Batch {
  const encoded = encodeMarker(marker, offset, BigInt(producer))
  return { first: offset, last: offset, bytes: encoded, records: [], producer, isTransactional: false, marker }
}

function writeBatch(
  first: number,
  spec: {
    kind: 'plain' | 'transactional' | 'commit' | 'abort' | 'empty'
    producer: number
    codec: Codec
    gapBefore: number
    gapAfter: number
    logAppendTime: number | undefined
    records: { gap: number; timestamp: number; key: Buffer | null; value: Buffer | null; headers: [string, Buffer | null][] }[]
  },
): Batch {
  const { kind, producer, codec, logAppendTime } = spec
  if (kind === 'commit' || kind === 'abort') return writeMarker(kind, first, producer)
  const isTransactional = kind === 'transactional'
  let offset = first
  const toEncode: RecordToEncode[] = []
  for (const { gap, ...record } of kind === 'empty' ? [] : spec.records) {
    offset += gap
    toEncode.push({ ...record, offset })
    offset++
  }
  const last = Math.max(first, offset - 1) + spec.gapAfter
  const records = toEncode.map(({ offset, timestamp = 0, key = null, value = null, headers = [] }) => ({
    ...AT,
    offset,
    timestamp: logAppendTime ?? timestamp,
    key,
    value,
    headers,
  }))
  const encoded = encodeRecordBatch({
    records: toEncode,
    baseOffset: first,
    lastOffset: last,
    codec,
    isTransactional,
    ...(isTransactional && { producerId: BigInt(producer) }),
    ...(logAppendTime !== undefined && { logAppendTime }),
  })
  return { first, last, bytes: encoded, records, producer, isTransactional }
}

/** The transactions of a log and how they ended: a producer's batches up to its next marker. */
function transactionsOf(log: readonly Batch[]) {
  const open = new Map<number, { producerId: number; firstOffset: number; batches: Batch[] }>()
  const aborted: { producerId: number; firstOffset: number; lastOffset: number }[] = []
  const hidden = new Set<Batch>()
  for (const batch of log) {
    if (batch.isTransactional) {
      const transaction = open.get(batch.producer) ?? { producerId: batch.producer, firstOffset: batch.first, batches: [] }
      transaction.batches.push(batch)
      open.set(batch.producer, transaction)
    } else if (batch.marker) {
      const ended = open.get(batch.producer)
      open.delete(batch.producer)
      if (ended === undefined || batch.marker === 'commit') continue
      aborted.push({ producerId: ended.producerId, firstOffset: ended.firstOffset, lastOffset: batch.last })
      for (const part of ended.batches) hidden.add(part)
    }
  }
  return { aborted, hidden }
}

test('what is read is what was written and is visible, for every codec, range and isolation', () => {
  let committedDiffers = 0
  fc.assert(
    fc.property(
      logSpec,
      fc.nat(),
      fc.nat(),
      fc.constantFrom('read_committed', 'read_uncommitted'),
      fc.boolean(),
      (spec, a, b, isolation, reversed) => {
        const log = writeLog(spec)
        const { aborted, hidden } = transactionsOf(log)
        const end = (log.at(-1)?.last ?? spec.start) + 1
        const fromOffset = spec.start + (a % (end - spec.start + 1))
        const untilOffset = fromOffset + (b % (end - fromOffset + 3))

        // A broker sends from the batch that holds the offset on, and every aborted transaction that reaches it.
        const sent = log.filter(batch => batch.last >= fromOffset)
        const listed = aborted.filter(transaction => transaction.lastOffset >= fromOffset)
        const abortedTransactions = reversed ? listed.toReversed() : listed
        const data = Buffer.concat(sent.map(batch => batch.bytes))

        const visible = sent
          .filter(batch => isolation === 'read_uncommitted' || !hidden.has(batch))
          .flatMap(batch => batch.records)
          .filter(record => record.offset >= fromOffset && record.offset < untilOffset)
        if (isolation === 'read_committed' && sent.some(batch => hidden.has(batch))) committedDiffers++

        const result = decodeRecordBatches(data, { ...AT, fromOffset, untilOffset, isolation, abortedTransactions })
        expect(result.records).toEqual(visible)
        expect(result.nextOffset).toBe(sent.length === 0 ? fromOffset : Math.min(untilOffset, end))
        if (sent.length > 0) expect(scanBatches(data)).toMatchObject({ nextOffset: end, completeBytes: data.length, isTruncated: false })
      },
    ),
    { numRuns: 400 },
  )
  expect(committedDiffers).toBeGreaterThan(0)
})

test('a range read in arrays of any size, and stopped and gone on with anywhere, gives the same records', () => {
  fc.assert(
    fc.property(logSpec, fc.integer({ min: 1, max: 9 }), fc.nat({ max: 6 }), (spec, maxRecords, arrays) => {
      const log = writeLog(spec)
      const data = Buffer.concat(log.map(batch => batch.bytes))
      const options = { ...AT, fromOffset: spec.start, isolation: 'read_uncommitted' } as const
      const whole = decodeRecordBatches(data, options).records

      const decoder = new BatchDecoder(data, options)
      const head: KafkaRecord[] = []
      for (let i = 0; i < arrays; i++) {
        const read = decoder.next(maxRecords)
        if (read === undefined) break
        expect(read.length).toBeLessThanOrEqual(maxRecords)
        head.push(...read)
        expect(decoder.nextOffset).toBeGreaterThan(read.at(-1)?.offset ?? Number.NaN)
      }
      const tail = decodeRecordBatches(data, { ...options, fromOffset: decoder.nextOffset }).records
      expect([...head.map(record => JSON.stringify(record)), ...tail.map(record => JSON.stringify(record))]).toEqual(
        whole.map(record => JSON.stringify(record)),
      )
    }),
  )
})
