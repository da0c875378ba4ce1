import { describe, expect, test } from 'vitest'
import { kafkaSource } from '../../../../connectors/kafka/index.ts'
import { API, faultySockets } from './faulty-socket.ts'
import { committing, heldOrders, once, orders, readCommitted, running, SinkWorld, undrawn } from './sink-world.ts'

const FENCED = { code: 'FENCED' }

describe('a task', () => {
  test('that is in is not drawn again, by this process or another', async () => {
    const world = await SinkWorld.open()
    const [first, second] = [await world.sink(), await world.sink()]
    await first.fence?.(world.mark(1, 1))
    expect(await second.applied?.(world.task())).toBe(false)
    await first.write(world.task(), orders(1, 2, 3), running)
    await first.write(world.task(), undrawn(), running)
    await second.write(world.task(), undrawn(), running)
    const third = await world.sink()
    expect(await third.applied?.(world.task())).toBe(true)
    expect(await world.seen()).toEqual(once(1, 2, 3))
  })

  test('that comes again with another range is a conflict, never a skip', async () => {
    const world = await SinkWorld.open()
    const sink = await world.sink()
    await sink.fence?.(world.mark(1, 1))
    await sink.write(world.task(), orders(1), running)
    const other = world.task({ range: { untilOffset: 150 } })
    const conflict = { name: 'LedgerConflictError', message: expect.stringContaining('[100, 200); it came again as orders/0 [100, 150)') }
    await expect(sink.write(other, undrawn(), running)).rejects.toMatchObject(conflict)
    await expect((await world.sink()).applied?.(other)).rejects.toMatchObject(conflict)
  })

  test('that another attempt is about to commit is waited for, and then not read again', async () => {
    const world = await SinkWorld.open()
    const { asking, looked, commit, writing } = await committing(world)
    const applied = asking.applied?.(world.task())
    await looked
    commit()
    expect(await applied).toBe(true)
    await writing
    expect(await world.seen()).toEqual(once(1))
  })

  test('that another attempt never comes to commit is run again after a while', async () => {
    const world = await SinkWorld.open()
    const { asking, commit, writing } = await committing(world)
    expect(await asking.applied?.(world.task())).toBe(false)
    await asking.write(world.task(), orders(1), running)
    commit()
    // Its rows are in, by the other attempt.
    await writing
    expect(await world.seen()).toEqual(once(1))
  })

  test('without rows has its ledger row all the same', async () => {
    const world = await SinkWorld.open()
    const sink = await world.sink()
    await sink.fence?.(world.mark(1, 1))
    await sink.write(world.task(), orders(), running)
    expect(await (await world.sink()).applied?.(world.task())).toBe(true)
    expect(await world.seen()).toEqual({})
  })

  test('of a batch that is not begun, or before any fence, writes nothing', async () => {
    const world = await SinkWorld.open()
    const sink = await world.sink()
    await expect(sink.write(world.task(), undrawn(), running)).rejects.toMatchObject({
      ...FENCED,
      message: expect.stringContaining('has no fence'),
    })
    await sink.fence?.(world.mark(1, 1))
    await expect(sink.write(world.task({ batchId: 2 }), undrawn(), running)).rejects.toMatchObject(FENCED)
    await expect(sink.write(world.task({ epoch: 2 }), undrawn(), running)).rejects.toMatchObject(FENCED)
    expect(await world.seen()).toEqual({})
  })

  test('is not held up by the open transaction of another task', async () => {
    const world = await SinkWorld.open()
    const [one, other] = [await world.sink(), await world.sink()]
    await one.fence?.(world.mark(1, 1))
    const held = heldOrders(1)
    const writing = one.write(world.task(), held.rows, running)
    await held.reached
    await other.write(world.task({ index: 1 }), orders(2), running)
    expect(await other.applied?.(world.task({ index: 1 }))).toBe(true)
    held.go()
    await writing
    expect(await world.seen()).toEqual(once(1, 2))
  })

  test('that failed in the middle leaves nothing, and brings the same rows to the same partitions when it is run again', async () => {
    const ids = Array.from({ length: 3_000 }, (_, id) => id)
    const replayed = await SinkWorld.open({ partitions: 3, maxRequestBytes: 4_096 })
    const sink = await replayed.sink()
    await sink.fence?.(replayed.mark(1, 1))
    async function* broken() {
      yield ids.slice(0, 2_500).map(id => ({ id }))
      throw new Error('the source broke off')
    }
    await expect(sink.write(replayed.task(), broken(), running)).rejects.toThrow('broke off')
    await sink.write(replayed.task(), orders(...ids), running)

    const plain = await SinkWorld.open({ partitions: 3, maxRequestBytes: 4_096 })
    const other = await plain.sink()
    await other.fence?.(plain.mark(1, 1))
    await other.write(plain.task(), orders(...ids), running)
    const content = async ({ kafka, topic }: SinkWorld) =>
      (await readCommitted(kafka, topic)).map(({ partition, value }) => `${partition} ${value}`)
    expect(await content(replayed)).toEqual(await content(plain))
    expect(await replayed.seen()).toEqual(once(...ids))
  })

  test('that is told to stop ends its transaction, so readers under read_committed go on', async () => {
    const world = await SinkWorld.open({ partitions: 1 })
    const sink = await world.sink()
    await sink.fence?.(world.mark(1, 1))
    const abort = new AbortController()
    const held = heldOrders(1)
    const writing = sink.write(world.task(), held.rows, { ...running, signal: abort.signal })
    await held.reached
    abort.abort(new Error('told to stop'))
    held.go()
    await expect(writing).rejects.toThrow('told to stop')
    await sink.write(world.task({ index: 1 }), orders(2), running)
    expect(await world.seen()).toEqual(once(2))
  })
})

