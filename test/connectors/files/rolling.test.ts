import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { csvSink, jsonlSink, listFiles, parquetSink } from '../../../connectors/files/index.ts'
import type { Clock } from '../../../src/core/clock.ts'
import type { Sink } from '../../../src/core/sink.ts'
import { ManualClock } from '../../../src/testing/index.ts'
import { duckdb, sqlList } from '../../support/duckdb.ts'
import { batchOf, drive, runBatch } from './batches.ts'
import { completed, task } from './files-task.ts'
import { temporaryFolder } from './temporary-folder.ts'

type Row = { readonly id: number; readonly note: string | null }

const rowsOfBatch = (batch: number, partition: number, count = 10): Row[] =>
  Array.from({ length: count }, (_, at) => ({
    id: batch * 1_000 + partition * 100 + at,
    note: at % 3 === 0 ? null : `"${at}",\n${'x'.repeat(at)}`,
  }))

const COLUMNS = "{id: 'BIGINT', note: 'VARCHAR'}"
const KINDS: readonly [string, (directory: string, roll: object) => Sink<Row>, (list: string) => string][] = [
  [
    'Parquet',
    (directory, roll) => parquetSink<Row>({ directory, columns: { id: 'int64', note: 'string' }, ...roll }),
    list => `read_parquet(${list})`,
  ],
  [
    'Parquet, zstd',
    (directory, roll) => parquetSink<Row>({ directory, columns: { id: 'int64', note: 'string' }, compression: 'zstd', ...roll }),
    list => `read_parquet(${list})`,
  ],
  ...(['none', 'gzip', 'zstd'] as const).flatMap<(typeof KINDS)[number]>(compression => [
    [
      `JSONL, ${compression}`,
      (directory, roll) => jsonlSink<Row>({ directory, compression, ...roll }),
      list =>
        `read_json(${list}, format = 'newline_delimited', compression = '${compression === 'none' ? 'uncompressed' : compression}', columns = ${COLUMNS})`,
    ],
    [
      `CSV, ${compression}`,
      (directory, roll) => csvSink<Row>({ directory, compression, columns: ['id', 'note'], ...roll }),
      list =>
        `read_csv(${list}, header = true, auto_detect = false, quote = '"', escape = '"', allow_quoted_nulls = false, compression = '${compression === 'none' ? 'uncompressed' : compression}', columns = ${COLUMNS})`,
    ],
  ]),
]

const inOrder = (rows: readonly Row[]) => [...rows].sort((a, b) => a.id - b.id).map(({ id, note }) => ({ id: BigInt(id), note }))

async function readAll(directory: string, read: (list: string) => string): Promise<unknown[]> {
  const files = await listFiles(directory)
  return files.length === 0 ? [] : duckdb(`select id, note from ${read(sqlList(files.map(({ path }) => path)))} order by id`)
}

/** Files a pattern finds, as somebody sees them who knows of no manifest. */
function visible(directory: string): string[] {
  const all = readdirSync(directory, { recursive: true, withFileTypes: true }).filter(entry => entry.isFile())
  return all
    .map(entry => join(entry.parentPath, entry.name).slice(directory.length + 1))
    .filter(path => /\.(parquet|csv|jsonl)(\.gz|\.zst)?$/.test(path))
}

describe.each(KINDS)('batches put together: %s', (_name, make, read) => {
  test('count when they are committed, and are the same rows before and after they are one file', async () => {
    const directory = temporaryFolder()
    const open = () => make(directory, { rollBytes: 1e9 })
    const sink = await drive(open, 1, 0)
    const expected: Row[] = []
    for (let batch = 1; batch <= 5; batch++) {
      const byTask = [rowsOfBatch(batch, 0), batch === 3 ? [] : rowsOfBatch(batch, 1)]
      await runBatch(sink, batch, byTask, { commit: false })
      expect(await readAll(directory, read)).toEqual(inOrder(expected))
      expected.push(...byTask.flat())
      await runBatch(sink, batch, byTask)
      expect(await readAll(directory, read)).toEqual(inOrder(expected))
    }
    expect(visible(directory)).toEqual([])
    expect((await listFiles(directory)).every(({ isPart }) => isPart)).toBe(true)

    await sink.close?.()
    const files = await listFiles(directory)
    expect(files).toMatchObject([{ isPart: false, batches: [1, 5], rows: expected.length }])
    expect(visible(directory)).toHaveLength(1)
    expect(await readAll(directory, read)).toEqual(inOrder(expected))
  })
})

