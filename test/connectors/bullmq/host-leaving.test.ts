import { fileURLToPath } from 'node:url'
import { test as baseTest, describe, expect } from 'vitest'
import { queueKeys } from '../../../connectors/bullmq/keys.ts'
import { group } from '../../../src/testing/executor/contract.ts'
import { contractEnvironment } from '../../../src/testing/executor/notes.ts'
import { NodeProcess } from '../../src/cli/node-process.ts'
import { waitUntil } from '../../support/services/wait-until.ts'
import { services } from '../../support/services.ts'
import { errorOf, HostWorld, rowsOf } from './host-world.ts'

const test = baseTest.extend<{ world: HostWorld }>({
  world: async ({ onTestFinished }, use) => {
    await use(new HostWorld(services().redis, { onTestFinished }))
  },
})

/** What is in Redis of an executor's queue. */
function keysOf(world: HostWorld, executor: string): Promise<string[]> {
  return world.redis.keys(`${world.keys.queuePrefix}:${executor}:*`)
}

describe('an executor that drains', () => {
  test('says so at once, ends and reports what it works on, takes nothing more, and leaves no key behind', async ({ world }) => {
    const server = await world.serve()
    const { id } = server
    await world.look()
    const running = await world.send(id, [group(world.stream, { topic: 'held' })])
    await world.untilNoted('the read', ({ what }) => what === 'read')
    const drained = server.drain()
    await waitUntil('the executor says that it drains', async () => (await world.look())[0]?.state === 'draining')
    const late = await world.send(id, [group(world.stream, { index: 1 })])
    world.openGate()
    expect(rowsOf((await world.report(id, running))[0])).toEqual([10])
    expect(await world.queue(id).getJobState(late)).toBe('waiting')
    await world.forget(id, running)
    await world.forget(id, late)
    await drained
    await server.done
    expect(await keysOf(world, id)).toEqual([])
    expect(await world.look()).toEqual([])
    expect(
      world
        .notes()
        .filter(note => note.what === 'wrote')
        .map(note => note.what === 'wrote' && note.task.index),
    ).toEqual([0])
  })

  test('leaves its reports where they are when no driver takes them', async ({ world }) => {
    const server = await world.serve()
    const pack = await world.send(server.id, [group(world.stream)])
    await world.report(server.id, pack)
    await server.drain()
    expect(rowsOf((await world.report(server.id, pack))[0])).toEqual([10])
    expect(await world.look()).toEqual([])
  })

  test('and is stopped then does not wait for its packs any more', async ({ world }) => {
    const server = await world.serve()
    const pack = await world.send(server.id, [group(world.stream, { topic: 'held' })])
    await world.untilNoted('the read', ({ what }) => what === 'read')
    const drained = server.drain()
    await Promise.all([server.stop(), drained])
    expect(errorOf((await world.report(server.id, pack))[0]).message).toContain('was stopped')
  })
})

describe('an executor that is stopped', () => {
  test('aborts its tasks, reports them as work for others, and closes what it opened', async ({ world }) => {
    const server = await world.serve()
    const pack = await world.send(server.id, [group(world.stream, { topic: 'held' }), group(world.stream, { index: 1 })])
    await world.untilNoted('the end of the other', ({ what }) => what === 'wrote')
    await server.stop()
    const [stopped, done] = await world.report(server.id, pack)
    expect(stopped).toMatchObject({ error: { name: 'TaskFailedError', tidemark: { code: 'TASK_FAILED', retryable: true } } })
    expect(rowsOf(done)).toEqual([10])
    expect(world.notes().filter(({ what }) => what === 'close')).toHaveLength(2)
  })

  test('leaves a task behind that listens to no signal, and its lock lapses', async ({ world }) => {
    const server = await world.serve({ lockMs: 500 })
    const pack = await world.send(server.id, [group(world.stream, { topic: 'deaf' })])
    await world.untilNoted('its rows', ({ what }) => what === 'rows')
    await server.stop()
    await waitUntil('the end of the lock', async () => !(await world.isLocked(server.id, pack)))
    expect(await world.redis.lrange(queueKeys(world.keys, server.id).active, 0, -1)).toEqual([pack])
  })

  test('leaves nothing open that would keep its process alive', async ({ world }) => {
    const script = fileURLToPath(new URL('./serve-and-stop.ts', import.meta.url))
    const child = new NodeProcess(['--conditions=tidemark-source', script, world.url, world.prefix], { env: { ...contractEnvironment() } })
    await child.says('serves')
    const [info] = await world.look()
    await world.report(info?.id ?? '', await world.send(info?.id ?? '', [group(world.stream)]))
    child.signal('SIGTERM')
    expect(await child.ended).toMatchObject({ code: 0, signal: null })
  })
})
