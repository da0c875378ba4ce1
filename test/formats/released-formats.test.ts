import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { describe, expect, onTestFinished, test } from 'vitest'
import { jsonlSink, listFiles } from '../../connectors/files/index.ts'
import { memoryOffsets } from '../../offsets/memory/index.ts'
import { sqliteOffsets } from '../../offsets/sqlite/index.ts'
import { errorFromWire } from '../../src/core/error-wire.ts'
import { isDataLoss, isRetryable, isTidemarkError } from '../../src/core/errors.ts'
import { silentLog } from '../../src/core/log.ts'
import { groupsFromWire, groupsToWire, resultsFromWire } from '../../src/core/task-wire.ts'
import { type Batch, type OffsetStore, type StreamSnapshot, stream } from '../../src/index.ts'
import { collectingSink } from '../../src/testing/index.ts'
import { countingSource } from './counting-source.ts'

const FORMATS = join(import.meta.dirname, '..', 'fixtures', 'formats')

const LARGEST = { fromOffset: 9_007_199_254_740_000, untilOffset: Number.MAX_SAFE_INTEGER }

function fixture(name: string): string {
  return readFileSync(join(FORMATS, name), 'utf8')
}

function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'tidemark-formats-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

function storeOfVersion(version: number): OffsetStore {
  const path = join(temporaryFolder(), 'offsets.db')
  const database = new DatabaseSync(path)
  database.exec(fixture(`sqlite-v${version}.sql`))
  database.close()
  const store = sqliteOffsets({ path })
  onTestFinished(() => store.close())
  return store
}

const snapshot: StreamSnapshot = JSON.parse(fixture('snapshot-v1.json'))
const intent: Batch = JSON.parse(fixture('intent-v1.json'))

test('every file of a saved format is loaded by a test', () => {
  // By this file, but for the backfill, which has one of its own.
  const loaded = [
    'README.md',
    'backfill-v1.json',
    'files-marker-v1.json',
    'files-output-v1.json',
    'intent-v1.json',
    'snapshot-v1.json',
    'sqlite-v1.sql',
    'task-message-v2.json',
  ]
  expect(readdirSync(FORMATS).sort()).toEqual(loaded)
})

describe('an SQLite store of version 1', () => {
  test('shows all it holds: offsets, the begun batch, every kind of history, a retired stream', async () => {
    const store = storeOfVersion(1)
    expect(await store.streams()).toEqual(['orders', 'returns "ü"'])
    expect(await store.snapshot('orders')).toEqual(snapshot)
    expect((await store.read('orders')).pending).toEqual(intent)
    expect((await Array.fromAsync(store.history('orders'))).map(({ kind }) => kind)).toEqual([
      'reset',
      'reset',
      'discard',
      'batch',
      'start',
    ])
    expect((await store.read('returns "ü"')).retired).toBe('copied to postgres')
  })

  test('carries a stream on: the begun batch is run exactly as it was begun, then the rest', async () => {
    const store = storeOfVersion(1)
    const { committed, batches } = await carryOn(store)
    expect(batches.map(({ id }) => id)).toEqual([3, 4])
    expect(committed).toEqual([110, 9_007_199_254_740_000])
  })
})

describe('a snapshot of version 1', () => {
  test.for([
    ['memory', () => memoryOffsets()],
    ['SQLite', () => sqliteOffsets({ path: join(temporaryFolder(), 'offsets.db') })],
  ] as const)('is restored whole into %s, and its next lease gets a higher epoch', async ([, open]) => {
    const store = open()
    onTestFinished(() => store.close())
    await store.restore(snapshot)
    expect(await store.snapshot('orders')).toEqual(snapshot)
    expect((await store.acquire('orders', 'next', 1_000)).epoch).toBeGreaterThan(snapshot.epoch)
  })
})

describe('an intent of version 1', () => {
  test('is replayed task by task: the same ranges in their order, batch time and outputs, under the new epoch', async () => {
    const store = memoryOffsets()
    await store.restore({ ...snapshot, pending: intent })
    const { batches, tasks, reads } = await carryOn(store)
    expect(batches[0]).toEqual(intent)
    expect(reads.slice(0, 2)).toEqual(intent.ranges)
    const replayed = tasks.filter(({ batchId }) => batchId === intent.id).sort((a, b) => a.index - b.index)
    expect(replayed.map(({ range, index, batchTime, output }) => ({ range, index, batchTime, output }))).toEqual(
      intent.ranges.map((range, index) => ({ range, index, batchTime: intent.batchTime, output: 'orders' })),
    )
    for (const { epoch } of replayed) expect(epoch).toBe(snapshot.epoch + 1)
  })

  test('says in every form whether aborted records are visible', async () => {
    for (const isolation of ['read_committed', { orders: 'read_committed' }]) {
      const store = memoryOffsets()
      await store.restore({ ...snapshot, pending: { ...intent, facts: { ...(intent.facts as object), isolation } } })
      expect((await carryOn(store)).isolations[0]).toBe('read_committed')
    }
  })
})

