import { describe, expect, test } from 'vitest'
import { silentLog } from '../../../src/core/log.ts'
import { stream } from '../../../src/index.ts'
import { memorySource } from '../../../src/testing/index.ts'
import { DriverWorld, group, groups, runAll } from './driver-world.ts'

describe('a batch on executors', () => {
  test('of ten thousand ranges is tens of jobs, and every range has its own result', async () => {
    const world = new DriverWorld()
    const servers = [await world.server(2), await world.server(2)]
    const run = await world.driver()
    const batch = groups(10_000)
    const results = await runAll(run, batch)
    expect(results.map(([result]) => result?.task)).toEqual(batch.map(({ tasks: [task] }) => task))
    const jobs = await Promise.all(servers.map(({ id }) => world.jobsOf(id)))
    expect(jobs).toEqual([6, 6])
  })

  test('goes to the executors that have read its partitions before', async () => {
    const world = new DriverWorld()
    const [first, second] = [await world.child(2), await world.child(2)]
    const run = await world.driver()
    world.letGo()
    await runAll(run, groups(12, { topic: 'hold' }))
    const before = new Map(world.notes('end').map(({ index, pid }) => [index, pid]))
    await runAll(run, groups(12, { topic: 'hold', batchId: 2 }))
    const after = world.notes('end').slice(12)
    expect(new Set(before.values())).toEqual(new Set([first.pid, second.pid]))
    expect(after.map(({ index, pid }) => [index, pid])).toEqual(after.map(({ index }) => [index, before.get(index)]))
  })

  test('has more and smaller jobs where a message would be larger than maxMessageBytes', async () => {
    const world = new DriverWorld()
    const server = await world.server(1)
    const run = await world.driver({ maxMessageBytes: 4_096 })
    const results = await runAll(run, groups(300))
    expect(results).toHaveLength(300)
    expect(await world.jobsOf(server.id)).toBe(6)
  })

  test('fails where one range alone is larger than maxMessageBytes, with what to raise', async () => {
    const world = new DriverWorld()
    await world.server(1)
    const run = await world.driver({ maxMessageBytes: 4_096 })
    const large = group(0)
    const range = { ...large.range, topic: 'x'.repeat(5_000) }
    const tasks = large.tasks.map(task => ({ ...task, range }))
    const signal = new AbortController().signal
    await expect(run.run({ ...large, range, tasks }, { signal })).rejects.toMatchObject({
      code: 'JOB',
      message: expect.stringMatching(/maxMessageBytes is 4096\. Raise it/),
    })
  })

  test('fails where a task fails, with the error as it was, and the others end', async () => {
    const world = new DriverWorld()
    await world.server(2)
    const run = await world.driver()
    const signal = new AbortController().signal
    const [failed, ended] = await Promise.allSettled([run.run(group(0, { topic: 'fail' }), { signal }), run.run(group(1), { signal })])
    expect(failed).toMatchObject({ status: 'rejected', reason: { name: 'TypeError', message: 'index 0 fails' } })
    expect(failed.status === 'rejected' && failed.reason).toBeInstanceOf(TypeError)
    expect(ended).toMatchObject({ status: 'fulfilled', value: [{ rows: 0 }] })
  })
})

describe('executors come and go', () => {
  test('without one the driver says so, with the way to one, and goes on when it has come', async () => {
    const world = new DriverWorld()
    const run = await world.driver()
    const ended = runAll(run, groups(3))
    await expect.poll(() => world.troubles.length).toBeGreaterThan(0)
    expect(world.troubles[0]).toMatchObject({
      code: 'CONNECTION',
      message: expect.stringMatching(/No executor of job fleet is there.*tidemark executor/),
    })
    await world.server(1)
    expect(await ended).toHaveLength(3)
  })

  test('one whose job differs is named with what differs, and gets nothing', async () => {
    const world = new DriverWorld()
    const other = stream({ name: 'fleet', log: silentLog })
    other.from(memorySource({ topics: { orders: 1 } })).forEachRange(async () => {})
    const differing = await world.server(4, other)
    const run = await world.driver()
    const ended = runAll(run, groups(3))
    await world.untilLogged(`executor ${differing.id} gets no work: its job differs in its outputs or their stages`)
    await expect.poll(() => world.troubles.at(-1)?.message).toContain(`${differing.id}: waits: its job differs`)
    await world.server(1)
    expect(await ended).toHaveLength(3)
    expect(await world.jobsOf(differing.id)).toBe(0)
    expect(world.logged.filter(line => line.includes(`${differing.id} gets no work`))).toHaveLength(1)
  })

  test('one that joins in the middle of a batch takes over what waits', async () => {
    const world = new DriverWorld()
    const first = await world.child(1)
    const run = await world.driver()
    const ended = runAll(run, groups(3, { topic: 'hold' }))
    await world.untilNoted('begin', 1)
    const second = await world.child(1)
    await world.untilNoted('begin', 2)
    expect(world.notes('begin').map(({ pid }) => pid)).toEqual([first.pid, second.pid])
    world.letGo()
    expect(await ended).toHaveLength(3)
    expect(world.notes('begin')).toHaveLength(3)
  })

  test('one that drains ends what it works on, and what waits there goes to others', async () => {
    const world = new DriverWorld()
    const first = await world.child(1)
    const run = await world.driver()
    const ended = runAll(run, groups(3, { topic: 'hold' }))
    await world.untilNoted('begin', 1)
    first.process.signal('SIGTERM')
    await world.untilLogged(`executor ${first.id} drains`)
    const second = await world.child(2)
    await world.untilNoted('begin', 3)
    world.letGo()
    expect(await ended).toHaveLength(3)
    expect(world.notes('begin').map(({ pid }) => pid)).toEqual([first.pid, second.pid, second.pid])
    expect((await first.process.ended).code).toBe(0)
    await world.untilLogged(`executor ${first.id} left`)
  })
})
