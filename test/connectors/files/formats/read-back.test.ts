import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { csvSink, jsonlSink, listFiles, parquetSink } from '../../../../connectors/files/index.ts'
import type { Sink } from '../../../../src/core/sink.ts'
import { duckdb, sqlList } from '../../../support/duckdb.ts'
import { completed, context, mark, rowsOf, running, task } from '../files-task.ts'
import { temporaryFolder } from '../temporary-folder.ts'

type Row = { readonly id: number; readonly text: string | null; readonly amount: number | null; readonly isOpen: boolean | null }

const ODD_TEXTS = [
  'plain',
  '',
  ' leads and ends with a space ',
  'a, comma',
  'a "quote"',
  '"',
  'two\nlines',
  'two\r\nlines',
  'tab\there',
  'é€😀 中文 \u202e',
  "it's; -- drop",
  '\\N',
  'NULL',
  'null',
  '{"json": true}',
  'x'.repeat(10_000),
]
const ODD_ROWS: Row[] = [
  ...ODD_TEXTS.map((text, id) => ({ id, text, amount: id / 7, isOpen: id % 2 === 0 })),
  { id: 100, text: null, amount: null, isOpen: null },
  { id: Number.MAX_SAFE_INTEGER, text: 'large', amount: -1.5e300, isOpen: true },
  { id: Number.MIN_SAFE_INTEGER, text: 'small', amount: 5e-324, isOpen: false },
]

/** Writes one task and gives the one file of it. */
async function writeOne(sink: Sink<Row>, directory: string, arrays: readonly (readonly Row[])[]): Promise<string> {
  await sink.prepare?.(context())
  await sink.fence?.(mark())
  await sink.write(task(), rowsOf(...arrays), running)
  await sink.commitBatch?.(completed())
  await sink.close?.()
  const files = await listFiles(directory)
  expect(files).toHaveLength(1)
  return files[0]?.path ?? ''
}

const TYPES = "{id: 'BIGINT', text: 'VARCHAR', amount: 'DOUBLE', isOpen: 'BOOLEAN'}"
const asRead = (rows: readonly Row[]) => rows.map(row => ({ ...row, id: BigInt(row.id) }))

const FORMATS = [
  ...(['none', 'gzip', 'zstd'] as const).flatMap(compression => [
    {
      name: `JSONL, ${compression}`,
      sink: (directory: string) => jsonlSink<Row>({ directory, compression }),
      read: (path: string) => `read_json('${path}', format = 'newline_delimited', columns = ${TYPES}, maximum_object_size = 16777216)`,
    },
    {
      name: `CSV, ${compression}`,
      sink: (directory: string) => csvSink<Row>({ directory, compression, columns: ['id', 'text', 'amount', 'isOpen'] }),
      read: (path: string) =>
        `read_csv('${path}', header = true, auto_detect = false, delim = ',', quote = '"', escape = '"', allow_quoted_nulls = false, columns = ${TYPES})`,
    },
  ]),
  ...(['none', 'snappy', 'gzip', 'zstd'] as const).map(compression => ({
    name: `Parquet, ${compression}`,
    sink: (directory: string) =>
      parquetSink<Row>({ directory, compression, columns: { id: 'int64', text: 'string', amount: 'double', isOpen: 'boolean' } }),
    read: (path: string) => `read_parquet('${path}')`,
  })),
]

describe.each(FORMATS)('DuckDB reads $name', ({ sink, read }) => {
  test('row for row: quotes, line ends, unicode, missing values, the extremes of numbers', async () => {
    const directory = temporaryFolder()
    const path = await writeOne(sink(directory), directory, [ODD_ROWS.slice(0, 5), [], ODD_ROWS.slice(5)])
    expect(await duckdb(`select * from ${read(path)}`)).toEqual(asRead(ODD_ROWS))
  })

  test('of more rows than are held in memory at a time', async () => {
    const directory = temporaryFolder()
    const arrays = Array.from({ length: 60 }, (_, array) =>
      Array.from({ length: 1024 }, (_, at) => {
        const id = array * 1024 + at
        return {
          id,
          text: `${id}-${'x'.repeat(id % 90)}`,
          amount: id % 3 === 0 ? null : id / 3,
          isOpen: id % 5 === 0 ? null : id % 2 === 0,
        }
      }),
    )
    const path = await writeOne(sink(directory), directory, arrays)
    expect(await duckdb(`select * from ${read(path)} order by id`)).toEqual(asRead(arrays.flat()))
  })

  test('of a range without rows as an empty table', async () => {
    const directory = temporaryFolder()
    const path = await writeOne(sink(directory), directory, [])
    expect(await duckdb(`select count(*) as rows from ${read(path)}`)).toEqual([{ rows: 0n }])
  })

  test('whatever the rows are', async () => {
    const row = fc.record({
      id: fc.maxSafeInteger(),
      // NUL ends a text in CSV readers, and half a surrogate pair is no text in UTF-8.
      text: fc.option(
        fc.string({ unit: 'grapheme' }).map(text => text.replaceAll('\0', '')),
        { freq: 4 },
      ),
      amount: fc.option(fc.double({ noNaN: true, noDefaultInfinity: true }), { freq: 4 }),
      isOpen: fc.option(fc.boolean(), { freq: 4 }),
    })
    await fc.assert(
      fc.asyncProperty(fc.array(fc.array(row, { maxLength: 50 }), { maxLength: 5 }), async arrays => {
        const directory = temporaryFolder()
        const path = await writeOne(sink(directory), directory, arrays)
        const read_ = await duckdb(`select * from ${read(path)}`)
        // JSON knows no -0, and its readers may drop the sign.
        const plain = (amount: unknown) => (amount === 0 ? 0 : amount)
        expect(read_.map(each => ({ ...each, amount: plain(each.amount) }))).toEqual(
          asRead(arrays.flat()).map(each => ({ ...each, amount: plain(each.amount) })),
        )
      }),
      { numRuns: 8 },
    )
  })
})

