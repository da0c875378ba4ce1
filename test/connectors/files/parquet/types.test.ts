import { join } from 'node:path'
import { DuckDBDateValue, DuckDBDecimalValue, DuckDBTimestampTZValue } from '@duckdb/node-api'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type ParquetColumn, parquetSink } from '../../../../connectors/files/index.ts'
import { duckdb } from '../../../support/duckdb.ts'
import { rowsOf, running, task } from '../files-task.ts'
import { temporaryFolder } from '../temporary-folder.ts'

const FILE = join('orders', '3', '0000000000000120-0000000000000180-b7.parquet')

/** Writes rows of one column and gives the path. */
async function write(column: ParquetColumn, values: readonly unknown[], rowGroupBytes?: number): Promise<string> {
  const directory = temporaryFolder()
  const sink = parquetSink<{ value: unknown }>({ directory, columns: { value: column }, ...(rowGroupBytes && { rowGroupBytes }) })
  await sink.write(task(), rowsOf(values.map(value => ({ value }))), running)
  return join(directory, FILE)
}

/** What DuckDB reads of a column, by an expression over `value`, and the type it takes it for. */
async function read(path: string, expression = 'value'): Promise<{ type: unknown; values: unknown[] }> {
  const rows = await duckdb(`select ${expression} as value, typeof(value) as type from read_parquet('${path}')`)
  return { type: rows[0]?.type, values: rows.map(({ value }) => value) }
}

const MIN64 = -(2n ** 63n)
const MAX64 = 2n ** 63n - 1n
const micros = (text: string) => new DuckDBTimestampTZValue(BigInt(Date.parse(text)) * 1000n)

