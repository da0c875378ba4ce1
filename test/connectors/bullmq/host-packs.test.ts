import { inspect } from 'node:util'
import { test as baseTest, describe, expect } from 'vitest'
import { serveTasks } from '../../../connectors/bullmq/host/serve-tasks.ts'
import { errorFromWire } from '../../../src/core/error-wire.ts'
import { AuthError, isTidemarkError } from '../../../src/core/errors.ts'
import type { Executor } from '../../../src/core/executor.ts'
import { inProcess } from '../../../src/executors/in-process.ts'
import { group } from '../../../src/testing/executor/contract.ts'
import contractJob from '../../../src/testing/executor/contract-job.ts'
import { services } from '../../support/services.ts'
import { errorOf, HostWorld, Lines, rowsOf } from './host-world.ts'

const test = baseTest.extend<{ world: HostWorld }>({
  world: async ({ onTestFinished }, use) => {
    await use(new HostWorld(services().redis, { onTestFinished }))
  },
})

describe('a pack', () => {
  test('is run, and reported group by group in their order', async ({ world }) => {
    const { id } = await world.serve()
    const groups = [5, 10, 15].map((until, index) => group(world.stream, { partition: index, until, index, outputs: ['rows', 'odd'] }))
    const report = await world.report(id, await world.send(id, groups))
    expect(report.map(rowsOf)).toEqual([
      [5, 2],
      [10, 5],
      [15, 7],
    ])
    const [info] = await world.look()
    expect(info).toMatchObject({ id, slots: 2, state: 'ready', pid: process.pid })
  })

  test('with a group that fails reports its error with class, code and fields, and the results of the others', async ({ world }) => {
    const { id } = await world.serve()
    const groups = [group(world.stream, { topic: 'fails-in-map' }), group(world.stream, { index: 1 })]
    const [failed, ok] = await world.report(id, await world.send(id, groups))
    expect(errorOf(failed)).toMatchObject({
      name: 'RecordError',
      code: 'RECORD',
      details: { topic: 'fails-in-map', partition: 0, offset: 3 },
    })
    expect(failed !== undefined && 'error' in failed && errorFromWire(failed.error).cause).toBeInstanceOf(TypeError)
    expect(rowsOf(ok)).toEqual([10])
  })

  test('is counted: tasks that run, that are done and that failed', async ({ world }) => {
    const { id } = await world.serve()
    const groups = [
      group(world.stream, { topic: 'held' }),
      group(world.stream, { index: 1 }),
      group(world.stream, { topic: 'fails-in-map', index: 2 }),
    ]
    const pack = await world.send(id, groups)
    const counts = async () => (await world.look())[0]?.tasks
    await expect.poll(counts, { timeout: 20_000 }).toEqual({ running: 1, completed: 1, failed: 1 })
    world.openGate()
    await world.report(id, pack)
    await expect.poll(counts, { timeout: 20_000 }).toEqual({ running: 0, completed: 2, failed: 1 })
  })

  test('of a driver whose job differs is run by nobody here, and its report says in what it differs', async ({ world }) => {
    const log = new Lines()
    const { id } = await world.serve({ log })
    const fingerprint = { ...world.fingerprint, sources: 'others', targets: ['source contract', 'outputs elsewhere'] }
    await world.look({ fingerprint })
    const report = await world.report(id, await world.send(id, [group(world.stream), group(world.stream, { index: 1 })], { fingerprint }))
    expect(report).toHaveLength(2)
    const differences = ["the job's own source files", 'what it points at (outputs contract, not outputs elsewhere)']
    for (const one of report)
      expect(errorOf(one)).toMatchObject({ name: 'JobError', details: { differs: true, executor: id, differences } })
    expect(world.notes()).toEqual([])
    await log.untilSays(
      /runs nothing for the driver of .* on driver \(pid 1\): its job differs from this executor's in the job's own source files/,
    )
    expect(log.said.filter(({ message }) => message.includes('differs'))).toHaveLength(1)
  })

  test('of another version of tidemark is refused in words that a driver can show', async ({ world }) => {
    const { id } = await world.serve()
    await world.sendMessage(id, 'from-the-future', { v: 2, packs: 'of another form' })
    const [report] = await world.report(id, 'from-the-future')
    expect(errorOf(report)).toMatchObject({
      name: 'UnsupportedError',
      details: { differs: true, differences: [expect.stringContaining('the version of its messages')] },
    })
    expect(rowsOf((await world.report(id, await world.send(id, [group(world.stream)])))[0])).toEqual([10])
  })

  test('whose gathered rows would make its report too large fails with what to do about it', async ({ world }) => {
    const { id } = await world.serve({ maxReportBytes: 65_536 })
    const large = Array.from({ length: 50 }, (_, index) =>
      group(world.stream, { partition: index % 10, until: 100, index, outputs: ['gathered'] }),
    )
    const report = await world.report(id, await world.send(id, [...large, group(world.stream, { index: 50 })]))
    const error = errorOf(report[0])
    expect(error).toMatchObject({ name: 'ConfigError', code: 'CONFIG', message: expect.stringContaining('limits.maxRecordsPerBatch') })
    expect(rowsOf(report[50])).toEqual([10])
    expect(JSON.stringify(report).length).toBeLessThan(65_536)
  })

  test('of a driver that another has followed is aborted, and the executor goes on for the other', async ({ world }) => {
    const { id } = await world.serve({ slots: 1 })
    const pack = await world.send(id, [group(world.stream, { topic: 'held', epoch: 3 })])
    await world.untilNoted('the read', ({ what }) => what === 'read')
    await world.look({ epoch: 3 })
    await world.look({ epoch: 4 })
    expect(errorOf((await world.report(id, pack))[0])).toMatchObject({ name: 'FencedError', code: 'FENCED' })
    expect(world.notes().filter(({ what }) => what === 'rows')).toEqual([])
    expect(rowsOf((await world.report(id, await world.send(id, [group(world.stream, { epoch: 4, index: 1 })])))[0])).toEqual([10])
  })

  test('of a driver that was followed before it sent it is refused, and writes no row', async ({ world }) => {
    const { id } = await world.serve()
    await world.look({ epoch: 4 })
    const report = await world.report(id, await world.send(id, [group(world.stream, { epoch: 3 })]))
    expect(errorOf(report[0])).toMatchObject({ name: 'FencedError', details: { epoch: 3, newest: 4 } })
    expect(world.notes()).toEqual([])
  })

  test('of another stream id is no pack of an older driver', async ({ world }) => {
    const { id } = await world.serve()
    await world.look({ epoch: 9, streamId: 'of the stream made anew' })
    expect(rowsOf((await world.report(id, await world.send(id, [group(world.stream)])))[0])).toEqual([10])
  })

  test('that its driver cancels is aborted, and its slot is free again', async ({ world }) => {
    const { id } = await world.serve({ slots: 1 })
    const pack = await world.send(id, [group(world.stream, { topic: 'held' })])
    await world.untilNoted('the read', ({ what }) => what === 'read')
    await world.look({ cancelled: [pack] })
    expect(errorOf((await world.report(id, pack))[0]).message).toContain('cancelled')
    expect(rowsOf((await world.report(id, await world.send(id, [group(world.stream, { index: 1 })])))[0])).toEqual([10])
  })

  test('waits in the queue while every slot is taken', async ({ world }) => {
    const { id } = await world.serve({ slots: 1 })
    const first = await world.send(id, [group(world.stream, { topic: 'held' })])
    await world.untilNoted('the read', ({ what }) => what === 'read')
    const second = await world.send(id, [group(world.stream, { index: 1 })])
    await world.look({ cancelled: ['nothing'] })
    expect(await world.queue(id).getJobState(second)).toBe('waiting')
    world.openGate()
    await world.report(id, first)
    expect(rowsOf((await world.report(id, second))[0])).toEqual([10])
  })
})