const open =
  (directory: string, roll: object = { rollBytes: 1 }, clock?: Clock) =>
  () =>
    parquetSink<Row>({ directory, columns: { id: 'int64', note: 'string' }, ...roll }, clock)
const read = (list: string) => `read_parquet(${list})`

describe('parts become a file', () => {
  test('when there are about as many bytes as were asked for', async () => {
    const directory = temporaryFolder()
    const sink = await drive(open(directory, { rollBytes: 1_500 }), 1, 0)
    const counts: number[] = []
    for (let batch = 1; batch <= 8; batch++) {
      await runBatch(sink, batch, [rowsOfBatch(batch, 0)])
      counts.push(visible(directory).length)
    }
    expect(counts[0]).toBe(0)
    expect(counts.at(-1)).toBeGreaterThan(0)
    for (const file of (await listFiles(directory)).filter(({ isPart }) => !isPart))
      expect(file.batches[1]).toBeGreaterThan(file.batches[0])
    expect(await readAll(directory, read)).toEqual(inOrder(Array.from({ length: 8 }, (_, at) => rowsOfBatch(at + 1, 0)).flat()))
  })

  test('when the oldest has waited as long as was asked for, by the times of the batches', async () => {
    const directory = temporaryFolder()
    const sink = await drive(open(directory, { rollMs: 3_000 }), 1, 0)
    for (const batch of [1, 2, 3]) await runBatch(sink, batch, [rowsOfBatch(batch, 0)])
    expect(visible(directory)).toEqual([])
    await runBatch(sink, 4, [rowsOfBatch(4, 0)])
    expect(await listFiles(directory)).toMatchObject([{ batches: [1, 4], isPart: false }])
  })

  test('with others of the same columns only: a job that was changed begins new ones', async () => {
    const directory = temporaryFolder()
    const before = await drive(open(directory, { rollBytes: 1e9 }), 1, 0)
    await runBatch(before, 1, [rowsOfBatch(1, 0)])
    const make = () =>
      parquetSink<Row & { more: number }>({ directory, columns: { id: 'int64', note: 'string', more: 'int32' }, rollBytes: 1e9 })
    const after = await drive(make, 2, 1)
    await runBatch(after, 2, [rowsOfBatch(2, 0).map(row => ({ ...row, more: 1 }))], { epoch: 2 })
    await after.close?.()
    expect((await listFiles(directory)).map(({ batches }) => batches)).toEqual([
      [1, 1],
      [2, 2],
    ])
    const all = await duckdb(
      `select count(more) as more, count(*) as rows from read_parquet(${sqlList(visible(directory).map(path => join(directory, path)))}, union_by_name = true)`,
    )
    expect(all).toEqual([{ more: 10n, rows: 20n }])
  })

  test('and go themselves later, never those of the batch that its store may not have committed yet', async () => {
    const directory = temporaryFolder()
    const clock = new ManualClock()
    const sink = await drive(open(directory, { rollBytes: 1, keepReplacedMs: 1_500 }, clock), 1, 0)
    const seen: number[][] = []
    for (let batch = 1; batch <= 5; batch++) {
      await runBatch(sink, batch, [rowsOfBatch(batch, 0)])
      seen.push(partsOf(directory))
      expect(await sink.applied?.(task({ batchId: batch, range: batchOf(batch, 1).ranges[0] ?? {} }))).toBe(true)
      await clock.advance(1_000)
    }
    expect(seen).toEqual([[1], [1, 2], [2, 3], [3, 4], [4, 5]])
  })
})

