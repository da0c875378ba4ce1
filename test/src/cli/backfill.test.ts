import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { listJsonlFiles } from '../../../connectors/files/index.ts'
import { surgeryJob } from './surgery-job.ts'
import { TidemarkProcess, tidemark } from './tidemark-process.ts'

function backfill(cwd: string, ...args: string[]) {
  return tidemark(['backfill', 'orders.ts', ...args], { cwd })
}

const HOUR = ['--from', '2021-11-01T01:00Z', '--to', '2021-11-01T02:00Z']
const FILES = ['--output', 'files']

async function idsIn(folder: string): Promise<number[]> {
  const texts = (await listJsonlFiles(folder)).map(({ path }) => readFileSync(path, 'utf8'))
  return texts
    .flatMap(text => text.split('\n').filter(Boolean))
    .map(line => JSON.parse(line).id)
    .sort((a, b) => a - b)
}

describe('tidemark backfill', () => {
  test('runs the job over an hour of the past, says what it understood, and ends with a summary', async () => {
    const cwd = surgeryJob()
    const { code, stdout, stderr } = await backfill(cwd, ...HOUR, ...FILES, '--yes')
    expect(code).toBe(0)
    expect(stdout).toContain('orders~backfill-1: orders from 2021-11-01T01:00:00.000Z to 2021-11-01T02:00:00.000Z, 60 offsets\n')
    expect(stdout).toMatch(/^orders\/2 +20 +40 +20$/m)
    expect(stdout).toContain("Output files: its rows are put into a directory beside the job's own")
    expect(stdout).toMatch(
      /\norders~backfill-1: done, 60 records in 1 batch, \d+ bytes, in \d+\.\d s(, [\d,]+ records\/s)?\n60 rows into files\n$/,
    )
    expect(stderr).toContain('orders~backfill-1: 100 %, 60 records, ')
    expect(await idsIn(join(cwd, 'out~backfill-1'))).toEqual(Array.from({ length: 60 }, (_, at) => 60 + at))
  })

  test('prints the same as JSON', async () => {
    const cwd = surgeryJob()
    const { stdout } = await backfill(cwd, ...HOUR, ...FILES, '--yes', '--json')
    expect(JSON.parse(stdout)).toMatchObject({
      ...{ v: 1, stream: 'orders', name: 'orders~backfill-1', resumed: false, changed: true, dryRun: false },
      ...{ from: { at: 'timestamp', timestamp: Date.UTC(2021, 10, 1, 1) }, to: { at: 'timestamp', timestamp: Date.UTC(2021, 10, 1, 2) } },
      ...{ offsets: 60, reason: 'done', records: 60, rows: 60, rowsByOutput: { files: 60 }, skipped: 0, outsideTime: 0, batches: 1 },
      ranges: [0, 1, 2].map(partition => ({ topic: 'orders', partition, fromOffset: 20, untilOffset: 40 })),
    })
  })

  test('shows a plan with --dry-run, and writes nothing', async () => {
    const cwd = surgeryJob()
    const dry = await backfill(cwd, ...HOUR, '--dry-run')
    expect(dry).toMatchObject({ code: 0 })
    expect(dry.stdout).toMatch(/About 60 records and \d+ bytes, by a sample of 60 offsets\.\n/)
    expect(dry.stdout).toContain('How long its outputs take is not known')
    expect((await backfill(cwd, ...HOUR, '--dry-run', '--max-rate', '10')).stdout).toContain(
      'About 6.0 s, at 10 a second, if the outputs keep up.\n',
    )
    expect(await tidemark(['streams', '--store', 'sqlite:orders.offsets.db'], { cwd })).toMatchObject({
      stdout: 'The store has no streams.\n',
    })
  })

  test('says which offsets the live stream has too, and asks to be told where rows would be there twice', async () => {
    const cwd = surgeryJob()
    await tidemark(['run', 'orders.ts', '--until', 'latest'], { cwd })
    const dry = await backfill(cwd, ...HOUR, '--dry-run')
    expect(dry.stdout).toMatch(/^partition +from +until +offsets +also orders$/m)
    expect(dry.stdout).toContain('orders has written 60 of these offsets.\n')
    expect(dry.stdout).toContain('Output console: rows that are there already, or come, are printed a second time.\n')
    expect(dry.stdout).toMatch(
      /About \d+\.\d s, if it is as fast as the larger of the newest batches|How long its outputs take is not known/,
    )
    expect(dry.stdout).toContain('It would have to be told --append-again, for console would hold rows twice.\n')
    const refused = await backfill(cwd, ...HOUR, '--yes')
    expect(refused).toMatchObject({ code: 2, stderr: expect.stringContaining('Nothing was run: console would hold rows twice') })
    expect(await backfill(cwd, ...HOUR, '--yes', '--append-again')).toMatchObject({ code: 0 })
  })

  test('that fails halfway is gone on with by the same command, which says so', async () => {
    const cwd = surgeryJob()
    const args = ['backfill', 'orders.ts', '--from', 'earliest', '--to', 'latest', '--yes']
    const failed = await tidemark(args, { cwd, env: { POISON: '70' } })
    expect(failed).toMatchObject({ code: 1, stderr: expect.stringContaining('failed on the record at orders/') })
    const { code, stdout } = await tidemark(args, { cwd })
    expect(code).toBe(0)
    expect(stdout).toContain('It was begun before: 180 are done, and it goes on with 120.\n')
    expect(stdout).toMatch(/^partition +from +until +offsets +next$/m)
    expect(stdout).toMatch(/With what it had done before, all of its 300 offsets are done\.\n$/)
    expect(await idsIn(join(cwd, 'out~backfill-1'))).toEqual(Array.from({ length: 300 }, (_, at) => at))
  })

  test('stopped by Ctrl-C finishes its batch, ends with 0, and is gone on with by the same command', async () => {
    const cwd = surgeryJob()
    const args = ['backfill', 'orders.ts', '--from', 'earliest', '--to', 'latest', ...FILES, '--max-rate', '60', '--yes', '--progress']
    const running = new TidemarkProcess(args, { cwd })
    await running.says(/[1-9]\d* records, /)
    running.signal('SIGINT')
    const stopped = await running.ended
    expect(stopped).toMatchObject({ code: 0, stderr: expect.stringContaining('the same command goes on from there') })
    expect(stopped.stdout).toMatch(/orders~backfill-1: stopped, \d+ records.*\n.*\nThe same command goes on with it\.\n$/)
    expect(await tidemark([...args.filter(arg => arg !== '60' && arg !== '--max-rate')], { cwd })).toMatchObject({ code: 0 })
    expect(await idsIn(join(cwd, 'out~backfill-1'))).toEqual(Array.from({ length: 300 }, (_, at) => at))
  })

  test('with nothing to do says why and ends with 0', async () => {
    const cwd = surgeryJob()
    const empty = await backfill(cwd, '--from', '2021-11-02', '--to', '2021-11-03', '--yes')
    expect(empty).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('No record is between the two, so there is nothing to read.\n'),
    })
    const args = [...HOUR, ...FILES, '--name', 'hour', '--yes']
    await backfill(cwd, ...args)
    expect(await backfill(cwd, ...args)).toMatchObject({ code: 0, stdout: expect.stringContaining('It is complete.\n') })
    expect(JSON.parse((await backfill(cwd, ...args, '--json')).stdout)).toMatchObject({ complete: true, changed: false })
  })

  test('of what retention has taken ends with 3, and with --what-is-left goes on', async () => {
    const cwd = surgeryJob()
    const env = { FROM: '30' }
    const refused = await tidemark(['backfill', 'orders.ts', ...HOUR, ...FILES, '--yes'], { cwd, env })
    expect(refused).toMatchObject({
      code: 3,
      stdout: '',
      stderr: expect.stringContaining('Retention may have taken records of the window: orders/0 begins at 30'),
    })
    const rest = await tidemark(['backfill', 'orders.ts', ...HOUR, ...FILES, '--yes', '--what-is-left'], { cwd, env })
    expect(rest).toMatchObject({ code: 0, stdout: expect.stringContaining('done, 30 records') })
  })

  test('shows in the history what it is, without its list of ends', async () => {
    const cwd = surgeryJob()
    await backfill(cwd, ...HOUR, ...FILES, '--yes')
    const { stdout } = await tidemark(['offsets', 'history', '--stream', 'orders~backfill-1', '--store', 'sqlite:orders.offsets.db'], {
      cwd,
    })
    expect(stdout).toContain('(backfill of orders from 2021-11-01T01:00:00.000Z to 2021-11-01T02:00:00.000Z, 60 offsets)')
  })

  test.each([
    [['--to', 'latest'], 'Where the backfill begins is missing. Add --from'],
    [['--from', 'earliest'], 'Where the backfill ends is missing. Add --to'],
    [['--from', 'earliest', '--to', 'latest', '--until-live'], '--to and --until-live are two ends'],
    [['--from', '2021-11-01T00:00', '--to', 'latest'], '--from 2021-11-01T00:00 has no zone'],
    [['--from', 'earliest', '--to', 'later'], "--to later is not understood. It is 'latest', 'live'"],
    [['--from', 'earliest', '--to', 'latest', '--max-rate', '0'], '--max-rate 0 is not understood'],
    [
      ['--from', 'earliest', '--to', '2021-11-02', '--exact-time', '--late', 'soon'],
      '--late soon is not understood. It is a duration: 90s',
    ],
    [['--from', 'earliest', '--to', 'latest', '--output', 'tables'], 'has no output tables'],
    [['--from', 'earliest', '--to', 'latest'], 'there is no terminal to ask on. Add --yes'],
    [['--from', 'earliest', '--until-live', '--yes'], 'orders has not begun'],
  ])('%j is answered clearly, with 2', async (args, message) => {
    const { code, stderr } = await backfill(surgeryJob(), ...args)
    expect({ code, stderr }).toEqual({ code: 2, stderr: expect.stringContaining(message) })
  })
})
