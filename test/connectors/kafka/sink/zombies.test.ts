import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { NodeProcess } from '../../../src/cli/node-process.ts'
import { once, orders, running, SinkWorld, undrawn } from './sink-world.ts'
import type { ZombieOrders } from './zombie-child.ts'

const CHILD = join(import.meta.dirname, 'zombie-child.ts')
const POINTS = ['rows', 'ledger record', 'commit'] as const

/** A process that runs task 0 of batch 1 and has stopped itself in front of a request. */
async function stoppedBefore(world: SinkWorld, stopBefore: ZombieOrders['stopBefore']): Promise<NodeProcess> {
  const { topic, stream, streamId, output } = world
  const { brokers } = world.kafka
  const told: ZombieOrders = { brokers, topic, context: { stream, streamId, output }, task: world.task(), ids: [1, 2], stopBefore }
  const child = new NodeProcess(['--conditions=tidemark-source', CHILD, JSON.stringify(told)])
  await child.says('struck')
  return child
}

describe('an executor that is stopped and taken over writes nothing more when it wakes', () => {
  test.for(POINTS)('before its %s, by a new driver that has run the task', async stopBefore => {
    const world = await SinkWorld.open()
    await (await world.sink()).fence?.(world.mark(1, 1))
    const zombie = await stoppedBefore(world, stopBefore)

    const next = await world.sink()
    await next.fence?.(world.mark(2, 1))
    await next.write(world.task({ epoch: 2 }), orders(1, 2), running)
    await next.fence?.(world.mark(2, 2))
    expect(await world.seen()).toEqual(once(1, 2))

    zombie.wake()
    // Where the ledger's row of its task is not trimmed yet, it finds that its rows are in. What counts is that it writes nothing.
    expect(await zombie.ended).toMatchObject({ code: 0, stdout: expect.stringMatching(/^(FENCED|resolved)$/) })
    await next.write(world.task({ batchId: 2, epoch: 2 }), orders(3), running)
    expect(await world.seenByJava()).toEqual(once(1, 2, 3))
  })

  test.for(POINTS)('before its %s, by a new driver that discards the batch', async stopBefore => {
    const world = await SinkWorld.open()
    await (await world.sink()).fence?.(world.mark(1, 1))
    const zombie = await stoppedBefore(world, stopBefore)
    await (await world.sink()).fence?.(world.mark(2, 1, { lastComplete: 1 }))
    zombie.wake()
    expect(await zombie.ended).toMatchObject({ code: 0, stdout: 'FENCED' })
    expect(await world.seen()).toEqual({})
  })

  test.for(POINTS)('before its %s, by another attempt under the same driver', async stopBefore => {
    const world = await SinkWorld.open()
    const driver = await world.sink()
    await driver.fence?.(world.mark(1, 1))
    const zombie = await stoppedBefore(world, stopBefore)
    await driver.write(world.task(), orders(1, 2), running)
    zombie.wake()
    // The rows are in, by the other attempt.
    expect(await zombie.ended).toMatchObject({ code: 0, stdout: 'resolved' })
    await driver.write(world.task(), undrawn(), running)
    expect(await world.seen()).toEqual(once(1, 2))
  })
})
