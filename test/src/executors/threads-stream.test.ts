import { execFile } from 'node:child_process'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, expect, test } from 'vitest'
import type { Executor } from '../../../src/core/executor.ts'
import { silentLog } from '../../../src/core/log.ts'
import { inProcess } from '../../../src/executors/in-process.ts'
import { threads } from '../../../src/executors/threads.ts'

const folder = mkdtempSync(join(tmpdir(), 'tidemark-threads-'))
process.env.TIDEMARK_TEST_FOLDER = join(folder, 'rows')
const { default: job, gathered } = await import('./jobs/rows.ts')

afterAll(() => rmSync(folder, { recursive: true, force: true }))

/** What a run under a name of its own wrote, by file, and what its `forEachBatch` was given. */
async function runWith(executor: Executor, name: string) {
  const before = gathered.length
  const run = await job.start({ name: `rows~${name}`, executor, until: 'latest', log: silentLog })
  const { durationMs: _, ...summary } = await run.done
  const written = `${folder}/rows~${name}`
  const files = readdirSync(written, { recursive: true, encoding: 'utf8' }).filter(path => path.endsWith('.jsonl'))
  return {
    summary,
    files: Object.fromEntries(files.sort().map(path => [path, readFileSync(join(written, path), 'utf8')])),
    gathered: gathered.slice(before),
  }
}

test('a stream in threads writes and gathers the very rows that it does in its own thread', async () => {
  const here = await runWith(inProcess(), 'here')
  const there = await runWith(threads({ size: 2 }), 'there')
  expect(there.summary).toMatchObject({ reason: 'done', batches: 4, records: 300 })
  expect(Object.keys(there.files).length).toBeGreaterThan(12)
  expect(there).toEqual(here)
})

test('rows that are gathered keep dates, maps, big integers and bytes', async () => {
  const [first] = (await runWith(threads({ size: 1 }), 'kept')).gathered as { readonly id: number; readonly rows: readonly unknown[] }[]
  expect(first?.id).toBe(1)
  expect(first?.rows[0]).toEqual({
    record: {
      ...{ topic: 't', partition: 0, offset: 0, timestamp: 1_000 },
      ...{ key: Buffer.from('k0'), value: Buffer.from('v0-0'), headers: [['h', Buffer.from('x')]] },
    },
    at: new Date(1_000),
    tags: new Map([['p', 0n]]),
    bytes: Buffer.from('v0-0'),
  })
})

test('a program whose job ran in threads ends by itself, and shows what its threads print', async () => {
  const program = join(import.meta.dirname, 'jobs', 'run-rows.ts')
  const own = join(folder, 'program')
  mkdirSync(own)
  const env = { ...process.env, TIDEMARK_TEST_FOLDER: join(own, 'rows'), TIDEMARK_LOG_LEVEL: 'silent' }
  const { stdout, stderr } = await promisify(execFile)(process.execPath, ['--conditions=tidemark-source', program], {
    env,
    timeout: 25_000,
  })
  const lines = stdout.trim().split('\n')
  expect(lines.filter(line => line === 'a thread says hello')).toHaveLength(2)
  expect(JSON.parse(lines.at(-1) ?? '')).toEqual({ batches: 4, records: 300, gathered: 4 })
  expect(stderr).toBe('')
})
