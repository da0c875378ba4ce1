import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test, vi } from 'vitest'
import { csvSink, jsonlSink, listFiles, parquetSink } from '../../../connectors/files/index.ts'
import type { Clock } from '../../../src/core/clock.ts'
import { FencedError } from '../../../src/core/errors.ts'
import type { Sink } from '../../../src/core/sink.ts'
import { ManualClock } from '../../../src/testing/index.ts'
import { duckdb, sqlList } from '../../support/duckdb.ts'
import { drive, runBatch } from './batches.ts'
import { closeAll, live } from './mortal-disk.ts'
import { temporaryFolder } from './temporary-folder.ts'

vi.mock('node:fs/promises', async importOriginal => {
  const { mortalDisk } = await import('./mortal-disk.ts')
  return mortalDisk(await importOriginal())
})

type Row = { readonly id: number; readonly kind: string }

const BATCHES = 4
/** Two tasks of a batch, rows of two folders; a task without rows among them. */
const rowsOfBatch = (batch: number): Row[][] => [
  [1, 2, 3].map(at => ({ id: batch * 10 + at, kind: at % 2 === 0 ? 'a/b' : 'c' })),
  batch === 2 ? [] : [4, 5].map(at => ({ id: batch * 10 + at, kind: 'c' })),
]
const idsUntil = (batch: number) =>
  Array.from({ length: batch }, (_, at) => rowsOfBatch(at + 1).flat()).flatMap(rows => rows.map(({ id }) => id))

/** What an offset store would have: all that a driver knows of those before it. */
type Store = { epoch: number; lastBegun: number; lastComplete: number }

/** A driver from its start to the end of the stream, or until another has the lease. */
async function driverOf(make: () => Sink<Row>, store: Store): Promise<void> {
  store.epoch += 1
  const { epoch, lastBegun, lastComplete } = store
  const checkLease = () => {
    if (store.epoch !== epoch) throw new FencedError(`epoch ${epoch} was replaced by ${store.epoch}`)
  }
  const sink = make()
  try {
    await drive(() => sink, epoch, lastComplete, { lastBegun })
    while (store.lastComplete < BATCHES) {
      checkLease()
      store.lastBegun = store.lastComplete + 1
      await runBatch(sink, store.lastBegun, rowsOfBatch(store.lastBegun), { epoch })
      checkLease()
      store.lastComplete = store.lastBegun
    }
  } finally {
    await sink.close?.()
  }
}

/** What is written, how many calls lie between one killing and the next, the sink, and how its files are read. */
const OUTPUTS: readonly [
  string,
  number,
  (directory: string, clock: Clock) => Sink<Row>,
  (paths: readonly string[]) => Promise<number[]>,
][] = [
  ['a file a range', 2, (directory, clock) => jsonlSink<Row>({ directory }, clock), async paths => idsOf(paths)],
  ['folders', 3, (directory, clock) => jsonlSink<Row>({ directory, partitionBy: { kind: 'kind' } }, clock), async paths => idsOf(paths)],
  [
    'rolled CSV',
    2,
    (directory, clock) => csvSink<Row>({ directory, columns: ['id', 'kind'], header: false, rollMs: 2_000 }, clock),
    async paths => textsOf(paths).map(line => Number(line.split(',')[0])),
  ],
  [
    'rolled folders of Parquet',
    4,
    (directory, clock) =>
      parquetSink<Row>({ directory, columns: { id: 'int32' }, compression: 'none', partitionBy: { kind: 'kind' }, rollBytes: 500 }, clock),
    async paths => (await duckdb(`select id from read_parquet(${sqlList(paths)})`)).map(({ id }) => Number(id)),
  ],
]

const textsOf = (paths: readonly string[]) =>
  paths.flatMap(path =>
    readFileSync(path, 'utf8')
      .split('\n')
      .filter(line => line !== ''),
  )