/** The batches that have parts on disk. */
const partsOf = (directory: string) => readdirSync(join(directory, '_tidemark', 'parts')).map(name => Number(name.slice(1)))

describe('parts that were put together stay for those who have them in a list', () => {
  const keep = { rollBytes: 1e9, keepReplacedMs: 60_000 }

  /** Batches that wait as parts, the list of them, and the end of the run, which makes a file of them. */
  async function listedThenRolled(batches: number, clock: ManualClock, between = async () => {}) {
    const directory = temporaryFolder()
    const sink = await drive(open(directory, keep, clock), 1, 0)
    for (let batch = 1; batch <= batches; batch++) await runBatch(sink, batch, [rowsOfBatch(batch, 0)])
    const paths = (await listFiles(directory)).map(({ path }) => path)
    await between()
    await sink.close?.()
    return { directory, isReadable: () => paths.every(path => existsSync(path)) }
  }

  test.each([3, 120])('over restarts, however short the runs are, and no longer than was asked for: %i batches', async batches => {
    const clock = new ManualClock()
    const { directory, isReadable } = await listedThenRolled(batches, clock)
    for (let run = 1; run <= 5; run++) {
      await clock.advance(11_000)
      // A part for each run, so that the versions of the manifest go on, and one file at each end.
      const sink = await drive(open(directory, keep, clock), 1 + run, batches + run - 1)
      expect(isReadable()).toBe(true)
      await runBatch(sink, batches + run, [rowsOfBatch(batches + run, 0)], { epoch: 1 + run })
      expect(isReadable()).toBe(true)
      await sink.close?.()
    }
    await clock.advance(11_000)
    await drive(open(directory, keep, clock), 7, batches + 5)
    expect(isReadable()).toBe(false)
    expect(partsOf(directory)).toEqual([1, 2, 3, 4, 5].map(run => batches + run))
  })

  test('from when it was done, and not from when their batch was, which may be long ago', async () => {
    const clock = new ManualClock()
    const { directory, isReadable } = await listedThenRolled(3, clock, () => clock.advance(3_600_000))
    const sink = await drive(open(directory, keep, clock), 2, 3)
    await runBatch(sink, 4, [rowsOfBatch(4, 0)], { epoch: 2 })
    expect(isReadable()).toBe(true)
    await clock.advance(60_000)
    await runBatch(sink, 5, [rowsOfBatch(5, 0)], { epoch: 2 })
    expect(isReadable()).toBe(false)
    expect(partsOf(directory)).toEqual([4, 5])
  })

  test('also where the next start writes a file a range, and a clock that was ahead keeps none for ever', async () => {
    const ahead = new ManualClock(Date.UTC(2030, 0, 1))
    const { directory, isReadable } = await listedThenRolled(3, ahead)
    const clock = new ManualClock(Date.UTC(2026, 0, 1))
    const sink = await drive(open(directory, { keepReplacedMs: 60_000 }, clock), 2, 3)
    await clock.advance(59_000)
    await runBatch(sink, 4, [rowsOfBatch(4, 0)], { epoch: 2 })
    expect(isReadable()).toBe(true)
    await clock.advance(1_000)
    await runBatch(sink, 5, [rowsOfBatch(5, 0)], { epoch: 2 })
    expect(isReadable()).toBe(false)
    expect(partsOf(directory)).toEqual([])
    expect((await readAll(directory, read)).length).toBe(50)
  })
})

