import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { listJsonlFiles } from '../../../connectors/files/index.ts'
import { sqliteOffsets } from '../../../offsets/sqlite/index.ts'
import { surgeryJob } from './surgery-job.ts'
import { tidemark } from './tidemark-process.ts'

/** A folder whose job has run to the end of its logs: batches 1 to 4, up to offset 100 of each partition. */
async function afterRun(): Promise<string> {
  const cwd = surgeryJob()
  expect(await tidemark(['run', 'orders.ts', '--until', 'latest'], { cwd })).toMatchObject({ code: 0 })
  return cwd
}

/** Runs a command that must succeed and gives what it says as JSON. */
async function json(args: readonly string[], cwd: string, env: Record<string, string> = {}): Promise<Record<string, unknown>> {
  const { code, stdout, stderr } = await tidemark([...args, '--json'], { cwd, env })
  expect({ code, stderr: code === 0 ? '' : stderr }).toEqual({ code: 0, stderr: '' })
  // The job's own rows come before it.
  return JSON.parse(stdout.trimEnd().split('\n').at(-1) ?? '')
}

async function committed(cwd: string): Promise<unknown> {
  const { partitions } = (await json(['offsets', 'show', 'orders.ts'], cwd)) as { partitions: { committed: number }[] }
  return partitions.map(at => at.committed)
}

/** Table cells are padded to the widest; here only the words count. */
function words(text: string): string[] {
  return text
    .trimEnd()
    .split('\n')
    .map(line => line.replace(/ +/g, ' '))
}

describe('reset', () => {
  test('shows what it means for the stream and for each output, and without a terminal changes nothing', async () => {
    const cwd = await afterRun()
    const { code, stdout, stderr } = await tidemark(['offsets', 'reset', 'orders.ts', '--to', 'earliest'], { cwd })
    expect(words(stdout)).toEqual([
      'orders: reset to earliest (epoch 1, last batch 4)',
      'partition from to read again skipped',
      'orders/0 100 0 100 0',
      'orders/1 100 0 100 0',
      'orders/2 100 0 100 0',
      'total 300 0',
      'Output files: its rows that come again are put into a second file beside the first; where two files overlap, the one with the higher batch number counts.',
      'Output console: its rows that come again are printed a second time.',
    ])
    expect(code).toBe(2)
    expect(stderr).toBe(
      'tidemark: Nothing was changed: there is no terminal to ask on. Add --yes to go through with it, or --dry-run to only look.\n',
    )
    expect(await committed(cwd)).toEqual([100, 100, 100])
    expect((await json(['offsets', 'show', 'orders.ts'], cwd)).epoch, 'nobody took the lease').toBe(1)
  })

  test('with --dry-run shows the same and ends well', async () => {
    const cwd = await afterRun()
    const shown = await json(['offsets', 'reset', 'orders.ts', '--to', 'orders:1:40', '--dry-run'], cwd)
    expect(shown).toMatchObject({
      v: 1,
      stream: 'orders',
      changed: false,
      dryRun: true,
      moves: [{ topic: 'orders', partition: 1, from: 100, to: 40, readAgain: 60, skipped: 0 }],
      outputs: [{ name: 'files' }, { name: 'console', rewritten: 'printed a second time' }],
      discarded: null,
    })
    expect(await committed(cwd)).toEqual([100, 100, 100])
  })

  test('puts some partitions elsewhere, the next run goes on from there, and the history says why', async () => {
    const cwd = await afterRun()
    const args = ['offsets', 'reset', 'orders.ts', '--to', 'orders:1:40,orders:2:99', '--yes', '--reason', 'a bad deploy']
    const { code, stdout } = await tidemark(args, { cwd })
    expect(code).toBe(0)
    expect(stdout).toMatch(/orders: reset to orders:1:40,orders:2:99\. The next run goes on from there\.\n$/)
    expect(await committed(cwd)).toEqual([100, 40, 99])
    const { entries } = (await json(['offsets', 'history', 'orders.ts', '--limit', '1'], cwd)) as { entries: unknown[] }
    expect(entries).toMatchObject([
      {
        kind: 'reset',
        reason: 'a bad deploy',
        offsets: [
          { partition: 1, offset: 40 },
          { partition: 2, offset: 99 },
        ],
      },
    ])
    expect(await json(['run', 'orders.ts', '--until', 'latest'], cwd, { OUTPUTS: 'files' })).toMatchObject({ batches: 1, records: 61 })
    const again = (await listJsonlFiles(join(cwd, 'out'))).filter(file => file.batchId > 4)
    expect(again.map(({ batchId, partition, fromOffset, untilOffset }) => [batchId, partition, fromOffset, untilOffset])).toEqual([
      [5, 1, 40, 100],
      [5, 2, 99, 100],
    ])
  })

  test('to a time goes to the first record at or after it, and says which partitions have none', async () => {
    const cwd = await afterRun()
    const shown = await tidemark(['offsets', 'reset', 'orders.ts', '--to', '2021-11-01T04:58:00Z', '--dry-run'], { cwd })
    expect(words(shown.stdout)).toEqual(
      expect.arrayContaining([
        'orders/1 100 99 1 0',
        'orders/2 100 99 1 0',
        'No record at or after 2021-11-01T04:58:00Z, so to the end: orders/0.',
      ]),
    )
  })

  test('of a stream that never ran gives it its starting points', async () => {
    const cwd = surgeryJob()
    const { code, stdout } = await tidemark(['offsets', 'reset', 'orders.ts', '--to', 'latest', '--yes'], { cwd })
    expect(code).toBe(0)
    expect(words(stdout)).toContain('orders/0 - 100 0 0')
    expect(await json(['run', 'orders.ts', '--until', 'latest'], cwd)).toMatchObject({ batches: 0 })
  })

  test('to where the stream stands changes nothing and writes nothing', async () => {
    const cwd = await afterRun()
    const { code, stdout } = await tidemark(['offsets', 'reset', 'orders.ts', '--to', 'latest', '--yes'], { cwd })
    expect({ code, stdout }).toMatchObject({ code: 0, stdout: expect.stringContaining('Every partition stands there already.\n') })
    const { entries } = (await json(['offsets', 'history', 'orders.ts', '--limit', '1'], cwd)) as { entries: unknown[] }
    expect(entries).toMatchObject([{ kind: 'batch' }])
  })

  test('outside the log is refused with how far each log reaches', async () => {
    const cwd = await afterRun()
    const to = 'orders:0:101,orders:1:9,orders:7:1'
    const { code, stdout, stderr } = await tidemark(['offsets', 'reset', 'orders.ts', '--to', to, '--yes'], { cwd, env: { FROM: '10' } })
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
    expect(stderr).toContain(
      'orders/0 ends at 100, and 101 is beyond it; orders/1 begins at 10 by now, and 9 is before that; no source of the job has orders/7.',
    )
    expect(await committed(cwd)).toEqual([100, 100, 100])
  })
})

