import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { listJsonlFiles } from '../../../connectors/files/index.ts'
import { sqliteOffsets } from '../../../offsets/sqlite/index.ts'
import { surgeryJob } from './surgery-job.ts'
import { tidemark } from './tidemark-process.ts'

async function afterRun(): Promise<string> {
  const cwd = surgeryJob()
  expect(await tidemark(['run', 'orders.ts', '--until', 'latest'], { cwd })).toMatchObject({ code: 0 })
  return cwd
}

function replay(cwd: string, ...args: string[]) {
  return tidemark(['replay', 'orders.ts', ...args], { cwd })
}

async function rowsOf(folder: string, keep: (file: { readonly fromOffset: number }) => boolean = () => true): Promise<string[]> {
  const files = (await listJsonlFiles(folder)).filter(keep)
  return files.map(({ path }) => readFileSync(path, 'utf8'))
}

describe('a replay', () => {
  test('gives the same records once more under a name of its own, and leaves the stream as it is', async () => {
    const cwd = await afterRun()
    const before = await tidemark(['offsets', 'export', 'orders.ts'], { cwd })
    const { code, stdout } = await replay(cwd, '--batch', '3', '--batch', '2', '--output', 'files', '--yes')
    expect(code).toBe(0)
    expect(stdout).toContain('orders: 2 batches with 180 offsets would run again as orders~replay-1\n')
    expect(stdout).toMatch(/orders~replay-1: done, 180 records in 2 batches\n$/)
    const again = await rowsOf(join(cwd, 'out~replay-1'))
    expect(again).toEqual(await rowsOf(join(cwd, 'out'), ({ fromOffset }) => fromOffset >= 30 && fromOffset < 90))
    expect(again).toHaveLength(6)
    expect((await tidemark(['offsets', 'export', 'orders.ts'], { cwd })).stdout).toBe(before.stdout)
  })

  test('into an output that would hold rows twice must be asked for', async () => {
    const cwd = await afterRun()
    const refused = await replay(cwd, '--batch', '1', '--yes')
    expect(refused.code).toBe(2)
    expect(refused.stdout).toContain('Output console: its rows are printed a second time.\n')
    expect(refused.stderr).toContain(
      'Nothing was run: console would hold the rows of 1 batch twice. If that is what you want, add --append-again',
    )
    const { code, stdout } = await replay(cwd, '--batch', '1', '--yes', '--append-again', '--output', 'console')
    expect(code).toBe(0)
    expect(stdout.split('\n').filter(line => line.startsWith('{'))).toHaveLength(90)
  })

  test('takes the next free number, shows it with --dry-run, and --name chooses another', async () => {
    const cwd = await afterRun()
    const args = ['--batch', '1', '--output', 'files', '--yes', '--json']
    for (const name of ['orders~replay-1', 'orders~replay-2']) {
      const dry = await replay(cwd, ...args, '--dry-run')
      expect(JSON.parse(dry.stdout)).toMatchObject({
        v: 1,
        stream: 'orders',
        name,
        changed: false,
        dryRun: true,
        batches: [1],
        outputs: ['files'],
      })
      const ran = await replay(cwd, ...args)
      expect(JSON.parse(ran.stdout)).toMatchObject({ name, changed: true, reason: 'done', records: 90, batchesRun: 1, batches: [1] })
    }
    const named = await replay(cwd, ...args, '--name', 'audit')
    expect(JSON.parse(named.stdout)).toMatchObject({ name: 'audit', records: 90 })
    const taken = await replay(cwd, '--batch', '2', '--output', 'files', '--yes', '--name', 'audit')
    expect(taken).toMatchObject({ code: 2, stderr: expect.stringContaining('a stream audit that is no replay of these batches') })
    const itself = await replay(cwd, '--batch', '2', '--output', 'files', '--yes', '--name', 'orders')
    expect(itself).toMatchObject({ code: 2, stderr: expect.stringContaining('--name orders is the stream itself') })
  })

  test('that was cut short is gone on with, and not begun anew', async () => {
    const cwd = await afterRun()
    const args = ['--batch', '1', '--batch', '3', '--output', 'console', '--append-again', '--yes']
    const failed = await tidemark(['replay', 'orders.ts', ...args], { cwd, env: { POISON: '70' } })
    expect(failed).toMatchObject({ code: 1, stderr: expect.stringContaining('failed on the record at orders/') })
    const { code, stdout } = await replay(cwd, ...args)
    expect(code).toBe(0)
    expect(stdout).toContain('would run again as orders~replay-1\nIt was cut short before: 1 of 2 are complete, and it goes on.\n')
    expect(
      stdout.split('\n').filter(line => line.startsWith('{')),
      'batch 1 is not run a third time',
    ).toHaveLength(90)
  })

  test('that runs at this moment is not run beside itself', async () => {
    const cwd = await afterRun()
    const args = ['--batch', '1', '--batch', '3', '--output', 'console', '--append-again', '--yes']
    await tidemark(['replay', 'orders.ts', ...args], { cwd, env: { POISON: '70' } })
    await using store = sqliteOffsets({ path: join(cwd, 'orders.offsets.db') })
    await store.acquire('orders~replay-1', 'host:7:other', 600_000)
    const { code, stderr } = await replay(cwd, ...args)
    expect({ code, stderr }).toMatchObject({ code: 4, stderr: expect.stringContaining('orders~replay-1 is driven by host:7:other') })
  })
})