test('a directory with a marker of version 1 goes on with its stream, and its epoch is the fence', async () => {
  const directory = join(temporaryFolder(), 'orders')
  mkdirSync(join(directory, '_tidemark', 'attempts'), { recursive: true })
  writeFileSync(join(directory, '_tidemark', 'output.json'), fixture('files-marker-v1.json'))
  const { stream: name, streamId, output, epoch } = JSON.parse(fixture('files-marker-v1.json'))
  const about = { stream: name, streamId, output }
  const sink = jsonlSink({ directory })
  await sink.prepare?.({ ...about, signal: new AbortController().signal, log: silentLog })
  const mark = { ...about, owner: 'next', lastBegun: 1, lastComplete: 1 }
  await expect(sink.fence?.({ ...mark, epoch })).rejects.toMatchObject({ code: 'CONFLICT' })
  await expect(sink.fence?.({ ...mark, epoch: epoch + 1 })).resolves.toBeUndefined()
})

test('a directory of rolled files of version 1 is read, and goes on: its parts are put together, and the begun batch is found in', async () => {
  const directory = join(temporaryFolder(), 'orders')
  const saved: Readonly<Record<string, string>> = JSON.parse(fixture('files-output-v1.json'))
  for (const [path, text] of Object.entries(saved)) {
    mkdirSync(join(directory, path, '..'), { recursive: true })
    writeFileSync(join(directory, path), text)
  }
  const read = async () => {
    const files = await listFiles(directory)
    return files.flatMap(({ path }) => readFileSync(path, 'utf8').trimEnd().split('\n')).map(line => JSON.parse(line).id)
  }
  const inOrder = (ids: readonly number[]) => ids.toSorted((a, b) => a - b)
  expect(inOrder(await read())).toEqual([-5, -4, -3, -2, -1, 1, 2, 3, 4, 5])

  const task = JSON.parse(saved['_tidemark/parts/b0000000000000006/t0/task.json'] ?? '')
  const about = { stream: 'orders', streamId: 'id-1', output: 'files' }
  const sink = jsonlSink({ directory, partitionBy: { country: (row: { country?: string }) => row.country }, rollMs: 3_000 })
  await sink.prepare?.({ ...about, signal: new AbortController().signal, log: silentLog })
  await sink.fence?.({ ...about, epoch: 2, owner: 'next', lastBegun: 6, lastComplete: 5 })
  expect(await sink.applied?.({ ...task, epoch: 2, attempt: 'next' })).toBe(true)
  const ranges = [task.range, { ...task.range, partition: 1 }]
  await sink.commitBatch?.({ ...about, id: 6, epoch: 2, batchTime: task.batchTime, ranges, facts: { tasks: { files: 2 } } })
  await sink.close?.()
  expect(inOrder(await read())).toEqual([-5, -4, -3, -2, -1, 1, 2, 3, 4, 5, 6])
  expect((await listFiles(directory)).every(({ isPart }) => !isPart)).toBe(true)
})