describe('rewind', () => {
  test('goes back before the newest batches, and again from there', async () => {
    const cwd = await afterRun()
    const { stdout } = await tidemark(['offsets', 'rewind', 'orders.ts', '--batches', '2', '--yes'], { cwd })
    expect(stdout).toContain('That is where it stood before batches 3 to 4.')
    expect(await committed(cwd)).toEqual([60, 60, 60])
    await json(['offsets', 'rewind', 'orders.ts', '--batches', '1', '--yes'], cwd)
    expect(await committed(cwd)).toEqual([30, 30, 30])
    expect(await json(['run', 'orders.ts', '--until', 'latest'], cwd, { OUTPUTS: 'files' })).toMatchObject({ records: 210 })
  })

  test('to records that retention has taken is refused', async () => {
    const cwd = await afterRun()
    const { code, stderr } = await tidemark(['offsets', 'rewind', 'orders.ts', '--batches', '3', '--yes'], { cwd, env: { FROM: '50' } })
    expect(code).toBe(2)
    expect(stderr).toContain('orders/0 begins at 50 by now, and 30 is before that')
  })

  test('by more batches than there are is refused', async () => {
    const cwd = await afterRun()
    const { code, stderr } = await tidemark(['offsets', 'rewind', 'orders.ts', '--batches', '5', '--yes'], { cwd })
    expect({ code, stderr }).toMatchObject({ code: 2, stderr: expect.stringContaining('its history has only 4 batches to take back') })
  })
})

