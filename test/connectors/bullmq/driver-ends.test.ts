import { getEventListeners } from 'node:events'
import { Cluster } from 'ioredis'
import { describe, expect, test } from 'vitest'
import { bullmq } from '../../../connectors/bullmq/index.ts'
import { silentLog } from '../../../src/core/log.ts'
import { findFreePorts } from '../../support/services/free-port.ts'
import { startRedis } from '../../support/services/start-redis.ts'
import { startRedisCluster } from '../../support/services/start-redis-cluster.ts'
import { waitUntil } from '../../support/services/wait-until.ts'
import { DriverWorld, group, groups, runAll, runnable } from './driver-world.ts'

const never = new AbortController().signal
const context = { streamId: 'stream-id', log: silentLog, signal: never }

describe('a batch that is stopped', () => {
  test('leaves nothing behind: what waits is taken back, and what runs is aborted and has ended', async () => {
    const world = new DriverWorld()
    const server = await world.server(1)
    const run = await world.driver()
    const abort = new AbortController()
    const ended = Promise.allSettled(groups(3, { topic: 'hold' }).map(each => run.run(each, { signal: abort.signal })))
    await world.untilNoted('begin', 1)
    const reason = new Error('enough')
    abort.abort(reason)
    expect(await ended).toEqual(Array.from({ length: 3 }, () => ({ status: 'rejected', reason })))
    expect(world.notes('abort')).toHaveLength(1)
    expect(world.notes('begin')).toHaveLength(1)
    expect(await world.queued(server.id)).toEqual([])
  })

  test('is not listened for once it is over: a signal would hold all the batches of its run', async () => {
    const world = new DriverWorld()
    await world.server(1)
    const run = await world.driver()
    const { signal } = new AbortController()
    const ended = runAll(run, groups(5), signal)
    expect(getEventListeners(signal, 'abort')).toHaveLength(1)
    await ended
    expect(getEventListeners(signal, 'abort')).toHaveLength(0)
  })

  test('in part lets the others of the same job go on', async () => {
    const world = new DriverWorld()
    await world.server(1)
    const run = await world.driver()
    const abort = new AbortController()
    const batch = groups(8, { topic: 'hold' })
    const [first, ...others] = batch.map((each, at) => run.run(each, { signal: at === 0 ? abort.signal : never }))
    await world.untilNoted('begin', 1)
    abort.abort(new Error('only this one'))
    await expect(first).rejects.toThrow('only this one')
    world.letGo()
    expect(await Promise.all(others)).toHaveLength(7)
  })

  test('before it was given out never is', async () => {
    const world = new DriverWorld()
    const run = await world.driver()
    const abort = new AbortController()
    const ended = run.run(group(0), { signal: abort.signal })
    await expect.poll(() => world.troubles.length).toBeGreaterThan(0)
    abort.abort(new Error('enough'))
    await expect(ended).rejects.toThrow('enough')
    const server = await world.server(1)
    await run.run(group(1), { signal: never })
    expect(await world.jobsOf(server.id)).toBe(1)
  })

  test('by the end of the run is taken out of Redis, and the run out of those that are there', async () => {
    const world = new DriverWorld()
    const server = await world.server(1)
    const run = await world.driver()
    const abort = new AbortController()
    const ended = Promise.allSettled(groups(3, { topic: 'hold' }).map(each => run.run(each, { signal: abort.signal })))
    await world.untilNoted('begin', 1)
    abort.abort(new Error('the run ends'))
    await run.close()
    expect((await ended).map(({ status }) => status)).toEqual(['rejected', 'rejected', 'rejected'])
    await world.untilNoted('abort', 1)
    await waitUntil('the queue is empty', async () => (await world.queued(server.id)).length === 0)
    expect(await world.redis.hlen(`{${world.prefix}:fleet}:runs`)).toBe(0)
  })
})

describe('what an earlier driver has left', () => {
  test('is taken back and cancelled by the next driver of the stream, and not by that of another', async () => {
    const world = new DriverWorld()
    await world.server(1)
    const old = await world.driver()
    const left = Promise.allSettled(groups(3, { topic: 'hold' }).map(each => old.run(each, { signal: never })))
    await world.untilNoted('begin', 1)
    const other = await world.driver({}, { stream: 'fleet~replay-1' })
    const beside = other.run(group(9, { topic: 'hold', stream: 'fleet~replay-1' }), { signal: never })
    const next = await world.driver()
    const ended = next.run(group(0, { epoch: 2 }), { signal: never })
    await world.untilNoted('abort', 1)
    await world.untilNoted('begin', 2)
    expect(world.notes('begin').at(-1)?.index).toBe(9)
    world.letGo()
    expect(await ended).toHaveLength(1)
    expect(await beside).toHaveLength(1)
    expect(world.notes('end').map(({ index }) => index)).toEqual([9])
    // It lives, and sees that it is not the stream's driver any more; the first was cancelled on its executor.
    const fenced = { status: 'rejected', reason: { code: 'FENCED', message: expect.stringMatching(/epoch 2/) } }
    expect(await left).toMatchObject([{ status: 'rejected' }, fenced, fenced])
  })
})