describe('an attempt of which another was started', () => {
  test('that finds its rows in by the other writes nothing and resolves', async () => {
    const world = await SinkWorld.open()
    const [one, other] = [await world.sink(), await world.sink()]
    await one.fence?.(world.mark(1, 1))
    const held = heldOrders(1, 2)
    const writing = one.write(world.task(), held.rows, running)
    await held.reached
    await other.write(world.task(), orders(1, 2), running)
    held.go()
    await writing
    expect(await world.seen()).toEqual(once(1, 2))
  })

  test('that wakes when its batch is complete and the ledger row is trimmed is fenced, and writes nothing', async () => {
    const world = await SinkWorld.open()
    const [one, other] = [await world.sink(), await world.sink()]
    await one.fence?.(world.mark(1, 1))
    const held = heldOrders(1, 2)
    const writing = one.write(world.task(), held.rows, running)
    await held.reached
    await other.write(world.task(), orders(1, 2), running)
    for (const batchId of [2, 3]) await one.fence?.(world.mark(1, batchId))
    held.go()
    await expect(writing).rejects.toMatchObject({ ...FENCED, message: expect.stringContaining('has batches up to 2 complete') })
    expect(await world.seen()).toEqual(once(1, 2))
  })

  test('that took its id and wrote nothing is to be run again', async () => {
    const world = await SinkWorld.open()
    const [one, other] = [await world.sink(), await world.sink()]
    await one.fence?.(world.mark(1, 1))
    const [first, second] = [heldOrders(1), heldOrders(1)]
    const writing = one.write(world.task(), first.rows, running)
    await first.reached
    const late = other.write(world.task(), second.rows, running)
    await second.reached
    first.go()
    await expect(writing).rejects.toMatchObject({ code: 'CONNECTION', retryable: true })
    second.go()
    await late
    await one.write(world.task(), undrawn(), running)
    expect(await world.seen()).toEqual(once(1))
  })
})

describe('an id that was kept from the batch before', () => {
  test('is used again, and taken over from whoever used it in between', async () => {
    const world = await SinkWorld.open()
    const [one, other] = [await world.sink(), await world.sink()]
    for (let batchId = 1; batchId <= 6; batchId++) {
      await one.fence?.(world.mark(1, batchId))
      const sink = batchId % 3 === 0 ? other : one
      await sink.write(world.task({ batchId }), orders(batchId), running)
    }
    expect(await world.seen()).toEqual(once(1, 2, 3, 4, 5, 6))
  })
})

