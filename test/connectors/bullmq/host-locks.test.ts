import { test as baseTest, describe, expect } from 'vitest'
import { lockKey, queueKeys } from '../../../connectors/bullmq/keys.ts'
import { inProcess } from '../../../src/executors/in-process.ts'
import { group } from '../../../src/testing/executor/contract.ts'
import { startRedis } from '../../support/services/start-redis.ts'
import { waitUntil } from '../../support/services/wait-until.ts'
import { services } from '../../support/services.ts'
import { HostWorld, Lines, rowsOf } from './host-world.ts'

const test = baseTest.extend<{ world: HostWorld }>({
  world: async ({ onTestFinished }, use) => {
    await use(new HostWorld(services().redis, { onTestFinished }))
  },
})

const SHORT = { lockMs: 500, stallMs: 1_000 }

/** Resolves when the lock of a pack was renewed so often, and has not lapsed meanwhile. */
async function untilRenewed(world: HostWorld, executor: string, pack: string, times: number): Promise<void> {
  const key = lockKey(world.keys, executor, pack)
  let [renewals, before] = [0, SHORT.lockMs]
  await waitUntil(`${times} renewals`, async () => {
    const left = await world.redis.pttl(key)
    expect(left, 'the lock lapsed').toBeGreaterThan(0)
    if (left > before) renewals += 1
    before = left
    return renewals >= times
  })
}

describe('the lock of a pack', () => {
  test('is renewed as long as bytes come, many times over its own length', async ({ world }) => {
    const { id } = await world.serve(SHORT)
    const pack = await world.send(id, [group(world.stream, { topic: 'held' })])
    await world.untilLocked(id, pack)
    // Ten times it was about to lapse and lives longer again.
    await untilRenewed(world, id, pack, 10)
    world.openGate()
    expect(rowsOf((await world.report(id, pack))[0])).toEqual([10])
  })

  test('lapses when the pack stands still for stallMs: its tasks end, nothing is reported, and the slot is free again', async ({
    world,
  }) => {
    const log = new Lines()
    const { id } = await world.serve({ ...SHORT, slots: 1, log })
    const pack = await world.send(id, [group(world.stream, { topic: 'until-aborted' })])
    await world.untilLocked(id, pack)
    await world.untilNoted('the end of the task', ({ what }) => what === 'failed')
    expect(rowsOf((await world.report(id, await world.send(id, [group(world.stream, { index: 1 })])))[0])).toEqual([10])
    const { job, active } = queueKeys(world.keys, id)
    expect(await world.redis.exists(job(pack))).toBe(0)
    expect(await world.redis.lrange(active, 0, -1)).toEqual([])
    await log.untilSays(`pack ${pack} has stood still for 1000 ms (stallMs)`)
  })

  test('is kept while the pack waits behind another that moves, for longer than stallMs', async ({ world }) => {
    const { id } = await world.serve({ ...SHORT, slots: 2, executor: inProcess({ concurrency: 1 }) })
    const first = await world.send(id, [group(world.stream, { topic: 'held' })])
    await world.untilNoted('the read', ({ what }) => what === 'read')
    const second = await world.send(id, [group(world.stream, { index: 1 })])
    await world.untilLocked(id, second)
    // Renewed a fifth of its life before it would lapse: thirty times are three times stallMs.
    await untilRenewed(world, id, second, 30)
    world.openGate()
    expect(rowsOf((await world.report(id, first))[0])).toEqual([10])
    expect(rowsOf((await world.report(id, second))[0])).toEqual([10])
  })

  test('that somebody else holds ends the tasks at once, and a report would not count', async ({ world }) => {
    const { id } = await world.serve({ slots: 1 })
    const pack = await world.send(id, [group(world.stream, { topic: 'held' })])
    await world.untilNoted('the read', ({ what }) => what === 'read')
    await world.redis.set(lockKey(world.keys, id, pack), 'somebody else', 'KEEPTTL')
    expect(rowsOf((await world.report(id, await world.send(id, [group(world.stream, { index: 1 })])))[0])).toEqual([10])
    expect(await world.redis.hget(queueKeys(world.keys, id).job(pack), 'returnvalue')).toBeNull()
    expect(world.notes().filter(note => note.what === 'wrote' && note.task.index === 0)).toEqual([])
  })

  test('that is gone ends the tasks, also where Redis lost everything, and the executor is there again by itself', async ({
    onTestFinished,
  }) => {
    const redis = await startRedis({ own: true })
    onTestFinished(() => redis.close())
    const world = new HostWorld(redis.address, { onTestFinished })
    const { id } = await world.serve({ slots: 1 })
    const pack = await world.send(id, [group(world.stream, { topic: 'held' })])
    await world.untilNoted('the read', ({ what }) => what === 'read')
    await world.redis.flushall()
    await waitUntil('the executor is known again', async () =>
      (await world.look()).some(info => info.id === id && info.tasks.running === 0),
    )
    const next = await world.send(id, [group(world.stream, { index: 1 })])
    expect(next).not.toBe(pack)
    expect(rowsOf((await world.report(id, next))[0])).toEqual([10])
  })
})

describe('while Redis is away', () => {
  test('tasks go on, and a pack that ends before its lock lapses is reported when Redis is back', async ({ onTestFinished }) => {
    const redis = await startRedis({ own: true })
    onTestFinished(() => redis.close())
    const world = new HostWorld(redis.address, { onTestFinished })
    const log = new Lines()
    const { id } = await world.serve({ lockMs: 30_000, log })
    const pack = await world.send(id, [group(world.stream, { topic: 'held' })])
    await world.untilNoted('the read', ({ what }) => what === 'read')
    await redis.kill()
    await log.untilSays('no heartbeat')
    world.openGate()
    await world.untilNoted('the end of the task', ({ what }) => what === 'wrote')
    await redis.start()
    expect(rowsOf((await world.report(id, pack))[0])).toEqual([10])
    await log.untilSays('Redis answers again')
    expect(log.said.filter(({ message }) => message.includes('no heartbeat'))).toHaveLength(1)
    expect(rowsOf((await world.report(id, await world.send(id, [group(world.stream, { index: 1 })])))[0])).toEqual([10])
  })

  test('a pack ends when its lock is certainly gone, and the executor lives to take the next one', async ({ onTestFinished }) => {
    const redis = await startRedis({ own: true })
    onTestFinished(() => redis.close())
    const world = new HostWorld(redis.address, { onTestFinished })
    const { id } = await world.serve({ ...SHORT, slots: 1 })
    await world.send(id, [group(world.stream, { topic: 'held' })])
    await world.untilNoted('the read', ({ what }) => what === 'read')
    await redis.kill()
    await world.untilNoted('the end of the task', ({ what }) => what === 'failed')
    await redis.start()
    expect(rowsOf((await world.report(id, await world.send(id, [group(world.stream, { index: 1 })])))[0])).toEqual([10])
    expect(world.notes().filter(note => note.what === 'wrote' && note.task.index === 0)).toEqual([])
  })

  test('an executor that is told to drain leaves when its packs are done or lost', async ({ onTestFinished }) => {
    const redis = await startRedis({ own: true })
    onTestFinished(() => redis.close())
    const world = new HostWorld(redis.address, { onTestFinished })
    const server = await world.serve(SHORT)
    await world.send(server.id, [group(world.stream, { topic: 'held' })])
    await world.untilNoted('the read', ({ what }) => what === 'read')
    await redis.kill()
    await server.drain()
    await server.done
    expect(world.notes().some(({ what }) => what === 'failed')).toBe(true)
    expect(world.notes().some(note => note.what === 'close' && note.output === 'source')).toBe(true)
  })
})