const idsOf = (paths: readonly string[]) => textsOf(paths).map(line => JSON.parse(line).id as number)
const inOrder = (ids: readonly number[]) => ids.toSorted((a, b) => a - b)

/** What somebody finds who knows of no manifest. */
function visible(directory: string): string[] {
  const all = existsSync(directory) ? readdirSync(directory, { recursive: true, encoding: 'utf8' }) : []
  return all.filter(path => /\.(jsonl|csv|parquet)$/.test(path)).map(path => join(directory, path))
}

describe.each(OUTPUTS)('drivers that come to a stop before any call that changes the disk, into %s', (_name, step, make, read) => {
  const clock = new ManualClock()
  const rowsIn = async (paths: readonly string[]) => inOrder(paths.length === 0 ? [] : await read(paths))

  test('because they are killed, leave whole batches to readers, and their successors bring each row once', async () => {
    let kills = 0
    for (let calls = 0; kills * step === calls; calls += step) {
      const { directory, store, drivers, listed } = start()
      // The second is killed as well, somewhere else: while it puts in order what the first has left, or later.
      for (const [nth, kill] of [calls, (calls * 7) % 40].entries()) {
        const end = await live(kill, drivers)
        if (nth === 0 && end !== 'through') kills += 1
        const paths = (await listFiles(directory)).map(({ path }) => path)
        const ids = await rowsIn(paths)
        expect([store.lastComplete, store.lastBegun].map(idsUntil), `killed before call ${kill} of ${calls}`).toContainEqual(ids)
        const found = await rowsIn(visible(directory))
        expect(new Set(found).size, `a pattern finds rows twice behind call ${kill} of ${calls}`).toBe(found.length)
        listed.push(...paths)
      }
      expect(await live(Number.POSITIVE_INFINITY, drivers)).toBe('through')
      await checkEnd(directory, listed)
    }
    expect(kills * step).toBeGreaterThan(40)
  }, 120_000)

  test('and go on when others have done all of it, change nothing, and say that they were replaced', async () => {
    let stops = 0
    for (let calls = 0; stops * step === calls; calls += step) {
      const { directory, drivers, listed } = start()
      const sleepers = [await live(calls, drivers), await live((calls * 11) % 40, drivers)]
      if (sleepers[0] !== 'through') stops += 1
      expect(await live(Number.POSITIVE_INFINITY, drivers)).toBe('through')
      const before = (await listFiles(directory)).map(({ path }) => path)
      for (const sleeper of sleepers) {
        if (sleeper === 'through') continue
        await sleeper.wake().catch(error => expect(error, `woken before call ${calls}`).toMatchObject({ code: 'FENCED' }))
        expect(
          (await listFiles(directory)).map(({ path }) => path),
          `woken before call ${calls}`,
        ).toEqual(before)
        expect(await rowsIn(before)).toEqual(idsUntil(BATCHES))
      }
      expect(await live(Number.POSITIVE_INFINITY, drivers)).toBe('through')
      await checkEnd(directory, listed)
    }
    expect(stops * step).toBeGreaterThan(40)
  }, 120_000)

  /** A new directory, the store of its stream, and a driver of it each time. */
  function start() {
    const directory = join(temporaryFolder(), 'out')
    const store: Store = { epoch: 0, lastBegun: 0, lastComplete: 0 }
    const listed: string[] = []
    return { directory, store, listed, drivers: () => driverOf(() => make(directory, clock), store) }
  }

  async function checkEnd(directory: string, listed: readonly string[]): Promise<void> {
    const files = (await listFiles(directory)).map(({ path }) => path)
    expect(await rowsIn(files)).toEqual(idsUntil(BATCHES))
    expect(visible(directory).toSorted()).toEqual(files.toSorted())
    expect(readdirSync(join(directory, '_tidemark', 'attempts'))).toEqual([])
    expect(
      listed.filter(path => !existsSync(path)),
      'files of a list that was read',
    ).toEqual([])
    await closeAll()
  }
})
