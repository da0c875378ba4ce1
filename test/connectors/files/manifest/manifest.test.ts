import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { jsonlSink, listFiles, parquetSink } from '../../../../connectors/files/index.ts'
import { duckdb } from '../../../support/duckdb.ts'
import { batchOf, drive, runBatch } from '../batches.ts'
import { completed } from '../files-task.ts'
import { temporaryFolder } from '../temporary-folder.ts'

const versions = (directory: string) => readdirSync(join(directory, '_tidemark', 'manifest')).sort()
const open = (directory: string) => () => jsonlSink<number>({ directory })

describe('a file a range', () => {
  test('is in the list when its batch is committed, with all others of the batch, and empty ones too', async () => {
    const directory = temporaryFolder()
    const sink = await drive(open(directory), 1, 0)
    expect(await listFiles(directory)).toEqual([])
    await runBatch(sink, 1, [[1], [], [3]], { commit: false })
    expect(await listFiles(directory)).toEqual([])
    await runBatch(sink, 1, [[1], [], [3]])
    expect(await listFiles(directory)).toMatchObject([
      {
        batches: [1, 1],
        format: 'jsonl',
        bytes: 2,
        isPart: false,
        range: { topic: 'orders', partition: 0, fromOffset: 0, untilOffset: 100 },
      },
      { bytes: 0, range: { partition: 1 } },
      { bytes: 2, range: { partition: 2 } },
    ])
  })

  test('that is not to be seen when its batch is committed keeps the batch from counting', async () => {
    const directory = temporaryFolder()
    const sink = await drive(open(directory), 1, 0)
    await runBatch(sink, 1, [[1]], { commit: false })
    await expect(sink.commitBatch?.(completed({ id: 1, ...batchOf(1, 2), facts: { tasks: { files: 2 } } }))).rejects.toMatchObject({
      retryable: true,
    })
    expect(await listFiles(directory)).toEqual([])
  })

  test('of a range that belongs to another output of the job is nobody’s loss', async () => {
    const directory = temporaryFolder()
    const sink = await drive(open(directory), 1, 0)
    await runBatch(sink, 1, [[1]], { commit: false })
    await sink.commitBatch?.(completed({ id: 1, ...batchOf(1, 2), facts: { tasks: { files: 1, others: 1 } } }))
    expect(await listFiles(directory)).toHaveLength(1)
  })

  test('that is taken away drops out of the list, and out of the manifest with its next snapshot', async () => {
    const directory = temporaryFolder()
    const sink = await drive(open(directory), 1, 0)
    for (let batch = 1; batch <= 3; batch++) await runBatch(sink, batch, [[batch]])
    const [first] = await listFiles(directory)
    rmSync(first?.path ?? '')
    expect((await listFiles(directory)).map(({ batches }) => batches[0])).toEqual([2, 3])
    for (let batch = 4; batch <= 120; batch++) await runBatch(sink, batch, [[batch]])
    const all = versions(directory).map(name => readFileSync(join(directory, '_tidemark', 'manifest', name), 'utf8'))
    const newest = all.map(text => JSON.parse(text)).findLast(({ snapshot }) => snapshot)
    expect(newest.add.map(({ batches }: { batches: number[] }) => batches[0])).not.toContain(1)
    expect(await listFiles(directory)).toHaveLength(119)
  })

  test('of a directory that had no manifest yet comes into it with the next start, if its batch was committed', async () => {
    const directory = temporaryFolder()
    const sink = await drive(open(directory), 1, 0)
    for (let batch = 1; batch <= 3; batch++) await runBatch(sink, batch, [[batch]], { commit: false })
    rmSync(join(directory, '_tidemark', 'manifest'), { recursive: true, force: true })
    const next = await drive(open(directory), 2, 2, { lastBegun: 3 })
    expect((await listFiles(directory)).map(({ batches }) => batches[0])).toEqual([1, 2])
    await runBatch(next, 3, [[3]], { epoch: 2 })
    expect((await listFiles(directory)).map(({ batches }) => batches[0])).toEqual([1, 2, 3])
  })
})

