import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test as baseTest, describe, expect } from 'vitest'
import { lockKey } from '../../../connectors/bullmq/keys.ts'
import { group } from '../../../src/testing/executor/contract.ts'
import { writeJob } from '../../src/cli/write-job.ts'
import { startRedis } from '../../support/services/start-redis.ts'
import { waitUntil } from '../../support/services/wait-until.ts'
import { services } from '../../support/services.ts'
import { ExecutorProcess } from './executor-process.ts'
import { errorOf, HostWorld, rowsOf } from './host-world.ts'

const test = baseTest.extend<{ world: HostWorld }>({
  world: async ({ onTestFinished }, use) => {
    await use(new HostWorld(services().redis, { onTestFinished }))
  },
})

describe('tidemark executor', () => {
  test('runs packs in threads, and on SIGTERM reports what runs, closes what it opened, and exits with 0', async ({ world }) => {
    const child = new ExecutorProcess(world)
    const id = await child.served()
    const first = await world.send(
      id,
      Array.from({ length: 10 }, (_, index) => group(world.stream, { partition: index, index })),
    )
    expect((await world.report(id, first)).map(rowsOf)).toEqual(Array.from({ length: 10 }, () => [10]))
    const running = await world.send(id, [
      group(world.stream, { topic: 'held', index: 10 }),
      group(world.stream, { topic: 'fails-in-map', index: 11 }),
    ])
    await world.untilNoted('the read', note => note.what === 'read' && note.range.topic === 'held')
    child.signal('SIGTERM')
    await child.says('drains')
    world.openGate()
    const [held, failed] = await world.report(id, running)
    expect(rowsOf(held)).toEqual([10])
    expect(errorOf(failed)).toMatchObject({ name: 'RecordError', code: 'RECORD' })
    expect(await child.ended).toMatchObject({ code: 0, signal: null, stdout: '' })
    expect(child.stderr).toContain('has left: 11 tasks completed, 1 failed')

    const notes = world.notes()
    for (const note of notes) expect(note).toMatchObject({ pid: child.child.pid })
    const opened = notes.flatMap(note => (note.what === 'open' ? [`${note.threadId} ${note.output}`] : []))
    const closed = notes.flatMap(note => (note.what === 'close' && note.output !== 'source' ? [`${note.threadId} ${note.output}`] : []))
    expect(opened.length).toBeGreaterThan(0)
    expect(new Set(opened).size).toBe(opened.length)
    expect(closed.sort()).toEqual(opened.sort())
  })

  test('exits at a second signal with 130, and the lock of what it ran lapses', async ({ world }) => {
    const child = new ExecutorProcess(world)
    const id = await child.served()
    const pack = await world.send(id, [group(world.stream, { topic: 'held' })])
    await world.untilNoted('the read', ({ what }) => what === 'read')
    child.signal('SIGINT')
    await child.says('drains')
    child.signal('SIGINT')
    expect(await child.ended).toMatchObject({ code: 130, signal: null })
    await waitUntil('the end of the lock', async () => !(await world.isLocked(id, pack)))
    expect(await world.queue(id).getJobState(pack)).toBe('active')
  })

  test('killed with -9 says nothing, and the lock of what it ran lapses', async ({ world }) => {
    const child = new ExecutorProcess(world)
    const id = await child.served()
    const pack = await world.send(id, [group(world.stream, { topic: 'held' })])
    await world.untilNoted('the read', ({ what }) => what === 'read')
    expect(await world.isLocked(id, pack)).toBe(true)
    child.signal('SIGKILL')
    await child.ended
    await waitUntil('the end of the lock', async () => !(await world.isLocked(id, pack)))
    expect(await world.queue(id).getJobState(pack)).toBe('active')
    const seen = async () => (await world.registry.watch()).executors.find(({ info }) => info.id === id)
    await waitUntil('its silence', async () => ((await seen())?.silentForMs ?? 0) > 1_000)
  })

  test('keeps the lock of a task that blocks its thread', async ({ onTestFinished }) => {
    const folder = mkdtempSync(join(tmpdir(), 'tidemark-blocked-'))
    onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
    const module = writeJob(
      folder,
      'blocked.ts',
      `import { stream } from 'tidemark'
import { collectingSink, memorySource } from 'tidemark/testing'
const source = memorySource({ topics: { orders: 1 } })
source.append('orders', 0, { value: 'one' })
export default stream({ name: 'blocked' })
  .from(source)
  .map(() => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0))
  .to(collectingSink({ guarantee: 'at-least-once' }))`,
    )
    const world = new HostWorld(services().redis, { onTestFinished }, 'blocked')
    const child = new ExecutorProcess({ ...world, module, threads: 1 })
    const id = await child.served()
    const [info] = await world.look()
    const endless = group('blocked', { topic: 'orders', until: 1, outputs: ['collect'] })
    const pack = await world.send(id, [endless], { fingerprint: info?.fingerprint ?? world.fingerprint })
    await world.untilLocked(id, pack)
    let [renewals, before] = [0, Number.POSITIVE_INFINITY]
    await waitUntil('renewals for longer than the lock lasts', async () => {
      const left = await world.redis.pttl(lockKey(world.keys, id, pack))
      expect(left, 'the lock lapsed').toBeGreaterThan(0)
      if (left > before) renewals += 1
      before = left
      return renewals >= 8
    })
  })

  test('lives through a Redis that is killed and comes back, and works for drivers again', async ({ onTestFinished }) => {
    const redis = await startRedis({ own: true })
    onTestFinished(() => redis.close())
    const world = new HostWorld(redis.address, { onTestFinished })
    const child = new ExecutorProcess(world)
    const id = await child.served()
    await world.send(id, [group(world.stream, { topic: 'held' })])
    await world.untilNoted('the read', ({ what }) => what === 'read')
    await redis.kill()
    await child.says('no heartbeat')
    await redis.start()
    await child.says('Redis answers again')
    expect(rowsOf((await world.report(id, await world.send(id, [group(world.stream, { index: 1 })])))[0])).toEqual([10])
    world.openGate()
    child.signal('SIGTERM')
    expect(await child.ended).toMatchObject({ code: 0 })
  })

  test('whose job differs from the driver waits, and says in what', async ({ world }) => {
    const child = new ExecutorProcess(world)
    await child.served()
    await child.says(/no driver runs \S+: waiting for one/)
    await world.look({ fingerprint: { ...world.fingerprint, version: '0.0.1', shape: 'another' } })
    await child.says(
      /runs nothing for the driver of .* differs from this executor's in the version of tidemark \(.*, not 0\.0\.1\), its outputs or their stages/,
    )
    await world.look()
    await child.says(/runs tasks of .* for the driver on driver/)
  })
})