describe('a message of version 2 between a driver and an executor', () => {
  const message = JSON.parse(fixture('task-message-v2.json'))

  test('gives its groups: ranges, tasks, outputs and policies', () => {
    const groups = groupsFromWire(message.groups)
    expect(groups.map(({ range }) => range)).toEqual([
      { topic: 'orders', partition: 0, fromOffset: 120, untilOffset: 180, topicId: 'q83vEjRWeJCrze8SNFZ4kA', leaderEpoch: 4 },
      { ...{ topic: 'orders', partition: 1, topicId: 'q83vEjRWeJCrze8SNFZ4kA', leaderEpoch: 0 }, ...LARGEST },
      { topic: 'returns "ü"', partition: 0, fromOffset: 0, untilOffset: 5 },
    ])
    expect(groups.map(({ tasks }) => tasks.map(({ output, attempt }) => [output, attempt]))).toEqual([
      [
        ['postgres:orders', '3-12-0-1-k3f9'],
        ['totals', '3-12-0-1-k3f9'],
      ],
      [
        ['postgres:orders', '3-12-1-1-k3f9'],
        ['totals', '3-12-1-1-k3f9'],
      ],
      [['totals', '3-12-2-1-k3f9']],
    ])
    for (const [index, { range, tasks, timeoutMs }] of groups.entries()) {
      expect(timeoutMs).toBe(600_000)
      for (const task of tasks)
        expect(task).toMatchObject({ stream: 'orders', batchId: 12, epoch: 3, batchTime: 1_753_430_400_000, index, range })
    }
    expect(groups.map(({ isolation, onRecordError, onDataLoss }) => [isolation, onRecordError, onDataLoss.retention])).toEqual([
      ['read_committed', 'deadLetter', 'fail'],
      ['read_committed', 'deadLetter', 'fail'],
      ['read_uncommitted', 'skip', 'skip'],
    ])
    expect(groups.map(({ timestamps, watched, maxOutputWaitMs }) => [timestamps?.until, watched, maxOutputWaitMs])).toEqual([
      [1_753_434_000_000, ['postgres:orders', 'totals'], 5_000],
      [1_753_434_000_000, ['postgres:orders', 'totals'], 5_000],
      [undefined, undefined, undefined],
    ])
    // What is written today is the same: who changes it, also by a field more, makes a version 3.
    expect(JSON.parse(JSON.stringify(groupsToWire(groups)))).toEqual(message.groups)
  })

  test('gives its results, with the rows that were gathered and what was left out', () => {
    const [first, , last] = groupsFromWire(message.groups)
    const [applied, gathering, skipping, failed] = message.results
    const [more] = gathering.splice(6)
    gathering.push({ ...more, gathered: Buffer.from(more.gathered, 'base64') })
    expect(first && resultsFromWire(first, [applied, gathering])).toMatchObject([
      { task: first?.tasks[0], alreadyApplied: true, records: 0, rows: 0 },
      {
        ...{ task: first?.tasks[1], alreadyApplied: false, records: 60, rows: 2, bytes: 4_380 },
        ...{ startTime: 1_753_430_400_100, endTime: 1_753_430_400_200 },
        gathered: [
          { id: 'a', at: new Date(0), total: 12n },
          { id: 'b', by: new Map([['x', Buffer.from([1, 2])]]) },
        ],
      },
    ])
    expect(last && resultsFromWire(last, [skipping])).toMatchObject([
      {
        skipped: { count: 1, samples: [{ offset: 4, stage: 'map (parse)', message: 'no JSON' }] },
        losses: [{ cause: 'retention', missing: [{ topic: 'returns "ü"', partition: 0, fromOffset: 0, untilOffset: 3 }], resumeAt: 3 }],
      },
    ])
    // Who took it for one that is in would lose its rows: a message of version 1 could not say it.
    expect(last && resultsFromWire(last, [failed])).toMatchObject([{ error: { code: 'CONNECTION', retryable: true }, outsideTime: 3 }])
  })

  test('gives its errors, each with its class, code, fields and cause', () => {
    const [fenced, loss, connection, record, several] = message.errors.map(errorFromWire)
    expect(isTidemarkError(fenced, 'FENCED')).toBe(true)
    expect(fenced).toMatchObject({ name: 'FencedError', details: { epoch: 2, fence: 3 }, stack: expect.stringMatching(/job\.ts:1:1/) })
    expect(isDataLoss(loss)).toBe(true)
    expect(loss).toMatchObject({ lossCause: 'retention', missing: [{ fromOffset: 120, untilOffset: 150 }], resumeAt: 150 })
    expect([fenced, loss, connection].map(isRetryable)).toEqual([false, false, true])
    expect(connection.cause).toMatchObject({ message: 'read ECONNRESET', code: 'ECONNRESET', errno: -104, syscall: 'read' })
    expect(record).toMatchObject({ code: 'RECORD', details: { offset: 121, stage: 'map (parse)' } })
    expect(record.cause).toBeInstanceOf(SyntaxError)
    expect(several.errors.map((inner: Error) => inner.constructor)).toEqual([TypeError, Error])
  })
})

/** Runs the stream of the fixtures to where its source ends. */
async function carryOn(store: OffsetStore) {
  const source = countingSource([
    { topic: 'orders', partition: 0, offset: 110, topicId: 'q83vEjRWeJCrze8SNFZ4kA', leaderEpoch: 4 },
    { topic: 'orders', partition: 1, offset: 9_007_199_254_740_000 },
  ])
  const isolations: unknown[] = []
  const read = source.read
  const watched = Object.assign(source, {
    read: (range: Parameters<typeof read>[0], options: Parameters<typeof read>[1]) => {
      isolations.push(options?.isolation)
      return read(range, options)
    },
  })
  const sink = collectingSink<number>()
  const job = stream({ name: 'orders', offsets: store, log: silentLog })
  const numbers = job.from(watched)
  numbers.to(sink, { name: 'orders' })
  numbers.forEachBatch(() => {})
  // The sink is new, and the fixture's batches are in another.
  await (await job.start({ until: 'latest', steal: true, adopt: ['orders'] })).done
  const entries = await Array.fromAsync(store.history('orders'))
  return {
    committed: (await store.read('orders')).offsets.map(({ offset }) => offset),
    batches: entries.flatMap(entry => (entry.kind === 'batch' && entry.batch.id >= intent.id ? [entry.batch] : [])).reverse(),
    tasks: sink.collected.map(({ task }) => task),
    reads: source.reads,
    isolations,
  }
}
