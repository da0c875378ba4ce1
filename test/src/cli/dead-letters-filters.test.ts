import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { listJsonlFiles } from '../../../connectors/files/index.ts'
import { temporaryFolder } from '../../connectors/files/temporary-folder.ts'
import { tidemark } from './tidemark-process.ts'
import { writeJob } from './write-job.ts'

/** A job over twelve records in two partitions, an hour apart, of which every other fails: those of partition 1 by a code. */
async function world() {
  const cwd = temporaryFolder()
  writeJob(
    cwd,
    'orders.ts',
    `import { appendFileSync, existsSync, rmSync } from 'node:fs'
import { deadLetter, stream } from 'tidemark'
import { jsonlSink } from 'tidemark/files'
import { memorySource } from 'tidemark/testing'
const source = memorySource({ topics: { orders: 2 } })
for (const partition of [0, 1]) {
  source.append('orders', partition, ...Array.from({ length: 6 }, (_, at) => ({
    value: partition + ':' + at, timestamp: Date.UTC(2026, 10, 1, at)
  })))
}
const isMended = existsSync('mended')
let lives = Number(process.env.LIVES ?? 1)
const job = stream({ name: 'orders', leaseTtlMs: 500, batchIntervalMs: 0, limits: { maxRecordsPerBatch: 4 }, onRecordError: deadLetter(jsonlSink({ directory: 'letters' })) })
  .from(source)
  .map(function parse({ value, partition, offset }) {
    if (!isMended && partition === 0 && offset % 2 === 1) throw new RangeError('odd')
    return { text: String(value), partition, offset }
  })
  .map(function price(row) {
    if (!isMended && row.partition === 1 && row.offset % 2 === 1) throw Object.assign(new TypeError('no price'), { code: 'E_PRICE' })
    return row
  })
job.to(jsonlSink({ directory: 'out' }), { name: 'files' })
export default job
  .map(row => {
    // In the middle of the batch: the one output may have its rows, the other has them not.
    if (existsSync('die') && --lives === 0) {
      rmSync('die')
      process.kill(process.pid, 'SIGKILL')
    }
    return row
  })
  .forEachRange(async rows => {
    for await (const some of rows) for (const { text } of some) appendFileSync('rows.txt', text + '\\n')
  })
`,
  )
  const run = (...args: string[]) => tidemark(args, { cwd })
  expect(await run('run', 'orders.ts', '--until', 'latest')).toMatchObject({ code: 0 })
  writeFileSync(join(cwd, 'mended'), '')
  const before = rowsIn(cwd)
  expect(before).toHaveLength(6)
  return {
    run,
    cwd,
    /** What replays have put into files, doubles included. */
    filed: async () => {
      const files = await Promise.all(['out', 'out~letters'].map(directory => listJsonlFiles(join(cwd, directory))))
      const lines = files.flat().flatMap(({ path }) => readFileSync(path, 'utf8').trim().split('\n'))
      return lines.map(line => (JSON.parse(line) as { text: string }).text).sort()
    },
    /** What replays have added. */
    added: () => rowsIn(cwd).slice(before.length),
    replay: (...args: string[]) => run('deadletters', 'replay', 'orders.ts', '--yes', ...args),
    shown: async (...args: string[]) => {
      const { stdout, code } = await run('deadletters', 'show', 'orders.ts', '--json', ...args)
      expect(code).toBe(0)
      const { letters } = JSON.parse(stdout) as { letters: { partition: number; record_offset: number; replayed: boolean }[] }
      return letters.map(({ partition, record_offset, replayed }) => `${partition}:${record_offset}${replayed ? ' replayed' : ''}`).sort()
    },
  }
}

function rowsIn(cwd: string): string[] {
  const path = join(cwd, 'rows.txt')
  return existsSync(path) ? readFileSync(path, 'utf8').trim().split('\n') : []
}

