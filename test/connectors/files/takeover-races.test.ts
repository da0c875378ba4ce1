import { mkdirSync, readdirSync, readFileSync, rmSync, unlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { csvSink, jsonlSink, listFiles } from '../../../connectors/files/index.ts'
import { drive, runBatch } from './batches.ts'
import { mark } from './files-task.ts'
import { temporaryFolder } from './temporary-folder.ts'

type Row = { readonly id: number }
const open = (directory: string, roll: object) => () => jsonlSink<Row>({ directory, ...roll })
const markerOf = (directory: string) => join(directory, '_tidemark', 'output.json')
const epochIn = (directory: string): number => JSON.parse(readFileSync(markerOf(directory), 'utf8')).epoch
const visible = (directory: string) =>
  readdirSync(directory, { recursive: true, encoding: 'utf8' }).filter(name => name.endsWith('.jsonl') && !name.startsWith('_'))

describe('the marker', () => {
  test('is never lowered by a driver that looked at it before its successor wrote its own', async () => {
    const directory = temporaryFolder()
    await drive(open(directory, {}), 1, 0)
    for (let epoch = 2; epoch < 20; epoch += 2) {
      const [old, next] = [open(directory, {})(), open(directory, {})()]
      const fences = [old, next].map((sink, nth) =>
        sink.fence?.(mark({ epoch: epoch + nth, owner: `host:${epoch + nth}`, lastBegun: 0, lastComplete: 0 })),
      )
      const [first, second] = await Promise.allSettled(fences)
      expect(second?.status).toBe('fulfilled')
      if (first?.status === 'rejected') expect(first.reason).toMatchObject({ code: 'FENCED' })
      expect(epochIn(directory)).toBe(epoch + 1)
    }
  })

  test('is written once more where an older driver, woken in its last step, has written over it', async () => {
    const directory = temporaryFolder()
    await drive(open(directory, {}), 3, 0)
    const old = readFileSync(markerOf(directory))
    let isLowered = false
    const watch = () => {
      if (epochIn(directory) === 4) {
        writeFileSync(markerOf(directory), old)
        isLowered = true
      } else if (!isLowered) setImmediate(watch)
    }
    setImmediate(watch)
    await drive(open(directory, {}), 4, 0)
    expect(isLowered).toBe(true)
    expect(epochIn(directory)).toBe(4)
  })
})

describe('a file that was put together and does not count', () => {
  const rolled = async (directory: string, epoch: number) => {
    const sink = await drive(open(directory, { rollBytes: 1 }), epoch, 0)
    await runBatch(sink, 1, [[{ id: 1 }]], { epoch })
    return sink
  }

  test('of a newer epoch is not taken away by a driver that wakes up behind its successor', async () => {
    const directory = temporaryFolder()
    await rolled(directory, 4)
    const files = await listFiles(directory)
    // What the older one has read of the manifest, before the newer one's batch.
    const versions = join(directory, '_tidemark', 'manifest')
    const newest = readdirSync(versions).map(name => [name, readFileSync(join(versions, name))] as const)
    rmSync(versions, { recursive: true })
    writeFileSync(markerOf(directory), readFileSync(markerOf(directory), 'utf8').replace('"epoch":4', '"epoch":2'))
    await drive(open(directory, { rollBytes: 1 }), 3, 0, { lastBegun: 1 })
    mkdirSync(versions, { recursive: true })
    for (const [name, text] of newest) writeFileSync(join(versions, name), text)
    expect(await listFiles(directory)).toEqual(files)
    expect(files).toHaveLength(1)
  })

  test('goes also where the driver whose commit failed put together what waited when it ended', async () => {
    const directory = temporaryFolder()
    const sink = await drive(open(directory, { rollBytes: 20 }), 1, 0)
    await runBatch(sink, 1, [[{ id: 1 }]])
    await runBatch(sink, 2, [[{ id: 2 }, { id: 3 }, { id: 4 }]], { commit: false })
    // The manifest's second version cannot be put in place: something is there.
    const blocked = join(directory, '_tidemark', 'manifest', '0000000000000002.json')
    mkdirSync(blocked)
    await expect(runBatch(sink, 2, [[{ id: 2 }, { id: 3 }, { id: 4 }]])).rejects.toThrow()
    expect(visible(directory)).toHaveLength(1)
    rmSync(blocked, { recursive: true })
    await sink.close?.()
    const next = await drive(open(directory, { rollBytes: 20 }), 2, 1, { lastBegun: 2 })
    await runBatch(next, 2, [[{ id: 2 }, { id: 3 }, { id: 4 }]], { epoch: 2 })
    await next.close?.()
    expect(visible(directory)).toHaveLength(1)
    expect(await listFiles(directory)).toMatchObject([{ rows: 4, batches: [1, 2] }])
  })
})

describe('a list of files', () => {
  test('has all rows of whole batches while parts are put together and removed beside it', async () => {
    const directory = temporaryFolder()
    let committed = 0
    let isOver = false
    const reading = Array.from({ length: 2 }, async () => {
      while (!isOver) {
        const before = committed
        const rows = (await listFiles(directory)).reduce((sum, file) => sum + (file.rows ?? 0), 0)
        expect(rows % 3).toBe(0)
        expect(rows).toBeGreaterThanOrEqual(3 * before)
      }
    })
    const writing = (async () => {
      for (let batch = 1; batch <= 10; batch++) {
        const sink = await drive(open(directory, { rollBytes: 1e9 }), batch, batch - 1)
        await runBatch(sink, batch, [[{ id: 1 }], [{ id: 2 }], [{ id: 3 }]], { epoch: batch })
        committed = batch
        await sink.close?.()
      }
    })().finally(() => {
      isOver = true
    })
    await Promise.all([writing, ...reading])
  })

  test('is an error, and not one without its rows, where a part was removed', async () => {
    const directory = temporaryFolder()
    const sink = await drive(open(directory, { rollBytes: 1e9 }), 1, 0)
    await runBatch(sink, 1, [[{ id: 1 }]])
    const [part] = await listFiles(directory)
    unlinkSync(part?.path ?? '')
    await expect(listFiles(directory)).rejects.toMatchObject({
      code: 'CONFLICT',
      message: expect.stringContaining('somebody has removed it'),
    })
  })
})

describe('what was written before', () => {
  test('in another layout becomes files: parts that wait are put together once nothing is added to them', async () => {
    const directory = temporaryFolder()
    const before = await drive(open(directory, { rollBytes: 1e9 }), 1, 0)
    await runBatch(before, 1, [[{ id: 1 }], [{ id: 2 }]])
    const after = await drive(open(directory, { keepReplacedMs: 0 }), 2, 1)
    expect(await listFiles(directory)).toMatchObject([{ isPart: false, rows: 2 }])
    await runBatch(after, 2, [[{ id: 3 }]], { epoch: 2 })
    expect(visible(directory)).toHaveLength(2)
    await drive(open(directory, { keepReplacedMs: 0 }), 3, 2)
    expect(readdirSync(join(directory, '_tidemark', 'parts'))).toEqual([])
  })

  test.each([
    ['another format', (directory: string) => csvSink<Row>({ directory, columns: ['id'] })],
    ['compressed', (directory: string) => jsonlSink<Row>({ directory, compression: 'gzip' })],
    ['rolled', (directory: string) => jsonlSink<Row>({ directory, rollBytes: 1e9 })],
  ])('by a version without a manifest counts under today’s options: %s', async (_name, make) => {
    const directory = temporaryFolder()
    const before = await drive(open(directory, {}), 1, 0)
    await runBatch(before, 1, [[{ id: 1 }], []])
    await runBatch(before, 2, [[{ id: 2 }]], { commit: false })
    rmSync(join(directory, '_tidemark', 'manifest'), { recursive: true })
    await drive(() => make(directory), 2, 1, { lastBegun: 2 })
    expect(await listFiles(directory)).toMatchObject([
      { format: 'jsonl', batches: [1, 1], range: { partition: 0 } },
      { format: 'jsonl', batches: [1, 1], range: { partition: 1 } },
    ])
  })
})
