import { inspect } from 'node:util'
import { describe, expect, test } from 'vitest'
import type { KafkaRecord } from '../../../../connectors/kafka/record.ts'
import { BatchDecoder, type DecodeOptions, MAX_RECORDS_PER_ARRAY } from '../../../../connectors/kafka/record-batch/batch-decoder.ts'
import { isTidemarkError } from '../../../../src/core/errors.ts'
import {
  type BatchToEncode,
  encodeMarker,
  encodeRecord,
  encodeRecordBatch,
  encodeVarint,
  sealBatch,
} from '../../../support/encode-record-batch.ts'

const OPTIONS: DecodeOptions = { topic: 'orders', partition: 3, fromOffset: 0, isolation: 'read_committed' }

function readAll(bytes: Buffer, options: Partial<DecodeOptions> = {}): { records: KafkaRecord[]; nextOffset: number } {
  const decoder = new BatchDecoder(bytes, { ...OPTIONS, ...options })
  const records: KafkaRecord[] = []
  for (let read = decoder.next(); read !== undefined; read = decoder.next()) records.push(...read)
  return { records, nextOffset: decoder.nextOffset }
}

const offsetsOf = (bytes: Buffer, options: Partial<DecodeOptions> = {}) => readAll(bytes, options).records.map(record => record.offset)
const records = (from: number, count: number) =>
  Array.from({ length: count }, (_, i) => ({ offset: from + i, value: Buffer.from(`v${from + i}`) }))
const transactional = (from: number, count: number, producerId: bigint) =>
  encodeRecordBatch({ records: records(from, count), producerId, isTransactional: true })

describe('arrays', () => {
  test('hold no more records than they may, and the position stands behind the last of them', () => {
    const decoder = new BatchDecoder(encodeRecordBatch({ records: records(10, 1_000), codec: 'lz4' }), { ...OPTIONS, fromOffset: 10 })
    const seen: [number, number][] = []
    for (let read = decoder.next(400); read !== undefined; read = decoder.next(400)) seen.push([read.length, decoder.nextOffset])
    expect(seen).toEqual([
      [400, 410],
      [400, 810],
      [200, 1010],
    ])
    expect(MAX_RECORDS_PER_ARRAY).toBeLessThanOrEqual(4096)
  })

  test('go on over the borders of batches', () => {
    const bytes = Buffer.concat(Array.from({ length: 20 }, (_, i) => encodeRecordBatch({ records: records(i * 30, 30) })))
    expect(new BatchDecoder(bytes, OPTIONS).next()).toHaveLength(MAX_RECORDS_PER_ARRAY)
  })

  test('end early where few records decompress to much, so that memory stays bounded', () => {
    const large = (offset: number) => encodeRecordBatch({ records: [{ offset, value: Buffer.alloc(700_000) }], codec: 'zstd' })
    const decoder = new BatchDecoder(Buffer.concat([0, 1, 2, 3, 4].map(large)), OPTIONS)
    expect([decoder.next()?.length, decoder.next()?.length, decoder.next()?.length, decoder.next()]).toEqual([2, 2, 1, undefined])
  })

  test('of a batch larger than any stack of arguments are read', () => {
    expect(readAll(encodeRecordBatch({ records: records(0, 200_000) })).nextOffset).toBe(200_000)
  })
})