describe('the manifest', () => {
  test('grows by what a batch brings, and old versions go: what is written for a batch does not grow with the directory', async () => {
    const directory = temporaryFolder()
    const sink = await drive(open(directory), 1, 0)
    const folder = join(directory, '_tidemark', 'manifest')
    let written = 0
    let most = 0
    for (let batch = 1; batch <= 260; batch++) {
      await runBatch(sink, batch, [[batch]])
      const all = versions(directory)
      written += readFileSync(join(folder, all.at(-1) ?? '')).length
      most = Math.max(most, all.length)
    }
    const one = readFileSync(join(folder, versions(directory).at(-1) ?? '')).length
    expect(await listFiles(directory)).toHaveLength(260)
    // With snapshots of 1, 101 and 201 files among them.
    expect(written).toBeLessThan(260 * one * 4)
    expect(most).toBeLessThanOrEqual(201)
    expect(existsSync(join(folder, '0000000000000001.json'))).toBe(false)
  })

  test.each([
    ['of a few steps', 3_000, 6],
    ['whose snapshot puts parts together', 49_000, 60],
  ])('%s is read by DuckDB without us: what was added and not taken away', async (_name, rollMs, batches) => {
    const directory = temporaryFolder()
    const make = () => parquetSink<{ id: number }>({ directory, columns: { id: 'int32' }, rollMs })
    const sink = await drive(make, 1, 0)
    for (let batch = 1; batch <= batches; batch++) await runBatch(sink, batch, [[{ id: batch }], [{ id: -batch }]])
    const versionsOf = `read_json('${directory}/_tidemark/manifest/*.json', columns = {version: 'BIGINT', snapshot: 'BOOLEAN', add: 'STRUCT(path VARCHAR)[]', remove: 'VARCHAR[]'})`
    const paths = await duckdb(`
      with versions as (select * from ${versionsOf})
      select unnest(add).path as path from versions
      except select unnest(remove) from versions`)
    const files = await listFiles(directory)
    expect(paths.map(({ path }) => join(directory, String(path))).sort()).toEqual(files.map(({ path }) => path).sort())
    expect(files.some(({ isPart }) => isPart) && files.some(({ isPart }) => !isPart)).toBe(true)
  })

  test('that lacks a version says which, and a directory without one has no files', async () => {
    const directory = temporaryFolder()
    const sink = await drive(open(directory), 1, 0)
    for (let batch = 1; batch <= 3; batch++) await runBatch(sink, batch, [[batch]])
    rmSync(join(directory, '_tidemark', 'manifest', '0000000000000002.json'))
    await expect(listFiles(directory)).rejects.toMatchObject({
      code: 'CONFLICT',
      message: expect.stringContaining('has a version 3 and lacks version 2'),
    })
    expect(await listFiles(join(directory, 'nowhere'))).toEqual([])
  })

  test.each(['', 'null', '{"v":1}', 'half a ver'])('that nobody can read is left alone: %j', async text => {
    const directory = temporaryFolder()
    await runBatch(await drive(open(directory), 1, 0), 1, [[1]])
    const path = join(directory, '_tidemark', 'manifest', '0000000000000001.json')
    writeFileSync(path, text)
    await expect(drive(open(directory), 2, 1)).rejects.toMatchObject({
      code: 'CONFLICT',
      message: expect.stringContaining('is not what Tidemark wrote'),
    })
    expect(readFileSync(path, 'utf8')).toBe(text)
  })

  test('of a newer format is not touched', async () => {
    const directory = temporaryFolder()
    mkdirSync(join(directory, '_tidemark', 'manifest'), { recursive: true })
    writeFileSync(join(directory, '_tidemark', 'manifest', '0000000000000001.json'), '{"v":2}')
    await expect(drive(open(directory), 2, 1)).rejects.toMatchObject({
      code: 'UNSUPPORTED',
      message: expect.stringContaining('has version 2'),
    })
  })
})

describe('the witness against the store', () => {
  const rolled = (directory: string) => () => jsonlSink<number>({ directory, rollBytes: 1e9 })

  test('refuses a store that does not know the batches that count: it was rolled back', async () => {
    const directory = temporaryFolder()
    const sink = await drive(rolled(directory), 1, 0)
    for (let batch = 1; batch <= 4; batch++) await runBatch(sink, batch, [[batch]])
    await expect(drive(rolled(directory), 2, 2)).rejects.toMatchObject({
      code: 'CONFLICT',
      message: expect.stringMatching(
        /counts batches up to 4 of stream orders, and its offset store knows batches up to 2: the store was rolled back/,
      ),
    })
    await drive(rolled(directory), 2, 3, { lastBegun: 4 })
  })

  test('refuses parts of batches that the store does not know', async () => {
    const directory = temporaryFolder()
    const sink = await drive(rolled(directory), 1, 0)
    for (const batch of [1, 2]) await runBatch(sink, batch, [[batch]], { commit: false })
    await expect(drive(rolled(directory), 2, 0, { lastBegun: 1 })).rejects.toMatchObject({ code: 'CONFLICT', details: { batchIds: [2] } })
  })

  test('lets a person who has looked go on: what is there counts, and no batch to come is taken for one that was', async () => {
    const directory = temporaryFolder()
    const sink = await drive(rolled(directory), 1, 0)
    for (let batch = 1; batch <= 4; batch++) await runBatch(sink, batch, [[batch]])
    await runBatch(sink, 5, [[5]], { commit: false })
    const adopted = await drive(rolled(directory), 2, 2, { adopt: true })
    expect(await listFiles(directory)).toMatchObject([{ batches: [1, 4], rows: 4, isPart: false }])
    await runBatch(adopted, 3, [[30]], { epoch: 2 })
    await adopted.close?.()
    const files = await listFiles(directory)
    expect(files.map(({ rows }) => rows)).toEqual([4, 1])
    expect(readFileSync(files[1]?.path ?? '', 'utf8')).toBe('30\n')
  })

  test('refuses a directory that lacks batches which the store has committed: it was rolled back', async () => {
    const directory = temporaryFolder()
    const sink = await drive(open(directory), 1, 0)
    for (const batch of [1, 2]) await runBatch(sink, batch, [[batch]])
    await expect(drive(open(directory), 2, 5, { lastWritten: { batchId: 4, tasks: 1 } })).rejects.toMatchObject({
      code: 'CONFLICT',
      message: expect.stringMatching(
        /counts batches up to 2 .* has committed batch 4: the directory was rolled back. Restore it, or replay batches 3 to 4/,
      ),
    })
    // Batch 5 had no tasks for this output.
    await drive(open(directory), 2, 3, { lastWritten: { batchId: 2, tasks: 1 } })
    await drive(open(directory), 3, 5, { lastWritten: { batchId: 4, tasks: 1 }, adopt: true })
  })

  test('knows nothing of a directory that is new', async () => {
    await drive(open(temporaryFolder()), 7, 40, { lastWritten: { batchId: 40, tasks: 4 } })
  })
})
