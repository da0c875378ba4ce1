import { describe, expect, test } from 'vitest'
import { startRedis } from '../../support/services/start-redis.ts'
import { DriverWorld, group, groups, runAll } from './driver-world.ts'

const never = new AbortController().signal

describe('what Redis loses', () => {
  test('events that never come are replaced by looking', async () => {
    const world = new DriverWorld()
    await world.server(1)
    const run = await world.driver({ url: await world.blindUrl() })
    expect(await runAll(run, groups(5))).toHaveLength(5)
  })

  test('all keys, in the middle of a batch, are no loss: what was going on goes out again', async ({ onTestFinished }) => {
    const redis = await startRedis({ own: true })
    onTestFinished(() => redis.close())
    const world = new DriverWorld(redis.address)
    await world.server(1)
    const run = await world.driver()
    const ended = runAll(run, groups(3, { topic: 'hold' }))
    await world.untilNoted('begin', 1)
    await world.redis.flushall()
    await world.untilLogged(/goes out again: Redis has it no more/)
    world.letGo()
    expect(await ended).toHaveLength(3)
  })

  test('a Redis that is killed and comes back empty is waited out, with health red', async ({ onTestFinished }) => {
    const redis = await startRedis({ own: true, args: ['--save', '', '--appendonly', 'no'] })
    onTestFinished(() => redis.close())
    const world = new DriverWorld(redis.address)
    await world.server(1)
    const run = await world.driver()
    const ended = runAll(run, groups(3, { topic: 'hold' }))
    await world.untilNoted('begin', 1)
    await redis.kill()
    await expect.poll(() => world.troubles.length, { timeout: 10_000 }).toBeGreaterThan(0)
    expect(world.troubles[0]).toMatchObject({ code: 'CONNECTION', retryable: true })
    await redis.start()
    world.letGo()
    expect(await ended).toHaveLength(3)
    expect(await runAll(run, groups(3, { batchId: 2 }))).toHaveLength(3)
  })
})

describe('an executor that dies', () => {
  test('with kill -9 loses its tasks to another', async () => {
    const world = new DriverWorld()
    const [first, second] = [await world.child(1), await world.child(1)]
    const run = await world.driver()
    const ended = runAll(run, groups(6, { topic: 'hold' }))
    await world.untilNoted('begin', 2)
    first.process.signal('SIGKILL')
    await world.untilLogged(/goes out again/)
    world.letGo()
    expect(await ended).toHaveLength(6)
    const byIndex = Map.groupBy(world.notes('end'), ({ index }) => index)
    expect([...byIndex.keys()].sort()).toEqual([0, 1, 2, 3, 4, 5])
    expect(world.notes('end').every(({ pid }) => pid === second.pid)).toBe(true)
    const [lost] = world.notes('begin').filter(({ pid }) => pid === first.pid)
    const again = world.notes('end').find(({ index }) => index === lost?.index)
    expect(again?.attempt).toBe(`${lost?.attempt}-r2`)
  })

  test('and wakes up later reports to nobody', async () => {
    const world = new DriverWorld()
    const first = await world.child(1)
    const run = await world.driver()
    const ended = run.run(group(0, { topic: 'hold' }), { signal: never })
    await world.untilNoted('begin', 1)
    first.process.signal('SIGSTOP')
    await world.untilLogged(`executor ${first.id} has been silent`)
    const second = await world.child(1)
    await world.untilNoted('begin', 2)
    world.letGo({ pid: first.pid })
    first.process.signal('SIGCONT')
    await world.untilNoted('end', 1)
    await world.untilLogged(`executor ${first.id} is back`)
    await world.untilLooked(2)
    const state = await Promise.race([ended.then(() => 'settled'), Promise.resolve('open')])
    expect(state).toBe('open')
    expect(await world.queued(first.id)).toEqual([])
    world.letGo({ pid: second.pid })
    expect(await ended).toHaveLength(1)
    expect(world.notes('end').map(({ pid }) => pid)).toEqual([first.pid, second.pid])
  })

  test('five times under the same range ends it, and the sixth is spared', async () => {
    const world = new DriverWorld()
    const run = await world.driver()
    const ended = run.run(group(0, { topic: 'exit' }), { signal: never })
    ended.catch(() => {})
    for (let count = 1; count <= 5; count++) {
      const { process } = await world.child(1)
      expect((await process.ended).code).toBe(3)
    }
    await expect(ended).rejects.toMatchObject({
      code: 'TASK_FAILED',
      retryable: false,
      message: expect.stringMatching(/was lost with 5 executors.*whether they ended .* or left it because it stood still/),
    })
    const spared = await world.child(1)
    await run.run(group(1), { signal: never })
    expect(spared.process.child.exitCode).toBeNull()
    expect(world.notes('begin')).toHaveLength(5)
  })
})

describe('a straggler', () => {
  async function oneHolds(output: 'plain' | 'twins', options = {}, world = new DriverWorld()) {
    const [first, second] = [await world.child(1), await world.child(1)]
    const run = await world.driver(options)
    const batch = [...groups(7, { output }), group(7, { topic: 'hold', output })]
    const ended = runAll(run, batch)
    await world.untilNoted('begin', 1)
    const [{ pid = 0 } = {}] = world.notes('begin')
    return { world, ended, slow: pid, other: pid === first.pid ? second.pid : first.pid }
  }

  test('gets a twin on another executor where its outputs allow that; the first to end counts and the other is cancelled', async () => {
    const { world, ended, slow, other } = await oneHolds('twins')
    await world.untilNoted('begin', 2)
    expect(world.notes('begin').map(({ pid }) => pid)).toEqual([slow, other])
    world.letGo({ pid: other })
    expect(await ended).toHaveLength(8)
    await world.untilNoted('abort', 1)
    expect(world.notes('abort')).toMatchObject([{ pid: slow }])
  })

  test('gets a twin also where events never come, and only looks tell what has ended', async () => {
    const world = new DriverWorld()
    const { ended, slow, other } = await oneHolds('twins', { url: await world.blindUrl() }, world)
    await world.untilNoted('begin', 2)
    expect(world.notes('begin').map(({ pid }) => pid)).toEqual([slow, other])
    world.letGo()
    expect(await ended).toHaveLength(8)
  })

  test.for([
    ['an output that does not allow it', 'plain', {}],
    ["stragglers: 'wait'", 'twins', { stragglers: 'wait' }],
  ] as const)('has none with %s', async ([, output, options]) => {
    const { world, ended, slow } = await oneHolds(output, options)
    await world.untilLooked(5)
    world.letGo({ pid: slow })
    expect(await ended).toHaveLength(8)
    expect(world.notes('begin')).toHaveLength(1)
  })
})