describe('the way to Redis', () => {
  test('a password is nowhere in Redis, and neither is the URL', async ({ onTestFinished }) => {
    const redis = await startRedis({ own: true })
    onTestFinished(() => redis.close())
    const admin = new DriverWorld(redis.address)
    const password = 'kept-out-of-redis'
    const rights = [`~{${admin.prefix}:*`, '+@all', '-@dangerous', '-@admin', '+info']
    await admin.redis.call('ACL', 'SETUSER', 'tidemark', 'on', `>${password}`, ...rights)
    const url = new URL(redis.address)
    url.username = 'tidemark'
    url.password = password
    const world = new DriverWorld(url.href, admin.prefix)
    const server = await world.server(1)
    const run = await world.driver()
    const ended = runAll(run, groups(3, { topic: 'hold' }))
    await world.untilNoted('begin', 1)
    const dumps: string[] = []
    for (const key of await admin.redis.keys('*')) dumps.push(key, String(await admin.redis.dumpBuffer(key)))
    expect(dumps.join('\n')).toContain(server.id)
    expect(dumps.join('\n')).not.toContain(password)
    world.letGo()
    expect(await ended).toHaveLength(3)
  })

  test('a wrong password ends the start', async () => {
    const world = new DriverWorld()
    const user = `${world.prefix}-known`
    await world.redis.call('ACL', 'SETUSER', user, 'on', '>right', '~*', '+@all')
    const url = new URL(world.url)
    url.username = user
    url.password = 'wrong-one'
    const started = bullmq({ url: url.href }).start(runnable(), context)
    await expect(started).rejects.toMatchObject({ code: 'AUTH', message: expect.not.stringContaining('wrong-one') })
    await world.redis.call('ACL', 'DELUSER', user)
  })

  test('a Redis that is not there ends the start', async () => {
    const [port] = await findFreePorts(1)
    const started = bullmq({ url: `redis://127.0.0.1:${port}` }).start(runnable(), context)
    await expect(started).rejects.toMatchObject({
      code: 'CONNECTION',
      message: expect.stringMatching(new RegExp(`127\\.0\\.0\\.1:${port}`)),
    })
  })

  test('a server that evicts is warned of', async ({ onTestFinished }) => {
    const redis = await startRedis({ own: true, args: ['--save', '', '--maxmemory-policy', 'allkeys-lru'] })
    onTestFinished(() => redis.close())
    const world = new DriverWorld(redis.address)
    await world.driver()
    expect(world.logged.find(line => line.includes('allkeys-lru'))).toMatch(/Set it to noeviction/)
  })

  test('a Cluster has all keys of a job on one node', async ({ onTestFinished }) => {
    const cluster = await startRedisCluster()
    onTestFinished(() => cluster.close())
    const [node] = cluster.nodes
    const world = new DriverWorld(node?.address ?? '')
    const client = new Cluster([...cluster.startupNodes])
    onTestFinished(() => client.disconnect())
    await world.server(1, undefined, { client })
    const run = await world.driver({ client })
    expect(await runAll(run, groups(20))).toHaveLength(20)
    const holding = await Promise.all(client.nodes('master').map(async master => (await master.keys('*')).length > 0))
    expect(holding.filter(Boolean)).toHaveLength(1)
  })
})

describe('what bullmq() refuses', () => {
  test('a URL that is not set, in the words that all connections have', () => {
    expect(() => bullmq({ url: undefined })).toThrow(
      'bullmq: url is undefined: is REDIS_URL set? Or pass { client }, a Redis or Cluster of ioredis',
    )
  })

  test.for([
    [{ url: 'redis://localhost', maxMessageBytes: 10 }, /maxMessageBytes is 10: expected a whole number of bytes from 4096/],
    [{ url: 'redis://localhost', stragglers: 'kill' }, /stragglers is "kill": expected 'twin' or 'wait'/],
    [{ url: 'redis://localhost', log: silentLog }, /log/],
  ] as const)('%o', ([options, message]) => {
    expect(() => bullmq(options as never)).toThrow(message)
  })

  test('a job that was put together by hand, and one whose module nobody knows', async () => {
    const executor = bullmq({ url: 'redis://localhost' })
    const { origin, ...byHand } = runnable()
    await expect(executor.start(byHand, context)).rejects.toMatchObject({
      code: 'JOB',
      message: expect.stringMatching(/put together by hand/),
    })
    const homeless = { ...byHand, origin: { name: 'fleet', shape: '', targets: [], ...origin, module: undefined } }
    await expect(executor.start(homeless, context)).rejects.toMatchObject({
      code: 'JOB',
      message: expect.stringMatching(/start\(\{ module/),
    })
  })
})