describe('a run', () => {
  test('is opened once, by packs that come together, and closed when the executor leaves', async ({ world }) => {
    const server = await world.serve({ slots: 4 })
    const packs = await Promise.all([0, 1, 2, 3].map(index => world.send(server.id, [group(world.stream, { partition: index, index })])))
    for (const pack of packs) await world.report(server.id, pack)
    await server.stop()
    const lives = world.notes().flatMap(note => (note.what === 'open' || note.what === 'close' ? [`${note.what} ${note.output}`] : []))
    expect(lives.sort()).toEqual(['close rows', 'close source', 'open rows'])
  })

  test('that cannot be opened here is refused as a job that differs is, with why, and tried again by the next pack', async ({ world }) => {
    const local = inProcess()
    let starts = 0
    const executor: Executor = {
      name: 'refused at first',
      usesGivenJob: true,
      async start(job, context) {
        starts += 1
        if (starts === 1) throw new AuthError('Postgres refused the password of orders', { details: { user: 'orders' } })
        return local.start(job, context)
      },
    }
    const { id } = await world.serve({ executor })
    const groups = [group(world.stream), group(world.stream, { index: 1 })]
    const report = await world.report(id, await world.send(id, groups))
    for (const one of report) {
      expect(errorOf(one)).toMatchObject({
        ...{ name: 'JobError', message: expect.stringContaining('cannot open the job: Postgres refused the password of orders') },
        details: { differs: true, differences: [expect.stringContaining('what it can open where it runs')] },
      })
    }
    expect((await world.report(id, await world.send(id, groups))).map(rowsOf)).toEqual([[10], [10]])
    expect(starts).toBe(2)
  })

  test('of a stream that was removed and made again is closed before the new one is opened', async ({ world }) => {
    const { id } = await world.serve()
    const send = (streamId: string) => world.send(id, [group(world.stream)], { streamId })
    await world.report(id, await send('the first'))
    await world.report(id, await send('the second'))
    await expect
      .poll(() => world.notes().flatMap(note => (note.what === 'open' ? [note.streamId] : note.what === 'close' ? [note.output] : [])), {
        timeout: 20_000,
      })
      .toEqual(['the first', 'source', 'rows', 'the second'])
  })
})