describe('a column is read with its type and all of its values', () => {
  test.each<[string, ParquetColumn, string, readonly unknown[], readonly unknown[]]>([
    ['int32', 'int32', 'INTEGER', [0, -(2 ** 31), 2 ** 31 - 1, 7n, '-12', null], [0, -(2 ** 31), 2 ** 31 - 1, 7, -12, null]],
    [
      'int64',
      'int64',
      'BIGINT',
      [0, MIN64, MAX64, Number.MAX_SAFE_INTEGER, Number.MIN_SAFE_INTEGER, '9223372036854775807', '-1', null],
      [0n, MIN64, MAX64, 9007199254740991n, -9007199254740991n, MAX64, -1n, null],
    ],
    ['float', 'float', 'FLOAT', [0.5, -1.25, null, Number.POSITIVE_INFINITY], [0.5, -1.25, null, Number.POSITIVE_INFINITY]],
    [
      'double',
      'double',
      'DOUBLE',
      [0.1, 5e-324, 1.7976931348623157e308, Number.NaN, Number.NEGATIVE_INFINITY, null],
      [0.1, 5e-324, 1.7976931348623157e308, Number.NaN, Number.NEGATIVE_INFINITY, null],
    ],
    [
      'boolean',
      'boolean',
      'BOOLEAN',
      [true, false, null, true, true, false, false, true, true, null],
      [true, false, null, true, true, false, false, true, true, null],
    ],
    [
      'date',
      'date',
      'DATE',
      ['2024-02-29', new Date('1969-12-31T23:59:59Z'), '0001-01-01', null],
      [new DuckDBDateValue(19782), new DuckDBDateValue(-1), new DuckDBDateValue(-719162), null],
    ],
    [
      'timestamp in microseconds',
      'timestamp',
      'TIMESTAMP WITH TIME ZONE',
      [
        new Date('2026-11-20T10:00:00.123Z'),
        '2026-11-20T12:00:00.123456+02:00',
        Date.parse('1900-01-01T00:00:00Z'),
        '9999-12-31T23:59:59.999999Z',
        null,
      ],
      [
        micros('2026-11-20T10:00:00.123Z'),
        new DuckDBTimestampTZValue(BigInt(Date.parse('2026-11-20T10:00:00.123Z')) * 1000n + 456n),
        micros('1900-01-01T00:00:00Z'),
        new DuckDBTimestampTZValue(BigInt(Date.parse('9999-12-31T23:59:59.999Z')) * 1000n + 999n),
        null,
      ],
    ],
    [
      'timestamp in milliseconds',
      'timestamp_ms',
      'TIMESTAMP WITH TIME ZONE',
      [new Date(1), '2026-11-20T10:00:00.5Z'],
      [new DuckDBTimestampTZValue(1000n), micros('2026-11-20T10:00:00.500Z')],
    ],
    [
      'decimal of 9 digits',
      { type: 'decimal', precision: 9, scale: 2 },
      'DECIMAL(9,2)',
      [1.1, '-9999999.99', 5n, null],
      [110n, -999999999n, 500n, null].map(units => (units === null ? null : new DuckDBDecimalValue(units, 9, 2))),
    ],
    [
      'decimal of 18 digits',
      { type: 'decimal', precision: 18, scale: 4 },
      'DECIMAL(18,4)',
      ['12345678901234.5678', 0.1, 1e3],
      [123456789012345678n, 1000n, 10000000n].map(units => new DuckDBDecimalValue(units, 18, 4)),
    ],
    [
      'decimal of 38 digits',
      { type: 'decimal', precision: 38, scale: 10 },
      'DECIMAL(38,10)',
      ['9999999999999999999999999999.9999999999', '-0.0000000001', '-9999999999999999999999999999.9999999999', null],
      [10n ** 38n - 1n, -1n, -(10n ** 38n) + 1n, null].map(units => (units === null ? null : new DuckDBDecimalValue(units, 38, 10))),
    ],
  ])('%s', async (_name, column, type, values, expected) => {
    const path = await write(column, values)
    expect(await read(path)).toEqual({ type, values: expected })
  })

  test('bytes, UUIDs and JSON', async () => {
    expect(await read(await write('bytes', [Buffer.from([0, 255, 1]), new Uint8Array(0), null]), 'hex(value)')).toEqual({
      type: 'BLOB',
      values: ['00FF01', '', null],
    })
    const uuid = '0188a9a0-7c3e-7f00-8000-0123456789ab'
    expect(await read(await write('uuid', [uuid, uuid.toUpperCase().replaceAll('-', '')]), 'value::varchar')).toEqual({
      type: 'UUID',
      values: [uuid, uuid],
    })
    const json = await read(await write('json', [{ a: [1, 'ü'] }, 'text', [], null]), 'value::varchar')
    expect(json).toEqual({ type: 'JSON', values: ['{"a":[1,"ü"]}', '"text"', '[]', null] })
  })

  test('where no value is missing it may be declared so, and then one that is missing is refused', async () => {
    const path = await write({ type: 'int32', nullable: false }, [1, 2, 3])
    expect(await read(path)).toEqual({ type: 'INTEGER', values: [1, 2, 3] })
    await expect(write({ type: 'int32', nullable: false }, [1, null])).rejects.toMatchObject({
      code: 'RECORD',
      message: expect.stringContaining('Row 2 of orders/3 [120, 180) (batch 7, output files), column value, cannot be written: it is null'),
      details: { row: 2, column: 'value' },
    })
  })
})

test('missing values lie where they lay, however many and wherever pages and row groups end', async () => {
  const pattern = fc.array(fc.record({ run: fc.integer({ min: 1, max: 3_000 }), isNull: fc.boolean() }), { minLength: 1, maxLength: 30 })
  await fc.assert(
    fc.asyncProperty(pattern, async runs => {
      const values = runs.flatMap(({ run, isNull }) => Array.from({ length: run }, (_, at) => (isNull ? null : at)))
      const path = await write('int32', values, 64 * 1024)
      expect((await read(path)).values).toEqual(values)
    }),
    { numRuns: 15 },
  )
})