describe('a batch', () => {
  test('that is committed a second time, after a crash, counts once', async () => {
    const directory = temporaryFolder()
    await runBatch(await drive(open(directory), 1, 0), 1, [rowsOfBatch(1, 0), rowsOfBatch(1, 1)])
    const next = await drive(open(directory), 2, 0, { lastBegun: 1 })
    await runBatch(next, 1, [rowsOfBatch(1, 0), rowsOfBatch(1, 1)], { epoch: 2 })
    await runBatch(next, 2, [rowsOfBatch(2, 0)], { epoch: 2 })
    expect(await readAll(directory, read)).toEqual(inOrder([...rowsOfBatch(1, 0), ...rowsOfBatch(1, 1), ...rowsOfBatch(2, 0)]))
    expect(visible(directory)).toHaveLength(2)
  })

  test('of which a task is not to be seen is not published: it is tried again', async () => {
    const directory = temporaryFolder()
    const sink = await drive(open(directory), 1, 0)
    await runBatch(sink, 1, [rowsOfBatch(1, 0)], { commit: false })
    const batch = completed({ id: 1, ...batchOf(1, 2), facts: { tasks: { files: 2 } } })
    await expect(sink.commitBatch?.(batch)).rejects.toMatchObject({
      retryable: true,
      message: expect.stringMatching(/Batch 1 of output files has 2 tasks, and 1 of them are to be seen/),
    })
    expect(await listFiles(directory)).toEqual([])
  })

  test('whose task is there with another range is a conflict and never a skip', async () => {
    const directory = temporaryFolder()
    const sink = await drive(open(directory), 1, 0)
    await runBatch(sink, 1, [rowsOfBatch(1, 0)], { commit: false })
    await expect(sink.applied?.(task({ batchId: 1, range: { partition: 0, fromOffset: 0, untilOffset: 99 } }))).rejects.toMatchObject({
      name: 'LedgerConflictError',
      message: expect.stringMatching(/is orders\/0 \[0, 99\), and .* has it as orders\/0 \[0, 100\)/),
    })
  })
})

describe('what a driver that was killed leaves', () => {
  const expected = inOrder([...rowsOfBatch(1, 0), ...rowsOfBatch(2, 0), ...rowsOfBatch(3, 0)])

  /** Two batches, the second put together; `undo` makes of it what a crash at some point leaves. The next driver brings the third. */
  async function recoverAfter(undo: (directory: string, file: string) => void): Promise<string> {
    const directory = temporaryFolder()
    const sink = await drive(open(directory), 1, 0)
    await runBatch(sink, 1, [rowsOfBatch(1, 0)])
    await runBatch(sink, 2, [rowsOfBatch(2, 0)])
    undo(directory, (await listFiles(directory)).at(-1)?.path ?? '')
    const next = await drive(open(directory), 2, 1, { lastBegun: 2 })
    await runBatch(next, 2, [rowsOfBatch(2, 0)], { epoch: 2 })
    await runBatch(next, 3, [rowsOfBatch(3, 0)], { epoch: 2 })
    expect(await readAll(directory, read)).toEqual(expected)
    const glob = await duckdb(`select id, note from read_parquet('${directory}/**/*.parquet') order by id`)
    expect(glob).toEqual(expected)
    return directory
  }

  const lastVersion = (directory: string) => join(directory, '_tidemark', 'manifest', '0000000000000002.json')

  test('between the rename and the manifest: a file that does not count, which goes', async () => {
    const directory = await recoverAfter(path => rmSync(lastVersion(path)))
    expect(visible(directory)).toHaveLength(3)
  })

  test('before the rename: parts, and a file aside, which goes', async () => {
    const directory = await recoverAfter((path, file) => {
      rmSync(lastVersion(path))
      rmSync(file)
      writeFileSync(join(path, '_tidemark', 'attempts', 'e1-roll-0.tmp'), 'half')
    })
    expect(readdirSync(join(directory, '_tidemark', 'attempts'))).toEqual([])
  })

  test('behind the manifest: parts that no longer count, which go', async () => {
    const directory = await recoverAfter(() => {})
    await drive(open(directory), 3, 3)
    expect(readdirSync(join(directory, '_tidemark', 'parts'))).toEqual([])
  })

  test('of a batch that was discarded: parts that never count, which go', async () => {
    const directory = temporaryFolder()
    await runBatch(await drive(open(directory), 1, 0), 1, [rowsOfBatch(1, 0)], { commit: false })
    const next = await drive(open(directory), 2, 1)
    await runBatch(next, 2, [rowsOfBatch(2, 0)], { epoch: 2 })
    expect(readdirSync(join(directory, '_tidemark', 'parts'))).toEqual(['b0000000000000002'])
    expect(await readAll(directory, read)).toEqual(inOrder(rowsOfBatch(2, 0)))
  })
})