describe('an executor', () => {
  test('is named anew at each start, so two of one machine have queues of their own', async ({ world }) => {
    const [one, other] = [await world.serve(), await world.serve()]
    expect(one.id).not.toBe(other.id)
    expect((await world.look()).map(({ id }) => id).sort()).toEqual([one.id, other.id].sort())
    const packs = await Promise.all(
      [one, other].map(async ({ id }, index) => [id, await world.send(id, [group(world.stream, { index })])] as const),
    )
    for (const [id, pack] of packs) expect(rowsOf((await world.report(id, pack))[0])).toEqual([10])
  })

  test('says that no driver is there, and then whom it works for, each once', async ({ world }) => {
    const log = new Lines()
    const { id } = await world.serve({ log })
    expect(log.said[0]?.message).toContain(`executor ${id} serves`)
    await log.untilSays('no driver runs')
    await world.look()
    await log.untilSays(`runs tasks of ${world.stream} for the driver on driver (pid 1)`)
    await world.report(id, await world.send(id, [group(world.stream)]))
    expect(log.said.filter(({ message }) => /no driver|runs tasks of/.test(message))).toHaveLength(2)
  })

  test('does not start without a job, or with options that are wrong', async ({ world }) => {
    await expect(world.serve({ slots: 0, lockMs: 1 })).rejects.toThrow(/2 options are wrong/)
    const error = await serveTasks({}, { url: world.url, executor: inProcess(), slots: 1 }).catch(given => given)
    expect(isTidemarkError(error, 'JOB')).toBe(true)
  })

  test.for([
    [
      'a Redis that cannot be reached',
      'redis://somebody:swordfish@127.0.0.1:1',
      'CONNECTION',
      /^Redis at 127\.0\.0\.1:1 cannot be reached/,
    ],
    [
      'credentials that Redis refuses',
      services().redis.replace('://', '://somebody:swordfish@'),
      'AUTH',
      /refused the user name or the password/,
    ],
  ] as const)('does not start with %s, and says so without the password', async ([, url, code, message]) => {
    const error = await serveTasks(contractJob, { url, executor: inProcess(), slots: 1 }).catch(given => given)
    expect(error).toMatchObject({ code, message: expect.stringMatching(message) })
    expect(inspect(error, { depth: 9 })).not.toContain('swordfish')
  })
})
