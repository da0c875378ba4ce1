import { expect, test } from 'vitest'
import { FetchedRecord, recordBytes } from '../../../connectors/kafka/record-batch/fetched-record.ts'
import { rowsFromWire, rowsToWire } from '../../../src/core/rows-wire.ts'

function across(rows: readonly unknown[]): readonly unknown[] {
  return rowsFromWire(rowsToWire(rows, 'counts'))
}

/** A record of Kafka with key `k`, value `value` and one header, in the middle of other bytes. */
function kafkaRecord(): FetchedRecord {
  // Lengths of a record are zig-zag varints: a length of n is the byte 2n.
  const fields = [
    Buffer.from([2]),
    Buffer.from('k'),
    Buffer.from([10]),
    Buffer.from('value'),
    Buffer.from([2, 2]),
    Buffer.from('h'),
    Buffer.from([4, 1, 2]),
  ]
  const bytes = Buffer.concat([Buffer.alloc(1_000, 'before'), ...fields, Buffer.alloc(1_000, 'after')])
  return new FetchedRecord('orders', 3, 120, 1_700_000_000_000, recordBytes(bytes), 1_000)
}

const PLAIN_RECORD = {
  ...{ topic: 'orders', partition: 3, offset: 120, timestamp: 1_700_000_000_000 },
  ...{ key: Buffer.from('k'), value: Buffer.from('value'), headers: [['h', Buffer.from([1, 2])]] },
}

test('plain rows come back as they were', () => {
  const rows = [1, 'é', null, undefined, true, Number.NaN, -0, 2n ** 70n, { a: [1, { b: undefined }] }, [], {}, [[null]]]
  expect(across(rows)).toStrictEqual(rows)
})

test('dates, maps, sets, expressions and errors come back as what they are', () => {
  const rows = [new Date(5), new Map([['a', new Set([1n])]]), /a.b/giu, { at: new Date(Number.NaN) }]
  expect(across(rows)).toStrictEqual(rows)
  const [error] = across([new TypeError('no')])
  expect(error).toBeInstanceOf(TypeError)
})

test('bytes come back as bytes of their kind, and alone: a view does not take along what it is a view of', () => {
  const fetched = Buffer.alloc(1_000_000, 'x')
  const rows = [
    fetched.subarray(10, 14),
    new Uint8Array(fetched.buffer, fetched.byteOffset + 1, 3),
    new Float64Array([0.5]),
    { deep: [fetched.subarray(0, 2)] },
  ]
  expect(rowsToWire(rows, 'counts').length).toBeLessThan(1_000)
  const [buffer, view, floats, nested] = across(rows)
  expect(Buffer.isBuffer(buffer) && buffer.toString()).toBe('xxxx')
  expect(view).toStrictEqual(new Uint8Array([120, 120, 120]))
  expect(floats).toStrictEqual(new Float64Array([0.5]))
  expect(nested).toStrictEqual({ deep: [Buffer.from('xx')] })
})

test('a record of Kafka comes back as an object of its seven fields, wherever in a row it is', () => {
  const rows = [
    kafkaRecord(),
    { of: { the: kafkaRecord() } },
    [kafkaRecord()],
    new Map([['last', kafkaRecord()]]),
    new Set([kafkaRecord()]),
  ]
  expect(across(rows)).toStrictEqual([
    PLAIN_RECORD,
    { of: { the: PLAIN_RECORD } },
    [PLAIN_RECORD],
    new Map([['last', PLAIN_RECORD]]),
    new Set([PLAIN_RECORD]),
  ])
  expect(rowsToWire([kafkaRecord()], 'counts').length).toBeLessThan(500)
})

test('an instance of a class comes back as a plain object, by its toJSON where it has one', () => {
  class Point {
    readonly x = 1
    readonly inner = kafkaRecord()
  }
  class Money {
    readonly #cents = 120
    toJSON() {
      return { cents: this.#cents }
    }
  }
  expect(across([new Point(), new Money(), new URL('http://localhost/a')])).toStrictEqual([
    { x: 1, inner: PLAIN_RECORD },
    { cents: 120 },
    'http://localhost/a',
  ])
})

test("a plain object's own field named toJSON is a field", () => {
  expect(across([{ toJSON: 'yes', a: 1 }])).toStrictEqual([{ toJSON: 'yes', a: 1 }])
})

test('a row that refers to itself comes back doing so', () => {
  const row: Record<string, unknown> = { name: 'loop' }
  row.self = row
  const [back] = across([row]) as [Record<string, unknown>]
  expect(back.self).toBe(back)
})

test('the rows that are sent are left as they were', () => {
  const row = { record: kafkaRecord(), list: [kafkaRecord()] }
  const { record, list } = row
  across([row])
  expect(row.record).toBe(record)
  expect(row.list).toBe(list)
  expect(row.list[0]).toBeInstanceOf(FetchedRecord)
})

test.for([
  ['a function', { run: () => 1 }],
  ['a symbol', { kind: Symbol('a') }],
  ['a promise', Promise.resolve(1)],
] as const)('rows that cannot go name their output and what to do: %s', ([, row]) => {
  expect(() => rowsToWire([1, row], 'counts')).toThrow(
    expect.objectContaining({
      code: 'CONFIG',
      message: expect.stringMatching(/Output counts gathers .* could not be cloned\. .*a map in front of it.*inProcess\(\)/),
      details: { output: 'counts' },
    }),
  )
})

test('bytes of a later version of Node are told from other failures', () => {
  const bytes = Buffer.from(rowsToWire([1], 'counts'))
  bytes[1] = 99
  expect(() => rowsFromWire(bytes)).toThrow(
    expect.objectContaining({ code: 'UNSUPPORTED', message: expect.stringMatching(/Run the same version of Node on both/) }),
  )
})