describe('a driver that was replaced', () => {
  test.each(['writes', 'publishes'] as const)('%s nothing more, and what it had rolled aside goes nowhere', async what => {
    const directory = temporaryFolder()
    const old = await drive(open(directory), 1, 0)
    await runBatch(old, 1, [rowsOfBatch(1, 0)])
    if (what === 'publishes') await runBatch(old, 2, [rowsOfBatch(2, 0)], { commit: false })
    const before = await listFiles(directory)
    const next = await drive(open(directory), 2, 1, { lastBegun: 2 })
    await expect(runBatch(old, 2, [rowsOfBatch(2, 0)])).rejects.toMatchObject({ code: 'FENCED' })
    expect(await listFiles(directory)).toEqual(before)
    await expect(old.close?.()).resolves.toBeUndefined()
    await runBatch(next, 2, [rowsOfBatch(2, 0)], { epoch: 2 })
    expect(await readAll(directory, read)).toEqual(inOrder([...rowsOfBatch(1, 0), ...rowsOfBatch(2, 0)]))
    expect(visible(directory)).toHaveLength(2)
  })

  test('while it puts parts together leaves the list and the folders as they were', async () => {
    const directory = temporaryFolder()
    const old = await drive(open(directory, { rollBytes: 1e9 }), 1, 0)
    await runBatch(old, 1, [rowsOfBatch(1, 0)])
    const next = await drive(open(directory, { rollBytes: 1e9 }), 2, 1)
    // Its end puts together what waits; that is its successor's now.
    await expect(old.close?.()).resolves.toBeUndefined()
    expect(visible(directory)).toEqual([])
    await next.close?.()
    expect(await listFiles(directory)).toMatchObject([{ isPart: false, rows: 10 }])
  })
})

describe('twins', () => {
  test('leave one folder of parts with every row once', async () => {
    const directory = temporaryFolder()
    const one = await drive(open(directory), 1, 0)
    const other = open(directory)()
    await Promise.all([one, other].map(sink => runBatch(sink, 1, [rowsOfBatch(1, 0)], { commit: false })))
    await runBatch(one, 1, [rowsOfBatch(1, 0)])
    expect(await readAll(directory, read)).toEqual(inOrder(rowsOfBatch(1, 0)))
    expect(readdirSync(join(directory, '_tidemark', 'attempts'))).toEqual([])
  })
})

test('a part that somebody cut is not put together in silence', async () => {
  const directory = temporaryFolder()
  const sink = await drive(open(directory, { rollBytes: 1e9 }), 1, 0)
  await runBatch(sink, 1, [rowsOfBatch(1, 0)])
  const [part] = await listFiles(directory)
  const path = part?.path ?? ''
  writeFileSync(path, readFileSync(path).subarray(0, 100))
  await expect(sink.close?.()).rejects.toThrow('it was cut or replaced')
  expect(existsSync(path)).toBe(true)
})

test('a replay goes beside, with the same options', async () => {
  const directory = temporaryFolder()
  const replay = open(directory)().forStream?.('orders~replay-1')
  expect(replay?.name).toBe(`files:${directory}~replay-1`)
  const sink = await drive(() => replay as Sink<Row>, 1, 0)
  await runBatch(sink, 1, [rowsOfBatch(1, 0)])
  expect(visible(`${directory}~replay-1`)).toHaveLength(1)
  rmSync(`${directory}~replay-1`, { recursive: true })
})
