import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import packageJson from '../../../package.json' with { type: 'json' }
import { temporaryFolder } from '../../connectors/files/temporary-folder.ts'
import { findFreePorts } from '../../support/services/free-port.ts'
import { TidemarkProcess, tidemark } from './tidemark-process.ts'
import { writeJob } from './write-job.ts'

function ordersJob(folder: string, broker: string): string {
  return writeJob(
    folder,
    'orders.ts',
    `import { stream } from 'tidemark'
import { jsonlSink } from 'tidemark/files'
import { kafkaSource } from 'tidemark/kafka'
export default stream({ name: 'orders' })
  .from(kafkaSource({ kafka: { brokers: ['${broker}'] }, topics: ['orders'] }))
  .to(jsonlSink({ directory: 'out' }))`,
  )
}

describe('help', () => {
  const offsets = ['show', 'history', 'reset', 'rewind', 'export', 'import', 'copy'].map(command => ['offsets', command])
  const commands = [[], ['run'], ['plan'], ['replay'], ['streams'], ['streams', 'rm'], ['executor'], ['status'], ['offsets'], ...offsets]
  test.for(commands.map(command => [...command, '--help']))('%s is on stdout, with examples', async args => {
    const { code, stdout, stderr } = await tidemark(args)
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(stdout).toContain('Usage: tidemark')
    expect(stdout).toMatch(/Examples?:\n {2}tidemark \w+/)
  })

  test('of the whole names every command and exit code', async () => {
    const { stdout } = await tidemark(['--help'])
    for (const word of [
      'run',
      'plan',
      'offsets',
      'replay',
      'streams',
      'executor',
      'status',
      'TIDEMARK_STORE',
      '0 done',
      '1 failed',
      '2 usage',
      '3 data loss',
      '4 fenced',
      '130',
    ])
      expect(stdout).toContain(word)
  })

  test('without any command it goes to stderr, with exit code 2', async () => {
    const { code, stdout, stderr } = await tidemark([])
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
    expect(stderr).toContain('Usage: tidemark')
  })

  test('--version prints the version of the package', async () => {
    expect(await tidemark(['--version'])).toMatchObject({ code: 0, stdout: `${packageJson.version}\n` })
  })

  test('that nobody reads to its end is no failure', async () => {
    const command = new TidemarkProcess(['--help'])
    command.child.stdout?.destroy()
    expect(await command.ended).toMatchObject({ code: 0, stderr: '' })
  })
})

describe('a wrong call ends with 2 and a hint', () => {
  test.for<[string[], string]>([
    [['runn', 'orders.ts'], 'Did you mean run?'],
    [['run'], "missing required argument 'job'"],
    [['run', 'a.ts', 'b.ts'], 'too many arguments'],
    [['run', 'orders.ts', '--untl', 'latest'], 'Did you mean --until?'],
    [['run', 'orders.ts', '--until'], 'argument missing'],
    [['run', 'orders.ts', '--until', 'yesterday'], "It is 'latest', a date (2026-11-20, in UTC), a time with a zone"],
    [['run', 'orders.ts', '--until', '2026-11-20T12:00:00'], 'a time with a zone'],
    [['run', 'orders.ts', '--until', '1795176000'], '--until 1795176000 is in seconds'],
    [['offsets', 'shw', 'orders.ts'], 'Did you mean show?'],
    [['offsets', 'show'], 'Which stream? Name its job, or --stream with --store.'],
    [
      ['offsets', 'show', '--stream', 'orders'],
      'No store is named. Add --store, such as --store sqlite:orders.offsets.db, or set TIDEMARK_STORE.',
    ],
    [['offsets', 'reset', 'orders.ts'], "required option '--to <where>' not specified"],
    [['offsets', 'reset', 'orders.ts', '--to', 'yesterday'], '--to yesterday is not understood.'],
    [['offsets', 'reset', 'orders.ts', '--to', 'latest', '--reason', 'start'], '--reason is a text of your own'],
    [['offsets', 'rewind', 'orders.ts', '--batches', '0'], '--batches 0 is not understood. It is a whole number from 1.'],
    [['offsets', 'history', 'orders.ts', '--limit', 'all'], '--limit all is not understood.'],
    [['offsets', 'import', 'orders.ts'], 'Which file?'],
    [['offsets', 'import', 'orders.ts', 'missing.json'], 'missing.json cannot be read'],
    [['offsets', 'import', 'orders.ts', 'orders.ts'], 'orders.ts is not what `offsets export` prints'],
    [['offsets', 'copy', 'orders.ts'], 'Where to? Add --to'],
    [['offsets', 'copy', 'orders.ts', '--to', 'other.db'], '--to is not a URL.'],
    [['replay', 'orders.ts'], "required option '--batch <id>' not specified"],
    [['replay', 'orders.ts', '--batch', 'last'], '--batch last is not understood.'],
    [['run', 'orders.ts', '--finish', '--until', 'latest'], '--until has no meaning beside it'],
    [['run', 'orders.ts', '--adopt', 'files:put'], 'Stream orders has no output files:put'],
    [['streams'], 'No store is named.'],
    [['streams', 'rm'], "missing required argument 'name'"],
    [['plan', 'orders.ts', '--store', 'kafka:///topic'], '--store names no server. Write it as kafka://host:port,host:port/topic.'],
    [['plan', 'orders.ts', '--store', 'mysql:db'], '--store names a store of kind mysql:, which is not known'],
    [['plan', 'orders.ts', '--store', 'offsets.db'], '--store is not a URL. It is a URL such as sqlite:path/to/offsets.db, postgres://'],
    [['plan', 'orders.ts', '--store', 'sqlite:'], '--store names no file after sqlite:'],
  ])('%j', async ([args, hint]) => {
    const folder = temporaryFolder()
    ordersJob(folder, 'localhost:1')
    const { code, stdout, stderr } = await tidemark(args, { cwd: folder })
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
    expect(stderr).toContain(hint)
    expect(stderr).not.toMatch(/^\s+at /m)
  })

  test('a store in the environment is told by the variable that names it', async () => {
    const folder = temporaryFolder()
    ordersJob(folder, 'localhost:1')
    const { code, stderr } = await tidemark(['plan', 'orders.ts'], { cwd: folder, env: { TIDEMARK_STORE: 'mysql://user:secret@host' } })
    expect(code).toBe(2)
    expect(stderr).toContain('TIDEMARK_STORE names a store of kind mysql:')
    expect(stderr).not.toContain('secret')
  })
})

test.for([['run'], ['plan'], ['offsets', 'show']])('%s ends with 1 and a sentence, quickly, when no broker is there', async command => {
  const folder = temporaryFolder()
  const [port] = await findFreePorts(1)
  const job = ordersJob(folder, `127.0.0.1:${port}`)
  const startedAt = performance.now()
  const { code, stdout, stderr } = await tidemark([...command, job], { cwd: folder })
  expect({ code, stdout }).toEqual({ code: 1, stdout: '' })
  expect(stderr).toContain(`tidemark: No connection to Kafka at 127.0.0.1:${port}: connect ECONNREFUSED`)
  expect(stderr).toContain('Check that a broker listens there and that it can be reached.')
  expect(stderr).not.toMatch(/^\s+at |\\n\s+at /m)
  expect(performance.now() - startedAt).toBeLessThan(10_000)
  expect(existsSync(join(folder, 'out'))).toBe(false)
})