describe('while a batch is begun', () => {
  /** Batch 3 is begun and not committed: a record of orders/1 poisons it for the console, when the files may have it. */
  async function poisoned(): Promise<string> {
    const cwd = surgeryJob()
    expect(await tidemark(['run', 'orders.ts', '--until', 'latest'], { cwd, env: { POISON: '75' } })).toMatchObject({ code: 1 })
    return cwd
  }

  test.for([
    ['reset', '--to', 'latest'],
    ['rewind', '--batches', '1'],
  ])('%s is refused and names the two ways', async args => {
    const cwd = await poisoned()
    const [command = '', ...rest] = args
    const { code, stderr } = await tidemark(['offsets', command, 'orders.ts', ...rest, '--yes'], { cwd })
    expect(code).toBe(1)
    expect(stderr).toContain('Batch 3 of orders is begun and not committed')
    expect(stderr).toContain('`tidemark run --finish`, or add --discard')
    expect(await json(['offsets', 'show', 'orders.ts'], cwd)).toMatchObject({ pending: { id: 3 } })
  })

  test('run --finish finishes it, and begins no other', async () => {
    const cwd = await poisoned()
    expect(await json(['run', 'orders.ts', '--finish'], cwd)).toMatchObject({ reason: 'done', batches: 1 })
    expect(await committed(cwd)).toEqual([90, 90, 90])
    const again = await tidemark(['run', 'orders.ts', '--finish'], { cwd })
    expect(again).toMatchObject({ code: 0, stdout: 'orders: done, 0 records in 0 batches (no batch was begun)\n' })
  })

  test('--discard says what each output has of it, gives it up, and its id is not used again', async () => {
    const cwd = await poisoned()
    const args = ['offsets', 'reset', 'orders.ts', '--to', 'orders:1:80', '--discard', '--yes']
    const { code, stdout } = await tidemark(args, { cwd })
    expect(code).toBe(0)
    expect(stdout).toContain('Batch 3 (3 ranges) is begun and would be given up')
    expect(stdout).toMatch(/^ {2}output files has applied (none|all|\d) of 3/m)
    expect(stdout).toContain('  output console cannot say which it has applied: any of 3 tasks\n')
    expect(await json(['offsets', 'show', 'orders.ts'], cwd)).toMatchObject({ pending: null, lastBatchId: 3 })
    expect(await committed(cwd)).toEqual([60, 80, 60])
    const history = await tidemark(['offsets', 'history', 'orders.ts'], { cwd })
    expect(history.stdout).toMatch(/discard +batch 3 given up: 3 ranges, 90 offsets \(by hand: reset to orders:1:80\)/)
  })

  test('--discard names the tasks that an output has', async () => {
    const cwd = await poisoned()
    const before = (await listJsonlFiles(join(cwd, 'out'))).filter(file => file.batchId === 3).map(file => file.partition)
    const shown = await json(['offsets', 'reset', 'orders.ts', '--to', 'latest', '--discard', '--dry-run'], cwd)
    expect(shown).toMatchObject({
      discarded: {
        batchId: 3,
        outputs: [
          { output: 'files', applied: before, tasks: 3 },
          { output: 'console', tasks: 3 },
        ],
      },
    })
    expect(await json(['offsets', 'show', 'orders.ts'], cwd)).toMatchObject({ pending: { id: 3 } })
  })

  test('--discard fences the outputs, so that an attempt from before writes nothing more', async () => {
    const cwd = await poisoned()
    const marker = () => JSON.parse(readFileSync(join(cwd, 'out', '_tidemark', 'output.json'), 'utf8')) as { epoch: number }
    const { epoch } = marker()
    await json(['offsets', 'reset', 'orders.ts', '--to', 'latest', '--discard', '--yes'], cwd)
    expect(marker().epoch).toBeGreaterThan(epoch)
  })
})

