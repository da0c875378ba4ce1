import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { csvSink, jsonlSink, listFiles, parquetSink } from '../../../connectors/files/index.ts'
import type { Sink } from '../../../src/core/sink.ts'
import { duckdb } from '../../support/duckdb.ts'
import { drive, runBatch } from './batches.ts'
import { temporaryFolder } from './temporary-folder.ts'

type Row = { readonly id: number; readonly country: string | null; readonly at?: Date }

/** What a name of a folder has to survive: what Hive escapes, what file systems refuse, quotes, unicode, what looks like another value. */
const ODD_VALUES = [
  'DE',
  'de fr',
  'a/b',
  'a\\b',
  'a=b',
  '100%',
  '%41',
  'c:d',
  'q?*"\'<>|',
  'é中😀',
  'line\nbreak',
  '..',
  '.',
  'ends.',
  'ends ',
  '[x]{y}^#',
  '007',
  'true',
  '2026-01-01',
  '__HIVE_DEFAULT_PARTITION__',
  '../../up',
  '/etc/passwd',
  'null',
  'NULL',
  'x'.repeat(247),
]

const glob = (directory: string, pattern: string) => `'${directory.replaceAll("'", "''")}/${pattern}'`

describe('folders by a field', () => {
  const rows: Row[] = [...ODD_VALUES.map((country, id) => ({ id, country })), { id: 100, country: null }, { id: 101, country: '' }]
  const expected = rows.map(({ id, country }) => ({ id: BigInt(id), country: country === '' ? null : country }))

  test.each<[string, (directory: string) => Sink<Row>, (from: string) => string]>([
    [
      'Parquet',
      directory => parquetSink<Row>({ directory, columns: { id: 'int64' }, partitionBy: { country: 'country' } }),
      from => `read_parquet(${from}, hive_partitioning = true, hive_types = {'country': VARCHAR})`,
    ],
    [
      'CSV',
      directory => csvSink<Row>({ directory, columns: ['id'], partitionBy: { country: 'country' }, compression: 'gzip' }),
      from => `read_csv(${from}, header = true, columns = {id: 'BIGINT'}, hive_partitioning = true, hive_types = {'country': VARCHAR})`,
    ],
    [
      'JSONL',
      directory => jsonlSink<Row>({ directory, partitionBy: { country: row => row.country }, compression: 'zstd' }),
      from => `read_json(${from}, columns = {id: 'BIGINT'}, hive_partitioning = true, hive_types = {'country': VARCHAR})`,
    ],
  ])('are read back as a column by DuckDB, whatever the values: %s', async (_name, make, read) => {
    const directory = temporaryFolder()
    const sink = await drive(() => make(directory), 1, 0)
    await runBatch(sink, 1, [rows.slice(0, 7), rows.slice(7)])
    const [file] = await listFiles(directory)
    const extension = (file?.path ?? '').replace(/^.*?(\.[a-z.]+)$/, '$1')
    const found = await duckdb(`select id, country from ${read(glob(directory, `**/*${extension}`))} order by id`)
    expect(found).toEqual(expected)
  })

  test('are in the list with their values', async () => {
    const directory = temporaryFolder()
    const sink = await drive(() => jsonlSink<Row>({ directory, partitionBy: { country: 'country' } }), 1, 0)
    await runBatch(sink, 1, [rows])
    const values = (await listFiles(directory)).map(({ partition }) => partition?.country)
    expect(new Set(values)).toEqual(new Set(expected.map(({ country }) => country)))
    expect(values).toHaveLength(ODD_VALUES.length + 1)
  })
})

test('folders by time are named in UTC, by a pattern, and nest', async () => {
  const directory = temporaryFolder()
  const make = () =>
    parquetSink<Row>({
      directory,
      columns: { id: 'int32' },
      partitionBy: { dt: { time: 'at' }, hour: { time: row => row.at?.toISOString(), pattern: 'HH' }, country: 'country' },
    })
  const sink = await drive(make, 1, 0)
  const at = (text: string) => new Date(text)
  await runBatch(sink, 1, [
    [
      { id: 1, country: 'DE', at: at('2026-11-20T23:59:59.999Z') },
      { id: 2, country: 'DE', at: at('2026-11-21T00:00:00Z') },
      { id: 3, country: 'FR', at: at('2026-11-21T01:30:00+01:00') },
      { id: 4, country: 'FR' },
    ],
  ])
  const folders = (await listFiles(directory)).map(({ path }) =>
    path
      .slice(directory.length + 1)
      .split('/')
      .slice(0, -1)
      .join('/'),
  )
  expect(folders.sort()).toEqual([
    'dt=2026-11-20/hour=23/country=DE',
    'dt=2026-11-21/hour=00/country=DE',
    'dt=2026-11-21/hour=00/country=FR',
    'dt=__HIVE_DEFAULT_PARTITION__/hour=__HIVE_DEFAULT_PARTITION__/country=FR',
  ])
  const read = await duckdb(
    `select id, dt, country from read_parquet(${glob(directory, '**/*.parquet')}, hive_partitioning = true) where dt = '2026-11-21' order by id`,
  )
  expect(read.map(({ id, country }) => [id, country])).toEqual([
    [2, 'DE'],
    [3, 'FR'],
  ])
})

test('a task with many folders holds what it may in memory, has few files open, and loses no row', async () => {
  const directory = temporaryFolder()
  const make = () =>
    parquetSink<{ id: number; shard: number }>({
      directory,
      columns: { id: 'int32' },
      partitionBy: { shard: 'shard' },
      rowGroupBytes: 64 * 1024,
    })
  const sink = await drive(make, 1, 0)
  const rows = Array.from({ length: 60_000 }, (_, id) => ({ id, shard: (id * 7919) % 200 }))
  await runBatch(sink, 1, [rows])
  const files = await listFiles(directory)
  expect(files).toHaveLength(200)
  expect(files.reduce((sum, file) => sum + (file.rows ?? 0), 0)).toBe(rows.length)
  const sums = await duckdb(
    `select count(*) as rows, count(distinct id) as ids, sum(shard) as shards from read_parquet(${glob(directory, '**/*.parquet')}, hive_partitioning = true)`,
  )
  expect(sums).toEqual([{ rows: 60_000n, ids: 60_000n, shards: expect.anything() }])
  expect(String(sums[0]?.shards)).toBe(String(rows.reduce((sum, { shard }) => sum + shard, 0)))
})

describe('a row whose folder', () => {
  test('would be one too many is an error with the way out, and leaves nothing', async () => {
    const directory = temporaryFolder()
    const sink = await drive(() => jsonlSink<Row>({ directory, partitionBy: { id: 'id' }, maxOpenPartitions: 3 }), 1, 0)
    await expect(runBatch(sink, 1, [[0, 1, 0, 2, 3].map(id => ({ id, country: null }))])).rejects.toMatchObject({
      code: 'CONFIG',
      message: expect.stringMatching(
        /^Row 5 of orders\/0 \[0, 100\) .* goes into id=3, which is folder 4 of this task. Partition by something coarser, or raise maxOpenPartitions/,
      ),
    })
    expect(readdirSync(join(directory, '_tidemark', 'attempts'))).toEqual([])
  })

  test.each<[string, unknown]>([
    ['an object', {}],
    ['a list', [1]],
    ['a Date that is none', new Date(Number.NaN)],
  ])('is named by %s is refused with its row', async (_name, value) => {
    const sink = await drive(
      () => jsonlSink<{ by: unknown }>({ directory: temporaryFolder(), partitionBy: { by: row => row.by as string } }),
      1,
      0,
    )
    await expect(runBatch(sink, 1, [[{ by: 'x' }, { by: value }]])).rejects.toMatchObject({ code: 'RECORD', details: { row: 2 } })
  })

  test('is named by a time without a zone is refused', async () => {
    const sink = await drive(() => jsonlSink<{ at: string }>({ directory: temporaryFolder(), partitionBy: { dt: { time: 'at' } } }), 1, 0)
    await expect(runBatch(sink, 1, [[{ at: '2026-11-20T10:00:00' }]])).rejects.toThrow('an ISO text with its zone')
  })
})

test.each([
  [{ partitionBy: {} }, 'expected one folder at least'],
  [{ partitionBy: { dt: { time: 'at', pattern: 'DD' } } }, 'partitionBy.dt'],
  [{ partitionBy: { dt: 5 } }, 'partitionBy.dt'],
  [{ maxOpenPartitions: 0 }, 'maxOpenPartitions is 0'],
])('options that make no folders are refused: %j', (options, message) => {
  expect(() => jsonlSink({ directory: 'out', ...(options as object) })).toThrow(message)
})

describe('a name of a folder', () => {
  const open = (directory: string) => () => jsonlSink<{ country: string }>({ directory, partitionBy: { country: 'country' }, rollBytes: 1 })

  test('is as long as file systems take, in bytes and with its escapes', async () => {
    const directory = temporaryFolder()
    const sink = await drive(open(directory), 1, 0)
    const rows = ['x'.repeat(247), 'é'.repeat(123), '/'.repeat(82)].map(country => ({ country }))
    await runBatch(sink, 1, [rows])
    expect((await listFiles(directory)).map(({ partition }) => partition)).toEqual(rows)
  })

  test.each(['x'.repeat(248), 'é'.repeat(124), '/'.repeat(83)])(
    'that would be longer is refused with its row, before the row is in a part that can be put nowhere: %#',
    async country => {
      const directory = temporaryFolder()
      const sink = await drive(open(directory), 1, 0)
      await expect(runBatch(sink, 1, [[{ country: 'DE' }, { country }]])).rejects.toMatchObject({
        name: 'RecordError',
        message: expect.stringMatching(/^Row 2 of orders\/0 .* a value for country that makes the name of a folder/),
      })
      await runBatch(sink, 1, [[{ country: 'DE' }]])
      expect(await listFiles(directory)).toHaveLength(1)
    },
  )

  test('is one that the file system and the manifest agree on, also of text that is not well formed', async () => {
    const directory = temporaryFolder()
    const sink = await drive(open(directory), 1, 0)
    await runBatch(sink, 1, [[{ country: 'a\ud800' }, { country: 'a\ufffd' }]])
    expect(await listFiles(directory)).toMatchObject([{ rows: 2, partition: { country: 'a\ufffd' } }])
  })
})

describe('a path of folders', () => {
  const levels = Array.from({ length: 17 }, (_, nth) => `level${nth}`)
  const rowOf = (value: string) => Object.fromEntries(levels.map(level => [level, value]))
  const open = (directory: string) => () =>
    jsonlSink<Readonly<Record<string, string>>>({ directory, partitionBy: Object.fromEntries(levels.map(level => [level, level])) })

  test('that the system does not take is refused with its row, before the row is in a part that can be put nowhere', async () => {
    const directory = temporaryFolder()
    const sink = await drive(open(directory), 1, 0)
    await expect(runBatch(sink, 1, [[rowOf('a'), rowOf('x'.repeat(240))]])).rejects.toMatchObject({
      name: 'RecordError',
      message: expect.stringMatching(/^Row 2 of orders\/0 .* a file needs folders whose path this system takes/),
      details: { row: 2 },
    })
    await runBatch(sink, 1, [[rowOf('a'), rowOf('x'.repeat(20))]])
    expect((await listFiles(directory)).map(({ rows }) => rows)).toEqual([1, 1])
  })
})

test('a function that fails on a row is told with the row', async () => {
  const make = () =>
    jsonlSink<{ address?: { country: string } }>({
      directory: temporaryFolder(),
      partitionBy: { country: row => (row.address as { country: string }).country },
    })
  const sink = await drive(make, 1, 0)
  await expect(runBatch(sink, 1, [[{ address: { country: 'DE' } }, {}]])).rejects.toMatchObject({
    code: 'RECORD',
    message: expect.stringMatching(/^Row 2 of orders\/0 .* has no folder: partitionBy failed on it: Cannot read properties of undefined/),
    details: { row: 2 },
  })
})