describe('what a reader skips by', () => {
  test.each<[string, ParquetColumn, readonly unknown[], string]>([
    ['numbers of both signs', 'double', [-1, 0, 2.5], 'value < 0'],
    ['numbers with NaN among them', 'double', [1, Number.NaN, 2], 'value > 1e300'],
    ['the negative zero', 'double', [-0, 0], 'value = 0'],
    ['integers that no double holds', 'int64', [MAX64, MAX64 - 1n, 5], `value = ${MAX64 - 1n}`],
    ['text beyond sixteen bytes', 'string', ['aaaaaaaaaaaaaaaaaaaaaaab', 'aaaaaaaaaaaaaaaaaaaaaaaa'], "value = 'aaaaaaaaaaaaaaaaaaaaaaab'"],
    ['text that UTF-16 orders in another way', 'string', ['\uff5e', '😀'], "value = '😀'"],
    ['bytes of the highest values', 'bytes', [Buffer.alloc(20, 255), Buffer.alloc(20, 254)], "value = from_hex(repeat('FF', 20))"],
    ['a decimal', { type: 'decimal', precision: 38, scale: 2 }, ['0.01', '99999999999999999999.99'], 'value = 99999999999999999999.99'],
    [
      'microseconds',
      'timestamp',
      ['2026-11-20T10:00:00.000001Z', '2026-11-20T10:00:00.000002Z'],
      "value = '2026-11-20T10:00:00.000002Z'::timestamptz",
    ],
    ['dates before 1970', 'date', ['1950-05-05', '2000-01-01'], "value = '1950-05-05'::date"],
  ])('finds what is there: %s', async (_name, column, values, condition) => {
    const path = await write(column, values)
    const found = async (from: string) => (await duckdb(`select count(*) as rows from ${from} where ${condition}`))[0]?.rows
    // The same over rows that are read first, where no statistics help or mislead.
    const whole = await found(`(select value from read_parquet('${path}') limit 1000000)`)
    expect(await found(`read_parquet('${path}')`)).toBe(whole)
    expect(whole).toBeGreaterThan(0n)
  })
})

describe('a value that its column cannot take', () => {
  test.each<[ParquetColumn, unknown, string]>([
    ['int32', 2 ** 31, 'a whole number of 32 bits'],
    ['int32', 1.5, 'a whole number of 32 bits'],
    ['int64', 2 ** 53, 'beyond 2^53 as a BigInt or as text'],
    ['int64', 2n ** 63n, 'a whole number of 64 bits'],
    ['int64', '12x', 'a whole number of 64 bits'],
    ['float', 1e300, 'a number that 32 bits can hold'],
    ['double', '1.5', 'a number'],
    ['string', 5, 'text'],
    ['boolean', 1, 'true or false'],
    ['bytes', 'text', 'a Buffer or Uint8Array'],
    ['uuid', 'no uuid', 'the text of a UUID'],
    ['date', 20_000, 'a Date or a text such as 2024-02-29'],
    ['date', '2023-02-29', 'a Date or a text such as 2024-02-29'],
    ['timestamp', '2026-11-20T10:00:00', 'an ISO text with its zone'],
    ['timestamp', new Date(Number.NaN), 'an ISO text with its zone'],
    ['json', 5n, 'what JSON can say'],
    [{ type: 'decimal', precision: 4, scale: 2 }, 100, 'a decimal of at most 2 digits before the point and 2 behind it'],
    [{ type: 'decimal', precision: 4, scale: 2 }, '1.005', 'a decimal of at most 2 digits before the point and 2 behind it'],
  ])('is refused with row and column: %j of %s', async (column, value, expected) => {
    await expect(write(column, [null, value])).rejects.toMatchObject({
      code: 'RECORD',
      message: expect.stringMatching(/^Row 2 of orders\/3 \[120, 180\) \(batch 7, output files\), column value, cannot be written: /),
      details: { row: 2, column: 'value' },
    })
    await expect(write(column, [value])).rejects.toThrow(expected)
  })

  test('because the row is no object names the row', async () => {
    const sink = parquetSink<{ value: unknown }>({ directory: temporaryFolder(), columns: { value: 'int32' } })
    await expect(sink.write(task(), rowsOf([{ value: 1 }], [5 as never]), running)).rejects.toMatchObject({
      code: 'RECORD',
      message: expect.stringContaining('Row 2 of'),
      details: { row: 2 },
    })
  })
})

test('the options of columns say what is wrong', () => {
  const make = (columns: object) => () => parquetSink({ directory: 'out', columns: columns as never })
  expect(make({})).toThrow('parquetSink: columns')
  expect(make({ a: 'text' })).toThrow(/parquetSink: columns\.a is "text": expected a type \(string, int32/)
  expect(make({ a: { type: 'decimal', precision: 39, scale: 0 } })).toThrow(/columns\.a/)
})