describe('CSV', () => {
  test('takes another delimiter, leaves the header out, and writes what is no plain value as JSON', async () => {
    const directory = temporaryFolder()
    const sink = csvSink<{ a: unknown; b: unknown }>({ directory, columns: ['b', 'a'], header: false, delimiter: ';' })
    await sink.write(
      task(),
      rowsOf([
        { a: [1, { x: ';' }], b: new Date(0) },
        { a: 12n, b: ';' },
      ]),
      running,
    )
    const text = readFileSync(join(directory, 'orders', '3', '0000000000000120-0000000000000180-b7.csv'), 'utf8')
    expect(text).toBe('1970-01-01T00:00:00.000Z;"[1,{""x"":"";""}]"\n";";12\n')
  })

  test.each([...",;|\t :+-.#/*$^]~\\'!%&()<=>?@[`{}", '·'])(
    'is read back by its delimiter, whatever a value has in it: %j',
    async delimiter => {
      const directory = temporaryFolder()
      type Cells = {
        readonly big: number
        readonly least: number
        readonly whole: bigint
        readonly at: Date
        readonly is: boolean
        readonly text: string
      }
      const columns = ['big', 'least', 'whole', 'at', 'is', 'text'] as const
      const row: Cells = { big: 1e21, least: -5e-324, whole: -7n, at: new Date(0), is: true, text: `a${delimiter}b` }
      const sink = csvSink<Cells>({ directory, columns, delimiter })
      await sink.write(task(), rowsOf([row, { ...row, text: delimiter }]), running)
      const names = columns.map(name => `'${name}': 'VARCHAR'`).join(', ')
      const options = `header = true, auto_detect = false, delim = '${delimiter.replace("'", "''")}', quote = '"', escape = '"', columns = {${names}}`
      const path = join(directory, 'orders', '3', '0000000000000120-0000000000000180-b7.csv')
      const read = { big: '1e+21', least: '-5e-324', whole: '-7', at: '1970-01-01T00:00:00.000Z', is: 'true', text: `a${delimiter}b` }
      expect(await duckdb(`select * from read_csv('${path}', ${options})`)).toEqual([read, { ...read, text: delimiter }])
    },
  )

  test.each([
    [
      'bytes',
      Buffer.from('x'),
      /Row 2 of orders\/3 \[120, 180\) \(batch 7, output files\), column a, cannot be written: it is an object, and a file needs text: bytes/,
    ],
    ['a function', () => 1, /column a, cannot be written: it is a function/],
    ['a Date that is none', new Date(Number.NaN), /a date that is valid/],
  ])('refuses %s, naming row and column', async (_name, value, message) => {
    const sink = csvSink<{ a: unknown }>({ directory: temporaryFolder(), columns: ['a'] })
    const failed = sink.write(task(), rowsOf([{ a: 1 }], [{ a: value }]), running)
    await expect(failed).rejects.toMatchObject({
      code: 'RECORD',
      message: expect.stringMatching(message),
      details: { row: 2, column: 'a' },
    })
  })
})

test('files of a compressed output are found by their patterns, and joined by nothing but their list', async () => {
  const directory = temporaryFolder()
  const path = await writeOne(jsonlSink<Row>({ directory, compression: 'gzip' }), directory, [ODD_ROWS])
  expect(path).toMatch(/orders\/3\/0{13}120-0{13}180-b7\.jsonl\.gz$/)
  expect(await duckdb(`select count(*) as rows from read_json(${sqlList([path])}, columns = ${TYPES})`)).toEqual([
    { rows: BigInt(ODD_ROWS.length) },
  ])
})