describe('while a live lease holds the stream', () => {
  async function held(): Promise<{ cwd: string; store: ReturnType<typeof sqliteOffsets>; owner: string }> {
    const cwd = await afterRun()
    const store = sqliteOffsets({ path: join(cwd, 'orders.offsets.db') })
    await store.acquire('orders', 'host:7:driver', 600_000)
    return { cwd, store, owner: 'host:7:driver' }
  }

  test.for([
    ['offsets', 'reset', 'orders.ts', '--to', 'earliest'],
    ['offsets', 'rewind', 'orders.ts', '--batches', '1'],
    ['streams', 'rm', 'orders', '--store', 'sqlite:orders.offsets.db'],
  ])('%s %s is refused with 4 and names the owner; --steal fences it', async args => {
    const { cwd, store, owner } = await held()
    const lease = await store.acquire('orders', owner, 600_000)
    const refused = await tidemark([...args, '--yes'], { cwd })
    expect(refused).toMatchObject({ code: 4, stderr: expect.stringContaining(`orders is driven by ${owner} (epoch 3)`) })
    expect(await tidemark([...args, '--yes', '--steal'], { cwd })).toMatchObject({ code: 0 })
    await expect(store.renew(lease)).rejects.toMatchObject({ code: 'FENCED' })
    await store.close()
  })
})

describe('export and import', () => {
  test('carry a whole stream into another store, which goes on with it', async () => {
    const cwd = await afterRun()
    const { stdout } = await tidemark(['offsets', 'export', 'orders.ts'], { cwd })
    writeFileSync(join(cwd, 'orders.json'), stdout)
    const imported = await tidemark(['offsets', 'import', 'orders.ts', 'orders.json', '--store', 'sqlite:other.db', '--yes'], { cwd })
    expect(imported.stdout).toBe(
      'orders: epoch 1, last batch 4, 3 partitions, 5 history entries\n' +
        'Where it was exported from it must not run any more: two stores would grant the same epochs. (`offsets copy` sees to that.)\n' +
        'orders: imported. The next run goes on from there.\n',
    )
    const again = await tidemark(['offsets', 'export', '--stream', 'orders', '--store', 'sqlite:other.db'], { cwd })
    expect(JSON.parse(again.stdout)).toEqual(JSON.parse(stdout))
    expect(await json(['run', 'orders.ts', '--until', 'latest', '--store', 'sqlite:other.db'], cwd)).toMatchObject({ batches: 0 })
  })

  test('by a pipe, without a job, and not onto a stream that exists', async () => {
    const cwd = await afterRun()
    const { stdout: input } = await tidemark(['offsets', 'export', 'orders.ts'], { cwd })
    const args = ['offsets', 'import', '-', '--stream', 'orders', '--store', 'sqlite:other.db', '--yes']
    expect(await tidemark(args, { cwd, input })).toMatchObject({ code: 0 })
    const refused = await tidemark(args, { cwd, input })
    expect(refused).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('Import refused: the store has a stream orders already, at epoch 1'),
    })
    const renamed = await tidemark([...args.map(arg => (arg === 'orders' ? 'sales' : arg))], { cwd, input })
    expect(renamed).toMatchObject({ code: 2, stderr: expect.stringContaining('- holds stream orders, and this is sales.') })
  })
})