describe('the barrier of a new lease', () => {
  test.for([
    ['a new id', 1],
    ['an id kept from the batch before', 2],
  ] as const)('ends what an older attempt has open under %s, before any task of the new epoch runs', async ([, batchId]) => {
    const world = await SinkWorld.open({ partitions: 1 })
    const [zombie, next] = [await world.sink(), await world.sink()]
    const done: number[] = []
    for (let id = 1; id < batchId; id++) {
      await zombie.fence?.(world.mark(1, id))
      await zombie.write(world.task({ batchId: id }), orders(id), running)
      done.push(id)
    }
    await zombie.fence?.(world.mark(1, batchId))
    const held = heldOrders(99)
    const writing = zombie.write(world.task({ batchId }), held.rows, running)
    await held.reached

    await next.fence?.(world.mark(2, batchId))
    // Nothing is open any more: the last stable offset is the end.
    await using committed = kafkaSource({ kafka: { brokers: world.kafka.brokers }, topics: [world.topic] })
    await using all = kafkaSource({ kafka: { brokers: world.kafka.brokers }, topics: [world.topic], isolation: 'read_uncommitted' })
    expect(await committed.latestOffsets()).toEqual(await all.latestOffsets())
    held.go()
    await expect(writing).rejects.toMatchObject({ ...FENCED, message: expect.stringContaining('is at epoch 2 (host:2)') })
    await expect(zombie.write(world.task({ batchId }), undrawn(), running)).rejects.toMatchObject(FENCED)
    await next.write(world.task({ batchId, epoch: 2 }), orders(99), running)
    expect(await world.seenByJava()).toEqual(once(...done, 99))
  })

  test('reaches every id of a wide batch', async () => {
    const world = await SinkWorld.open({ partitions: 1 })
    const [zombie, next] = [await world.sink(), await world.sink()]
    await zombie.fence?.(world.mark(1, 1))
    const held = Array.from({ length: 12 }, (_, index) => heldOrders(index))
    const writing = held.map(({ rows }, index) => zombie.write(world.task({ index }), rows, running))
    const ended = Promise.allSettled(writing)
    await Promise.all(held.map(({ reached }) => reached))
    await next.fence?.(world.mark(2, 1, { lastComplete: 1 }))
    for (const { go } of held) go()
    const codes = (await ended).map(result => result.status === 'rejected' && result.reason.code)
    expect(codes).toEqual(held.map(() => 'FENCED'))
    expect(await world.seen()).toEqual({})
  })
})

describe('an answer that is lost', () => {
  test.for([
    ['of the commit', API.endTxn],
    ['of the rows', API.produce],
    ['of the beginning', API.addPartitions],
    ['of the takeover of the id', API.initProducerId],
  ] as const)('%s: the task is in once when it is run until it resolves', async ([, apiKey]) => {
    const world = await SinkWorld.open()
    const driver = await world.sink()
    await driver.fence?.(world.mark(1, 1))
    const { socketFactory, hasHappened } = faultySockets({ match: api => api === apiKey, fault: 'lose-answer' })
    const sink = await world.sink({ kafka: { brokers: world.kafka.brokers, socketFactory } })
    for (let tries = 0; ; tries++) {
      try {
        await sink.write(world.task(), orders(1, 2, 3), running)
        break
      } catch (error) {
        expect(error).toMatchObject({ retryable: true })
        expect(tries).toBe(0)
      }
    }
    expect(hasHappened()).toBe(true)
    expect(await world.seenByJava()).toEqual(once(1, 2, 3))
  })

  test('of a fence: it is raised when it is asked for again', async () => {
    const world = await SinkWorld.open()
    const { socketFactory, hasHappened } = faultySockets({ match: api => api === API.endTxn, fault: 'lose-answer' })
    const sink = await world.sink({ kafka: { brokers: world.kafka.brokers, socketFactory } })
    await sink.fence?.(world.mark(1, 1))
    expect(hasHappened()).toBe(true)
    await sink.write(world.task(), orders(1), running)
    expect(await world.seen()).toEqual(once(1))
  })
})
