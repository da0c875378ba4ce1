import { describe, expect, test } from 'vitest'
import { kafkaSource } from '../../../../connectors/kafka/index.ts'
import { Slots } from '../../../../src/util/slots.ts'
import { kafkaClient, uniqueName } from '../../../support/kafka.ts'
import { waitUntil } from '../../../support/services/wait-until.ts'
import { once, orders, running, SinkWorld, undrawn } from './sink-world.ts'

/** How many tasks an executor works on at a time here. */
const CONCURRENCY = 8

describe('a batch of 1,000 tasks', () => {
  test('is in once, and found so by the next driver', { timeout: 300_000 }, async () => {
    const world = await SinkWorld.open({ partitions: 4 })
    const sink = await world.sink()
    await sink.fence?.(world.mark(1, 1))
    const ids = [...Array(1_000).keys()]
    const slots = new Slots(CONCURRENCY)
    await Promise.all(ids.map(index => slots.use(() => sink.write(world.task({ index }), orders(index), running))))
    const next = await world.sink()
    await next.fence?.(world.mark(2, 1, { lastWritten: { batchId: 0, tasks: 0 } }))
    await Promise.all(ids.map(index => slots.use(() => next.write(world.task({ index, epoch: 2 }), undrawn(), running))))
    await expect(sink.write(world.task({ index: 5, batchId: 2 }), undrawn(), running)).rejects.toMatchObject({ code: 'FENCED' })
    await next.fence?.(world.mark(2, 2))
    expect(await next.applied?.(world.task({ index: 5 }))).toBe(false)
    expect(await world.seen()).toEqual(once(...ids))
  })
})

describe('the ledger topic', () => {
  test('is compacted, and what is left says the same', { timeout: 180_000 }, async () => {
    const ledgerTopic = uniqueName('ledger')
    const world = await SinkWorld.open({ ledgerTopic })
    const sink = await world.sink()
    const admin = kafkaClient(world.kafka).admin()
    await admin.connect()
    // A segment that is written to is never compacted, so they are short here.
    const entries = { 'segment.ms': '500', 'segment.bytes': '1048576', 'min.cleanable.dirty.ratio': '0.0001', 'delete.retention.ms': '0' }
    const kept = { 'cleanup.policy': 'compact', 'message.timestamp.type': 'LogAppendTime', 'unclean.leader.election.enable': 'false' }
    const configEntries = Object.entries({ ...kept, ...entries }).map(([name, value]) => ({ name, value }))
    await admin.alterConfigs({ validateOnly: false, resources: [{ type: 2, name: ledgerTopic, configEntries }] })
    await admin.disconnect()

    await using source = kafkaSource({ kafka: { brokers: world.kafka.brokers }, topics: [ledgerTopic] })
    const countRecords = async () => {
      const [end] = await source.latestOffsets()
      const range = { topic: ledgerTopic, partition: 0, fromOffset: 0, untilOffset: end?.offset ?? 0 }
      return (await Array.fromAsync(source.read(range))).flat().length
    }
    let batchId = 0
    const writeBatch = async () => {
      batchId += 1
      await sink.fence?.(world.mark(1, batchId))
      await sink.write(world.task({ batchId }), orders(batchId), running)
    }
    for (let batch = 0; batch < 30; batch++) await writeBatch()
    // Each batch wrote three records or more: its fence, its row, and the end of a row.
    await waitUntil('compaction of the ledger', async () => {
      await writeBatch()
      return (await countRecords()) < batchId
    })

    const next = await world.sink()
    await expect(next.fence?.(world.mark(2, batchId - 1))).rejects.toMatchObject({ code: 'CONFLICT' })
    await next.fence?.(world.mark(2, batchId))
    expect(await next.applied?.(world.task({ batchId, epoch: 2 }))).toBe(true)
    await next.write(world.task({ batchId, epoch: 2 }), undrawn(), running)
    const seen = await world.seen()
    expect(seen).toEqual(once(...Array.from({ length: batchId }, (_, at) => at + 1)))
  })
})