describe('copy', () => {
  test('retires the stream where it was and puts it into the other store', async () => {
    const cwd = await afterRun()
    const { code, stdout } = await tidemark(['offsets', 'copy', 'orders.ts', '--to', 'sqlite:new.db', '--yes'], { cwd })
    expect(code).toBe(0)
    expect(stdout).toContain('orders: moved. It is retired where it was')
    const old = await tidemark(['run', 'orders.ts', '--until', 'latest'], { cwd })
    expect(old).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('orders was retired and can only be read: moved to sqlite:new.db'),
    })
    expect((await tidemark(['offsets', 'show', 'orders.ts'], { cwd })).stdout).toContain(
      'Retired, and never to run from this store again: moved to sqlite:new.db\n',
    )
    const env = { TIDEMARK_STORE: 'sqlite:new.db' }
    expect(await json(['offsets', 'rewind', 'orders.ts', '--batches', '1', '--yes'], cwd, env)).toMatchObject({ changed: true })
    expect(await json(['run', 'orders.ts', '--until', 'latest'], cwd, env)).toMatchObject({ batches: 1, records: 30 })
  })

  test('cut short between its two steps goes on when it is run again, and then has nothing left to do', async () => {
    const cwd = await afterRun()
    await using store = sqliteOffsets({ path: join(cwd, 'orders.offsets.db') })
    await store.retire(await store.acquire('orders', 'killed', 600_000), 'moved to sqlite:new.db')
    const args = ['offsets', 'copy', 'orders.ts', '--to', 'sqlite:new.db', '--yes']
    const resumed = await tidemark(args, { cwd })
    expect(resumed).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('a copy to sqlite:new.db was cut short. It goes on by putting it there.'),
    })
    await using target = sqliteOffsets({ path: join(cwd, 'new.db') })
    expect(await target.snapshot('orders')).toEqual(await store.snapshot('orders'))
    expect(await tidemark(args, { cwd })).toMatchObject({ code: 0, stdout: 'orders is in sqlite:new.db already. Nothing is left to do.\n' })
  })

  test('to a store that has the stream, or to itself, is refused before anything is retired', async () => {
    const cwd = await afterRun()
    for (const to of ['sqlite:orders.offsets.db', 'sqlite:other.db']) {
      if (to.includes('other')) {
        await using other = sqliteOffsets({ path: join(cwd, 'other.db') })
        await other.acquire('orders', 'somebody', 1000)
      }
      const { code, stderr } = await tidemark(['offsets', 'copy', 'orders.ts', '--to', to, '--yes'], { cwd })
      expect({ code, stderr }).toMatchObject({ code: 1, stderr: expect.stringContaining(`${to} has a stream orders already`) })
    }
    expect(await json(['offsets', 'show', 'orders.ts'], cwd)).not.toHaveProperty('retired')
  })

  test('of a stream that was retired for another reason says which', async () => {
    const cwd = await afterRun()
    await using store = sqliteOffsets({ path: join(cwd, 'orders.offsets.db') })
    await store.retire(await store.acquire('orders', 'x', 1000), 'moved to postgres://elsewhere/db')
    const { code, stderr } = await tidemark(['offsets', 'copy', 'orders.ts', '--to', 'sqlite:new.db', '--yes'], { cwd })
    expect({ code, stderr }).toMatchObject({ code: 1, stderr: expect.stringContaining('moved to postgres://elsewhere/db') })
  })
})

describe('streams', () => {
  test('are listed with where they stand, and removed', async () => {
    const cwd = await afterRun()
    const listed = await tidemark(['streams', '--store', 'sqlite:orders.offsets.db'], { cwd })
    expect(words(listed.stdout)).toEqual(['stream epoch last batch begun partitions retired', 'orders 1 4 - 3 -'])
    const env = { TIDEMARK_STORE: 'sqlite:orders.offsets.db' }
    expect(await json(['streams'], cwd, env)).toMatchObject({
      streams: [{ stream: 'orders', epoch: 1, lastBatchId: 4, pending: null, retired: null }],
    })
    expect(await json(['streams', 'rm', 'orders', '--dry-run'], cwd, env)).toMatchObject({ changed: false })
    const removed = await tidemark(['streams', 'rm', 'orders', '--yes'], { cwd, env })
    expect(removed).toMatchObject({ code: 0, stdout: expect.stringMatching(/orders: removed\n$/) })
    expect((await tidemark(['streams'], { cwd, env })).stdout).toBe('The store has no streams.\n')
    expect(await tidemark(['streams', 'rm', 'orders', '--yes'], { cwd, env })).toMatchObject({ code: 1 })
  })

  test('that are retired stay', async () => {
    const cwd = await afterRun()
    await tidemark(['offsets', 'copy', 'orders.ts', '--to', 'sqlite:new.db', '--yes'], { cwd })
    const { code, stderr } = await tidemark(['streams', 'rm', 'orders', '--store', 'sqlite:orders.offsets.db', '--yes'], { cwd })
    expect({ code, stderr }).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('stays as it is, so that it cannot be run from here by mistake'),
    })
  })
})

test('run --adopt makes an output agree with a store that has another stream of its name', async () => {
  const cwd = await afterRun()
  rmSync(join(cwd, 'out', 'orders'), { recursive: true })
  await json(['streams', 'rm', 'orders', '--yes'], cwd, { TIDEMARK_STORE: 'sqlite:orders.offsets.db' })
  const refused = await tidemark(['run', 'orders.ts', '--until', 'latest'], { cwd })
  expect(refused).toMatchObject({ code: 1, stderr: expect.stringMatching(/^tidemark: .*run with --adopt files\.$/m) })
  expect(await json(['run', 'orders.ts', '--until', 'latest', '--adopt', 'files'], cwd)).toMatchObject({ records: 300 })
  expect(await json(['run', 'orders.ts', '--until', 'latest'], cwd)).toMatchObject({ batches: 0 })
})
