import { describe, expect, onTestFinished, test } from 'vitest'
import { kafkaSink } from '../../../../connectors/kafka/index.ts'
import { heldOrders, type Order, once, orders, running, SinkWorld } from './sink-world.ts'

/** A driver's sink, which is never opened, and executors' sinks, which are never prepared: each with connections of its own. */
async function startTwins(world: SinkWorld) {
  const make = () => {
    const sink = kafkaSink<Order>({ kafka: { brokers: world.kafka.brokers }, topic: world.topic })
    onTestFinished(() => sink.close())
    return sink
  }
  const [driver, one, other] = [make(), make(), make()]
  await driver.prepare(world.context())
  await driver.fence(world.mark(1, 1))
  await one.open(world.context())
  await other.open(world.context())
  return { driver, one, other }
}

const ids = Array.from({ length: 1_000 }, (_, id) => id)

describe('two attempts of a task side by side', () => {
  test('have its rows in once: the second fences the first, which finds them in', async () => {
    const world = await SinkWorld.open()
    const { driver, one, other } = await startTwins(world)
    const [first, second] = [heldOrders(...ids), heldOrders(...ids)]
    const firstWriting = one.write(world.task(), first.rows, running)
    await first.reached
    const secondWriting = other.write(world.task(), second.rows, running)
    await second.reached
    second.go()
    await secondWriting
    first.go()
    await firstWriting
    expect(await one.applied(world.task())).toBe(true)
    await driver.fence(world.mark(1, 2))
    expect(await world.seenByJava()).toEqual(once(...ids))
  })

  test('cost the first its work where the second has not ended, which is why a straggler gets no twin', async () => {
    const world = await SinkWorld.open()
    const { one, other } = await startTwins(world)
    const [first, second] = [heldOrders(...ids), heldOrders(...ids)]
    const firstWriting = one.write(world.task(), first.rows, running)
    await first.reached
    const secondWriting = other.write(world.task(), second.rows, running)
    await second.reached
    first.go()
    await expect(firstWriting).rejects.toMatchObject({ code: 'CONNECTION', retryable: true })
    second.go()
    await secondWriting
    expect(await world.seen()).toEqual(once(...ids))
  })

  test('begun at the same moment have its rows in once, whichever of them that was', async () => {
    const world = await SinkWorld.open()
    const { driver, one, other } = await startTwins(world)
    const ended = await Promise.allSettled([one, other].map(sink => sink.write(world.task(), orders(...ids), running)))
    expect(ended.some(({ status }) => status === 'fulfilled')).toBe(true)
    for (const end of ended) if (end.status === 'rejected') expect(end.reason).toMatchObject({ retryable: true })
    await driver.fence(world.mark(1, 2))
    expect(await world.seen()).toEqual(once(...ids))
  })
})

describe('tasks of a batch in several processes', () => {
  test('that change places from batch to batch have each row in once, though every process keeps the ids it has used', async () => {
    const world = await SinkWorld.open()
    const { driver, one, other } = await startTwins(world)
    for (let batchId = 1; batchId <= 6; batchId++) {
      if (batchId > 1) await driver.fence(world.mark(1, batchId))
      const places = batchId % 2 === 0 ? [one, other, one] : [other, one, other]
      await Promise.all(places.map((sink, index) => sink.write(world.task({ batchId, index }), orders(batchId * 10 + index), running)))
    }
    const written = [1, 2, 3, 4, 5, 6].flatMap(batchId => [0, 1, 2].map(index => batchId * 10 + index))
    expect(await world.seen()).toEqual(once(...written))
  })

  test('that live on under a new driver write under its epoch only', async () => {
    const world = await SinkWorld.open()
    const { driver, one, other } = await startTwins(world)
    await one.write(world.task(), orders(1), running)
    await other.write(world.task({ index: 1 }), orders(2), running)
    const next = kafkaSink<Order>({ kafka: { brokers: world.kafka.brokers }, topic: world.topic })
    onTestFinished(() => next.close())
    await next.prepare(world.context())
    await next.fence(world.mark(2, 2))
    await expect(one.write(world.task({ batchId: 2 }), orders(3), running)).rejects.toMatchObject({ code: 'FENCED' })
    await one.write(world.task({ batchId: 2, epoch: 2 }), orders(3), running)
    await other.write(world.task({ batchId: 2, epoch: 2, index: 1 }), orders(4), running)
    await expect(driver.fence(world.mark(1, 2))).rejects.toMatchObject({ code: 'FENCED' })
    await next.fence(world.mark(2, 3))
    await other.write(world.task({ batchId: 3, epoch: 2 }), orders(5), running)
    expect(await world.seen()).toEqual(once(1, 2, 3, 4, 5))
  })
})
