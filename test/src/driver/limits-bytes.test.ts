import { describe, expect, test } from 'vitest'
import type { BatchInfo } from '../../../src/core/events.ts'
import type { OffsetRange } from '../../../src/core/values.ts'
import { readFacts } from '../../../src/driver/batch-facts.ts'
import { OffsetWeights } from '../../../src/driver/offset-weights.ts'
import { ByteShares } from '../../../src/driver/share-bytes.ts'
import { DriverWorld, sizeOf } from './drive.ts'

const LIMIT = 100_000
const HEAVY = 10_000
const LIGHT = 10

/** Runs up to what is there, and gives the batches of this run. */
async function drain(world: DriverWorld, limits = {}): Promise<BatchInfo[]> {
  const before = world.batches.length
  const driver = await world.start({ batchIntervalMs: 0, limits: { maxBytesPerBatch: LIMIT, ...limits } }, { until: 'latest' })
  await driver.done
  return world.batches.slice(before)
}

const bytesOf = (batches: readonly BatchInfo[]) => batches.map(({ numBytes = 0 }) => numBytes)

describe('maxBytesPerBatch', () => {
  test('holds batches to the bytes that offsets weighed in the ones before', async () => {
    const world = new DriverWorld({ t: 1 })
    world.append('t', 0, 1_000, 1_000)
    const batches = await drain(world, { maxRecordsPerBatch: 200 })
    expect(bytesOf(batches)).toEqual([200_000, ...Array.from({ length: 8 }, () => LIMIT)])
  })

  test('weighs partitions one by one: a backlog of heavy records is not taken for the light ones that came before', async () => {
    const world = new DriverWorld({ t: 2 })
    world.append('t', 0, 2, HEAVY)
    world.append('t', 1, 1_000, LIGHT)
    await drain(world, { maxRecordsPerBatch: 600 })
    world.append('t', 0, 100, HEAVY)
    world.append('t', 1, 100, LIGHT)
    const batches = await drain(world)
    expect(Math.max(...bytesOf(batches))).toBeLessThanOrEqual(LIMIT + HEAVY)
    expect(batches.reduce((sum, batch) => sum + sizeOf(batch), 0)).toBe(200)
  })

  test('holds from the first batch after a restart on, for each partition as it was weighed, also those that the last batch did not read', async () => {
    const world = new DriverWorld({ t: 3 })
    world.append('t', 0, 2, HEAVY)
    world.append('t', 1, 500, LIGHT)
    world.append('t', 2, 500, LIGHT)
    await drain(world, { maxRecordsPerBatch: 600 })
    world.append('t', 1, 5, LIGHT)
    await drain(world)
    world.append('t', 0, 100, HEAVY)
    const [first] = await drain(world)
    expect(first?.numBytes).toBe(LIMIT)
  })

  test('is kept to by many partitions of heavy records together: they take turns, and each is read', async () => {
    const world = new DriverWorld({ t: 50 })
    for (let partition = 0; partition < 50; partition++) world.append('t', partition, 2, HEAVY)
    await drain(world, { maxRecordsPerBatch: 50 })
    for (let partition = 0; partition < 50; partition++) world.append('t', partition, 3, HEAVY)
    const batches = await drain(world)
    expect(Math.max(...bytesOf(batches))).toBeLessThanOrEqual(LIMIT + HEAVY)
    expect(batches.length).toBeLessThanOrEqual(16)
    const read = new Set(batches.slice(0, 5).flatMap(({ ranges }) => ranges.map(range => range.partition)))
    expect(read.size).toBe(50)
  })

  test('lets a record that is larger than it through alone', async () => {
    const world = new DriverWorld({ t: 2 })
    world.append('t', 0, 3, 2 * LIMIT)
    world.append('t', 1, 3, 2 * LIMIT)
    const batches = await drain(world, { maxRecordsPerBatch: 2 })
    expect(batches.map(sizeOf)).toEqual([2, 1, 1, 1, 1])
  })

  test('takes a partition that was never read for as heavy as is usual', async () => {
    const world = new DriverWorld({ t: 1 })
    world.append('t', 0, 10, 1_000)
    await drain(world, { maxRecordsPerBatch: 5 })
    world.source.addPartitions('t', 1)
    world.append('t', 1, 1_000, 1_000)
    expect(bytesOf(await drain(world))[0]).toBe(LIMIT)
  })
})

describe('weights', () => {
  const range = (partition: number, fromOffset: number, untilOffset: number): OffsetRange => ({
    topic: 't',
    partition,
    fromOffset,
    untilOffset,
  })

  test('count slices of a partition together, and leave out what an output had already', () => {
    const weights = new OffsetWeights()
    weights.learn([
      { range: range(0, 0, 10), bytes: 100 },
      { range: range(0, 10, 20), bytes: 300 },
      { range: range(1, 0, 10), bytes: 0 },
    ])
    expect(weights.of({ topic: 't', partition: 0 })).toBe(20)
    weights.learn([{ range: range(1, 0, 10), bytes: 20 }])
    expect(weights.of({ topic: 't', partition: 1 })).toBe(2)
  })

  test('that are near the usual one take no room in an intent, and one that is far off does not become it', () => {
    const weights = new OffsetWeights()
    weights.learn(
      Array.from({ length: 1_000 }, (_, partition) => ({ range: range(partition, 0, 10), bytes: 1_000 + (partition % 7) * 50 })),
    )
    weights.learn([{ range: range(1_000, 0, 1), bytes: 1_000_000 }])
    const saved = weights.save()
    expect(saved).toEqual({ bytesPerOffset: expect.any(Number), bytesPerOffsetOf: { t: { '1000': 1_000_000 } } })
    const restored = new OffsetWeights()
    restored.restore(JSON.parse(JSON.stringify(saved)))
    expect(restored.of({ topic: 't', partition: 1_000 })).toBe(1_000_000)
    // A restart and a batch of the heavy partition alone later, the others weigh what they did.
    restored.learn([{ range: range(1_000, 0, 1), bytes: 1_000_000 }])
    expect(restored.of({ topic: 't', partition: 3 })).toBeGreaterThan(100)
    expect(restored.of({ topic: 't', partition: 3 })).toBeLessThan(150)
  })

  test('are read from an intent of before, which has one for all partitions or none', () => {
    const facts = { v: 1, outputs: ['out'], isolation: 'read_committed', job: 'hash' } as const
    const read = (more: object) => {
      const weights = new OffsetWeights()
      weights.restore(readFacts({ id: 1, batchTime: 1, epoch: 1, ranges: [], facts: { ...facts, ...more } }))
      return weights.of({ topic: 't', partition: 0 })
    }
    expect(read({ bytesPerOffset: 73 })).toBe(73)
    expect(read({})).toBeUndefined()
  })

  test('that nobody knows limit nothing', () => {
    const ranges = [range(0, 0, 1_000_000)]
    expect(new ByteShares().limit(ranges, () => undefined, 1)).toEqual(ranges)
  })
})
