import { describe, expect, test } from 'vitest'
import { createTopic, uniqueName } from '../../../support/kafka.ts'
import { API, faultySockets } from './faulty-socket.ts'
import { committing, once, orders, running, SinkWorld, undrawn } from './sink-world.ts'

/** A world whose driver has written batches 1 to `last`, each of one task. */
async function writtenUpTo(last: number) {
  const world = await SinkWorld.open()
  const sink = await world.sink()
  for (let batchId = 1; batchId <= last; batchId++) {
    await sink.fence?.(world.mark(1, batchId))
    await sink.write(world.task({ batchId }), orders(batchId), running)
  }
  return { world, sink }
}

describe('the fence refuses', () => {
  test('a driver that was paused while another took over, and that driver’s fence stands', async () => {
    const { world, sink } = await writtenUpTo(1)
    const next = await world.sink()
    await next.fence?.(world.mark(2, 1))
    const fenced = { code: 'FENCED', message: expect.stringMatching(/by epoch 2 of stream .* \(host:2\); this driver has epoch 1/) }
    await expect(sink.fence?.(world.mark(1, 2))).rejects.toMatchObject(fenced)
    await expect((await world.sink()).fence?.(world.mark(1, 2))).rejects.toMatchObject(fenced)
    await next.fence?.(world.mark(2, 2))
    await next.write(world.task({ batchId: 2, epoch: 2 }), orders(2), running)
  })

  test('a driver that was paused between its look and its write: the row is never lowered', async () => {
    const world = await SinkWorld.open()
    const next = await world.sink()
    const { socketFactory, hasHappened } = faultySockets({
      match: apiKey => apiKey === API.addPartitions,
      fault: () => next.fence?.(world.mark(2, 1)),
    })
    const zombie = await world.sink({ kafka: { brokers: world.kafka.brokers, socketFactory } })
    await expect(zombie.fence?.(world.mark(1, 1))).rejects.toMatchObject({ code: 'CONNECTION', retryable: true })
    expect(hasHappened()).toBe(true)
    await expect(zombie.fence?.(world.mark(1, 1))).rejects.toMatchObject({ code: 'FENCED' })
    await next.write(world.task({ epoch: 2 }), orders(1), running)
    expect(await world.seen()).toEqual(once(1))
  })

  test('an epoch that was granted twice: the store lost a write', async () => {
    const { world } = await writtenUpTo(1)
    const other = await world.sink()
    await expect(other.fence?.(world.mark(1, 1, { owner: 'another' }))).rejects.toMatchObject({
      code: 'CONFLICT',
      message: expect.stringContaining('was granted twice: to host:1'),
    })
  })

  test('another stream id: the store was replaced, and its tasks write nothing', async () => {
    const { world } = await writtenUpTo(1)
    const other = await world.sink()
    await other.open?.({ ...world.context(), streamId: 'another' })
    await expect(other.write(world.task(), undrawn(), running)).rejects.toMatchObject({ code: 'FENCED' })
    await expect(other.fence?.(world.mark(2, 1, { streamId: 'another' }))).rejects.toMatchObject({
      code: 'CONFLICT',
      message: expect.stringMatching(/store was replaced or its stream removed, or two streams share this name.*--adopt out/),
    })
  })

  test('a batch that the store does not know: the store was rolled back', async () => {
    const { world } = await writtenUpTo(3)
    const other = await world.sink()
    await expect(other.fence?.(world.mark(2, 2, { lastComplete: 2 }))).rejects.toMatchObject({
      code: 'CONFLICT',
      message: expect.stringContaining('has begun batch 3 of stream'),
    })
  })

  test('a complete batch that the ledger does not know: the destination was rolled back', async () => {
    const { world } = await writtenUpTo(2)
    const other = await world.sink()
    const mark = world.mark(2, 3, { lastComplete: 3, lastWritten: { batchId: 3, tasks: 1 } })
    const refused = { code: 'CONFLICT', message: expect.stringMatching(/does not have batch 3 .* Of batch 2 it has 1 task:/) }
    await expect(other.fence?.(mark)).rejects.toMatchObject(refused)
    await other.fence?.(world.mark(2, 2, { lastComplete: 2, lastWritten: { batchId: 2, tasks: 1 } }))
  })

  test('a ledger that is gone', async () => {
    const { world } = await writtenUpTo(2)
    const other = await world.sink({ ledgerTopic: uniqueName('ledger') })
    const mark = world.mark(2, 2, { lastComplete: 2, lastWritten: { batchId: 2, tasks: 1 } })
    await expect(other.fence?.(mark)).rejects.toMatchObject({ code: 'CONFLICT', message: expect.stringContaining('batches up to 2') })
  })
})

describe('a new driver', () => {
  test('counts the tasks of the last batch when none of them is open: a commit is answered before its marker is in the log', async () => {
    const world = await SinkWorld.open()
    const { asking, looked, commit, writing } = await committing(world)
    const fenced = asking.fence?.(world.mark(2, 1, { lastComplete: 1, lastWritten: { batchId: 1, tasks: 1 } }))
    await looked
    commit()
    await fenced
    await writing
    expect(await world.seen()).toEqual(once(1))
  })
})

describe('after a person has looked', () => {
  test('--adopt sets the fence to the store’s values, and batch ids are used again', async () => {
    const { world } = await writtenUpTo(3)
    const other = await world.sink()
    await other.fence?.(world.mark(2, 1, { lastComplete: 1, adopt: true }))
    await other.fence?.(world.mark(2, 2))
    await other.write(world.task({ epoch: 2, batchId: 2 }), orders(22), running)
    await other.fence?.(world.mark(2, 3))
    const narrower = world.task({ epoch: 2, batchId: 3, range: { untilOffset: 310 } })
    await other.write(narrower, orders(33), running)
    expect(await world.seen()).toEqual(once(1, 2, 3, 22, 33))
  })
})

describe('two outputs', () => {
  test('of a stream keep their fences and ledgers apart in one topic, also in one sink', async () => {
    const world = await SinkWorld.open()
    const sink = await world.sink()
    const outputs = ['out', 'out-1', 'out,"1']
    for (const output of outputs) {
      await sink.open?.({ ...world.context(), output })
      await sink.fence?.(world.mark(1, 1, { output }))
    }
    await Promise.all(outputs.map((output, id) => sink.write(world.task({ output }), orders(id), running)))
    const other = await world.sink()
    for (const output of [...outputs, 'never']) {
      await other.open?.({ ...world.context(), output })
      expect(await other.applied?.(world.task({ output })), output).toBe(output !== 'never')
    }
    expect(await world.seen()).toEqual(once(0, 1, 2))
  })
})

describe('the ledger topic', () => {
  test('is made with what it needs', async () => {
    const ledgerTopic = uniqueName('ledger')
    const world = await SinkWorld.open({ ledgerTopic })
    await world.sink()
    await (await world.sink()).fence?.(world.mark(1, 1))
  })

  test('is refused where it forgets, with the change to make', async () => {
    const ledgerTopic = await createTopic(uniqueName('ledger'), { config: { 'cleanup.policy': 'compact,delete' } })
    const world = await SinkWorld.open({ ledgerTopic })
    await expect(world.sink()).rejects.toMatchObject({
      code: 'CONFIG',
      message: expect.stringContaining(
        `kafka-configs.sh --alter --entity-type topics --entity-name ${ledgerTopic} --add-config cleanup.policy=compact,message.timestamp.type=LogAppendTime`,
      ),
    })
  })
})