describe('records', () => {
  const headers = [
    ['h', Buffer.from('1')],
    ['h', null],
    ['', Buffer.alloc(0)],
  ] as const
  const bytes = encodeRecordBatch({ records: [{ offset: 7, timestamp: 1700, key: Buffer.alloc(0), value: null, headers }] })

  test('look like plain objects to people', () => {
    const record = new BatchDecoder(bytes, OPTIONS).next()?.[0]
    const plain = { topic: 'orders', partition: 3, offset: 7, timestamp: 1700, key: Buffer.alloc(0), value: null, headers }
    expect(inspect(record)).toBe(inspect(plain))
    expect(JSON.stringify(record)).toBe(JSON.stringify(plain))
    expect({ ...record }).toEqual({ topic: 'orders', partition: 3, offset: 7, timestamp: 1700 })
  })

  test('keep names of headers that repeat, and tell null from empty', () => {
    const record = readAll(bytes).records[0]
    expect(record?.headers).toEqual(headers)
    expect([record?.key, record?.value]).toEqual([Buffer.alloc(0), null])
  })

  test('have the time of the broker where it stamps them', () => {
    const stamped = encodeRecordBatch({
      records: [
        { offset: 0, timestamp: 5 },
        { offset: 1, timestamp: 9 },
      ],
      logAppendTime: 77,
    })
    expect(readAll(stamped).records.map(record => record.timestamp)).toEqual([77, 77])
  })

  test('may be years apart in one batch', () => {
    const times = [1_700_000_000_000, 1_600_000_000_000, 0, -5, 1_900_000_000_000]
    const batch = encodeRecordBatch({ records: times.map((timestamp, offset) => ({ offset, timestamp })) })
    expect(readAll(batch).records.map(record => record.timestamp)).toEqual(times)
  })

  test('keep their times where the cleaner set a delete horizon', () => {
    const batch = encodeRecordBatch({
      records: [
        { offset: 0, timestamp: 500 },
        { offset: 1, timestamp: 400 },
      ],
      extraAttributes: 64,
    })
    expect(readAll(batch).records.map(record => record.timestamp)).toEqual([500, 400])
  })
})

describe('transactions', () => {
  test("a producer's second aborted transaction is as invisible as its first", () => {
    const bytes = Buffer.concat([
      transactional(0, 2, 9n),
      encodeMarker('abort', 2, 9n),
      transactional(3, 2, 9n),
      encodeMarker('commit', 5, 9n),
      transactional(6, 2, 9n),
      encodeMarker('abort', 8, 9n),
    ])
    const abortedTransactions = [
      { producerId: 9, firstOffset: 6 },
      { producerId: 9, firstOffset: 0 },
    ]
    expect(readAll(bytes, { abortedTransactions })).toMatchObject({ records: [{ offset: 3 }, { offset: 4 }], nextOffset: 9 })
  })

  test('a transaction whose marker comes in a later response stays invisible to the end of this one', () => {
    const bytes = Buffer.concat([transactional(0, 2, 9n), encodeRecordBatch({ records: records(2, 1) }), transactional(3, 2, 9n)])
    expect(offsetsOf(bytes, { abortedTransactions: [{ producerId: 9n, firstOffset: 0 }] })).toEqual([2])
  })

  test('records of a producer that are in no transaction are visible while one of its own is aborted', () => {
    const idempotent = encodeRecordBatch({ records: records(2, 1), producerId: 9n })
    const bytes = Buffer.concat([transactional(0, 2, 9n), idempotent, encodeMarker('abort', 3, 9n)])
    expect(offsetsOf(bytes, { abortedTransactions: [{ producerId: 9, firstOffset: 0 }] })).toEqual([2])
  })

  test('a producer id beyond 2^53 is told from its neighbour', () => {
    const id = 2n ** 60n + 1n
    const bytes = Buffer.concat([
      transactional(0, 1, id),
      transactional(1, 1, id + 1n),
      encodeMarker('abort', 2, id),
      encodeMarker('commit', 3, id + 1n),
    ])
    expect(offsetsOf(bytes, { abortedTransactions: [{ producerId: id, firstOffset: 0 }] })).toEqual([1])
  })

  test('an aborted batch is not decompressed, but its checksum is checked', () => {
    const broken = encodeRecordBatch({
      records: records(0, 2),
      producerId: 9n,
      isTransactional: true,
      codec: 'lz4',
      body: Buffer.from('no lz4 at all'),
    })
    const abortedTransactions = [{ producerId: 9, firstOffset: 0 }]
    expect(readAll(broken, { abortedTransactions })).toEqual({ records: [], nextOffset: 2 })
    expect(() => readAll(broken)).toThrow('do not decompress')
    broken.writeUInt8(1, broken.length - 1)
    expect(() => readAll(broken, { abortedTransactions })).toThrow('its checksum is')
  })

  test('a control batch that the cleaner emptied ends nothing and moves the position', () => {
    const empty = encodeRecordBatch({ records: [], baseOffset: 2, lastOffset: 2, producerId: 9n, isTransactional: true, isControl: true })
    const bytes = Buffer.concat([transactional(0, 2, 9n), empty, transactional(3, 1, 9n)])
    expect(readAll(bytes, { abortedTransactions: [{ producerId: 9, firstOffset: 0 }] })).toEqual({ records: [], nextOffset: 4 })
  })

  test('markers are invisible also to those who read what was not committed', () => {
    const bytes = Buffer.concat([transactional(0, 1, 9n), encodeMarker('abort', 1, 9n), transactional(2, 1, 9n)])
    const abortedTransactions = [{ producerId: 9, firstOffset: 0 }]
    expect(offsetsOf(bytes, { isolation: 'read_uncommitted', abortedTransactions })).toEqual([0, 2])
  })
})