describe('a batch that cannot be replayed', () => {
  test('is told with why', async () => {
    const cwd = await afterRun()
    await using store = sqliteOffsets({ path: join(cwd, 'orders.offsets.db') })
    const lease = await store.acquire('orders', 'test', 600_000)
    const [entry] = await Array.fromAsync(store.history('orders', { limit: 1 }))
    const facts = entry?.kind === 'batch' ? entry.batch.facts : undefined
    const ranges = [{ topic: 'orders', partition: 0, fromOffset: 100, untilOffset: 101 }]
    const next = (id: number) => ({ id, batchTime: id, epoch: lease.epoch, ranges, ...(facts !== undefined && { facts }) })
    await store.begin(lease, next(5))
    await store.reset(lease, [], { discard: true, reason: 'by hand: poison' })
    await store.begin(lease, next(6))
    for (const [id, why] of [
      ['7', 'Batch 7 of orders cannot be replayed: the last batch is 5.'],
      ['6', 'Batch 6 of orders cannot be replayed: it is begun and not committed.'],
      ['5', 'Batch 5 of orders cannot be replayed: it was begun and discarded (by hand: poison)'],
    ] as const) {
      const { code, stdout, stderr } = await replay(cwd, '--batch', id, '--yes')
      expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
      expect(stderr).toContain(why)
    }
  })

  test('because its history is trimmed is told so', async () => {
    const cwd = await afterRun()
    const { stdout } = await tidemark(['offsets', 'export', 'orders.ts'], { cwd })
    const snapshot = JSON.parse(stdout) as { history: { seq: number }[] }
    const input = JSON.stringify({ ...snapshot, history: snapshot.history.filter(({ seq }) => seq !== 2) })
    const store = ['--store', 'sqlite:trimmed.db']
    await tidemark(['offsets', 'import', 'orders.ts', '-', ...store, '--yes'], { cwd, input })
    const { code, stderr } = await replay(cwd, '--batch', '1', '--yes', ...store)
    expect({ code, stderr }).toMatchObject({ code: 2, stderr: expect.stringContaining('the history no longer has it') })
  })

  test('because the job has lost its output is told which', async () => {
    const cwd = await afterRun()
    const env = { OUTPUTS: 'files' }
    const { code, stderr } = await tidemark(['replay', 'orders.ts', '--batch', '1', '--yes'], { cwd, env })
    expect({ code, stderr }).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('Batch 1 of orders went to console, which the job no longer has.'),
    })
    expect(await tidemark(['replay', 'orders.ts', '--batch', '1', '--yes', '--output', 'files'], { cwd, env })).toMatchObject({ code: 0 })
    const unknown = await replay(cwd, '--batch', '1', '--yes', '--output', 'tables')
    expect(unknown).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('The job has no output tables. Its outputs are files, console.'),
    })
  })

  test('because its records are gone ends with 3, as a run does', async () => {
    const cwd = await afterRun()
    const { code, stderr } = await tidemark(['replay', 'orders.ts', '--batch', '1', '--output', 'files', '--yes'], {
      cwd,
      env: { FROM: '20' },
    })
    expect({ code, stderr }).toMatchObject({ code: 3, stderr: expect.stringMatching(/^tidemark: orders\/\d \[0, 20\) is gone/m) })
  })
})