const FILTERS = [
  { args: ['--partition', '1'], letters: ['1:1', '1:3', '1:5'] },
  { args: ['--topic', 'orders', '--partition', '0'], letters: ['0:1', '0:3', '0:5'] },
  { args: ['--stage', 'map (parse)'], letters: ['0:1', '0:3', '0:5'] },
  { args: ['--error', 'TypeError'], letters: ['1:1', '1:3', '1:5'] },
  { args: ['--error-code', 'E_PRICE'], letters: ['1:1', '1:3', '1:5'] },
  { args: ['--from', '2026-11-01T03:00Z'], letters: ['0:3', '0:5', '1:3', '1:5'] },
  { args: ['--to', '2026-11-01T03:00Z'], letters: ['0:1', '1:1'] },
  { args: ['--from', '2026-11-01T02:00Z', '--to', '2026-11-01T04:00Z', '--error', 'RangeError'], letters: ['0:3'] },
  { args: ['--batch', '1'], letters: ['0:1', '1:1'] },
]
const ALL = ['0:1', '0:3', '0:5', '1:1', '1:3', '1:5']

describe('dead letters of some kind', () => {
  test('are shown by what they are of', async () => {
    const here = await world()
    for (const { args, letters } of FILTERS) expect(await here.shown(...args), args.join(' ')).toEqual(letters)
  })

  test('are run again by the same options, and the rest later, each once', async () => {
    const here = await world()
    const args = ['--from', '2026-11-01T02:00Z', '--to', '2026-11-01T04:00Z', '--stage', 'map (parse)']
    expect(await here.run('deadletters', 'replay', 'orders.ts', '--dry-run', ...args)).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('1 dead letter of'),
    })
    expect(await here.replay(...args)).toMatchObject({ code: 0 })
    expect(here.added()).toEqual(['0:3'])
    expect(await here.shown()).toEqual(ALL.map(at => (at === '0:3' ? `${at} replayed` : at)))
    expect(await here.replay(...args)).toMatchObject({ code: 0, stdout: expect.stringContaining('no dead letters of these since batch') })
    expect(await here.replay()).toMatchObject({ code: 0 })
    expect(here.added().sort()).toEqual(ALL)
    expect(await here.shown()).toEqual(ALL.map(at => `${at} replayed`))
  })

  test('that overlap are run again once, in whatever order they are asked for', async () => {
    const here = await world()
    for (const args of [
      ['--partition', '1'],
      ['--from', '2026-11-01T03:00Z'],
      ['--error', 'RangeError'],
      ['--error', 'TypeError'],
    ]) {
      expect(await here.replay(...args)).toMatchObject({ code: 0 })
    }
    expect(here.added().sort()).toEqual(ALL)
  })

  test.for(['1', '2', '3'])('killed before row %s are gone on with by the next replay, of whichever letters, each once', async LIVES => {
    const here = await world()
    const before = await here.filed()
    writeFileSync(join(here.cwd, 'die'), '')
    const args = ['deadletters', 'replay', 'orders.ts', '--yes']
    const killed = await tidemark([...args, '--stage', 'map (parse)'], { cwd: here.cwd, env: { LIVES } })
    expect(killed).toMatchObject({ signal: 'SIGKILL' })
    // The others first: what was begun is finished before, and counts.
    expect(await here.replay('--from', '2026-11-01T02:00Z')).toMatchObject({ code: 0 })
    expect(await here.replay()).toMatchObject({ code: 0 })
    expect(await here.filed()).toEqual([...before, ...ALL].sort())
    // A function promises that nothing is lost, and no more.
    expect([...new Set(here.added())].sort()).toEqual(ALL)
  })

  test('that nobody understands are refused', async () => {
    const here = await world()
    const refused = [
      { args: ['--from', '2026-11-01T03:00'], says: /--from 2026-11-01T03:00/ },
      { args: ['--to', 'yesterday'], says: /--to yesterday is not understood/ },
      { args: ['--from', '2026-11-02', '--to', '2026-11-01'], says: /--from 2026-11-02 is not before --to 2026-11-01/ },
      { args: ['--partition', 'x'], says: /--partition/ },
    ]
    for (const { args, says } of refused) {
      expect(await here.replay(...args)).toMatchObject({ code: 2, stderr: expect.stringMatching(says) })
    }
    expect(here.added()).toEqual([])
  })
})