describe('what breaks the format', () => {
  function expectDamage(batch: BatchToEncode | Buffer, what: string): void {
    const bytes = Buffer.isBuffer(batch) ? batch : encodeRecordBatch(batch)
    let error: unknown
    try {
      readAll(bytes)
    } catch (thrown) {
      error = thrown
    }
    expect(isTidemarkError(error, 'DECODE'), `${what}: ${error}`).toBe(true)
    expect(error).toMatchObject({ details: { topic: 'orders', partition: 3 } })
    expect(String(error)).toContain('orders/3')
    expect(String(error)).toContain(what)
  }
  const body = (...parts: readonly (Buffer | readonly number[])[]) => Buffer.concat(parts.map(part => Buffer.from(part)))
  const good = encodeRecord({ offset: 0, value: Buffer.from('value') }, 0, 0)

  test('a checksum that does not fit, with the offset of the batch', () => {
    const bytes = Buffer.concat([encodeRecordBatch({ records: records(0, 5) }), encodeRecordBatch({ records: records(5, 5) })])
    bytes.writeUInt8(0x7a, bytes.length - 2)
    expectDamage(bytes, 'the batch at offset 5 cannot be read: its checksum is')
    expect(new BatchDecoder(bytes, { ...OPTIONS, checkCrcs: false }).next()).toHaveLength(10)
  })

  test('comes after all that is sound in front of it, and the position never passes a record that was not given', () => {
    const broken = body(good, encodeRecord({ offset: 1, value: Buffer.from('value') }, 0, 0).subarray(0, -1))
    const bytes = Buffer.concat([
      encodeRecordBatch({ records: records(0, 5) }),
      encodeRecordBatch({ records: [], baseOffset: 5, lastOffset: 6, recordCount: 2, body: broken }),
    ])
    const decoder = new BatchDecoder(bytes, OPTIONS)
    expect(decoder.next()?.map(record => record.offset)).toEqual([0, 1, 2, 3, 4])
    expect(decoder.nextOffset).toBe(5)
    expect(() => decoder.next()).toThrow('the batch at offset 5 cannot be read')
    expect(() => decoder.next()).toThrow('the batch at offset 5 cannot be read')
    expect(decoder.nextOffset).toBe(5)
  })

  test.each([5, 6, 7])('the codec %i', codec => {
    expectDamage({ records: records(0, 1), extraAttributes: codec }, `The codec has the number ${codec}`)
  })

  test('a record that is longer or shorter than it says', () => {
    const longer = Buffer.from(good)
    longer.writeUInt8(longer.readUInt8(0) + 2, 0)
    expectDamage({ records: [], recordCount: 1, body: longer }, 'does not fit in it')
    const shorter = Buffer.from(good)
    shorter.writeUInt8(shorter.readUInt8(0) - 2, 0)
    expectDamage({ records: [], recordCount: 1, body: shorter }, 'does not end where its length says')
    expectDamage({ records: [], recordCount: 1, body: body([2 * 8], Buffer.alloc(8)) }, 'does not end where its length says')
  })

  test('a negative length of a record', () => {
    expectDamage({ records: [], recordCount: 1, body: body([1], Buffer.alloc(8)) }, 'a record of -1 bytes')
  })

  test('a varint that does not end', () => {
    expectDamage({ records: [], recordCount: 1, body: Buffer.alloc(40, 0xff) }, 'does not fit in it')
    for (const fields of [[0], [0, 0], [0, 0, 0], [0, 0, 0, 1], [0, 0, 0, 1, 1]]) {
      const record = body(fields, Buffer.alloc(20, 0xff))
      expectDamage({ records: [], recordCount: 1, body: body(encodeVarint(record.length), record) }, 'does not end where its length says')
    }
  })

  test.each([
    ['negative', encodeVarint(-1)],
    ['larger than the record', encodeVarint(1_000_000)],
    ['larger than any memory', encodeVarint(2 ** 31 - 1)],
  ])('a count of headers that is %s', (_, count) => {
    const record = body([0, 0, 0, 1, 1], count)
    expectDamage({ records: [], recordCount: 1, body: body(encodeVarint(record.length), record) }, 'does not end where its length says')
  })

  test.each([
    ['a header without a name', [2, 1, 0]],
    ['a header whose name does not fit', [2, 20, 0x61]],
    ['a header whose value does not fit', [2, 2, 0x61, 20, 0x61]],
    ['bytes after the last header', [2, 2, 0x61, 1, 0, 0]],
  ])('%s', (_, tail) => {
    const record = body([0, 0, 0, 1, 1], tail)
    expectDamage({ records: [], recordCount: 1, body: body(encodeVarint(record.length), record) }, 'does not end where its length says')
  })

  test('fewer or more records than the batch says', () => {
    expectDamage({ records: records(0, 2), recordCount: 3, lastOffset: 5 }, 'it ends with 1 of its records missing')
    expectDamage({ records: records(0, 3), recordCount: 2 }, 'bytes are left after the last of its records')
    expectDamage({ records: records(0, 3), recordCount: 2, codec: 'zstd' }, 'bytes are left after the last of its records')
    expectDamage({ records: records(0, 3), recordCount: -1 }, '-1 records')
    expectDamage({ records: records(0, 3), recordCount: 2 ** 31 - 1 }, 'of its records missing')
  })

  test('a record outside of the offsets of its batch', () => {
    expectDamage({ records: records(0, 3), lastOffset: 1 }, 'a record lies 2 offsets after its first, and it reaches 1')
    expectDamage({ records: records(5, 1), baseOffset: 6, lastOffset: 6 }, 'a record lies -1 offsets after its first')
    expectDamage({ records: records(5, 1), baseOffset: 5, lastOffset: 4 }, '1 records over 0 offsets')
  })

  test('a format that Kafka does not know', () => {
    const bytes = encodeRecordBatch({ records: records(0, 1) })
    bytes.writeInt8(3, 16)
    expectDamage(bytes, 'its format has the number 3')
  })

  test('a batch that is shorter than its header', () => {
    const bytes = Buffer.alloc(60)
    bytes.writeInt32BE(48, 8)
    bytes.writeInt8(2, 16)
    expectDamage(bytes, 'its 60 bytes are fewer than the 61')
    bytes.writeInt32BE(-1, 8)
    expectDamage(bytes, 'it says that it is -1 bytes long')
  })

  test('a batch that decompresses to more than it may', () => {
    const bytes = encodeRecordBatch({ records: [{ offset: 0, value: Buffer.alloc(100_000) }], codec: 'gzip' })
    expect(() => readAll(bytes, { maxDecompressedBytes: 50_000 })).toThrow('more than 50000 bytes. Raise maxDecompressedBatchBytes')
    expect(readAll(bytes, { maxDecompressedBytes: 101_000 }).records).toHaveLength(1)
  })

  test('a control batch whose record has no type', () => {
    expectDamage(
      { records: [{ offset: 0, key: Buffer.from([0, 0]) }], isControl: true, isTransactional: true, producerId: 1n },
      'has no type',
    )
    expectDamage({ records: [{ offset: 0, key: null }], isControl: true, isTransactional: true, producerId: 1n }, 'has no type')
  })

  test('an offset beyond 2^53 - 1', () => {
    const bytes = encodeRecordBatch({ records: records(0, 1) })
    bytes.writeBigInt64BE(2n ** 53n - 1n, 0)
    expectDamage(sealBatch(bytes), 'outside of 0 to 2^53 - 1')
    bytes.writeBigInt64BE(2n ** 53n - 2n, 0)
    expect(readAll(sealBatch(bytes))).toMatchObject({ records: [{ offset: 2 ** 53 - 2 }], nextOffset: 2 ** 53 - 1 })
  })
})
