import { describe, expect, test } from 'vitest'
import type { Task } from '../../../src/core/values.ts'
import { CollectingSink, type ManualClock } from '../../../src/testing/index.ts'
import { DriverWorld, sizeOf } from './drive.ts'
import { readCases } from './read-cases.ts'

const PID = { pid: { proportional: 1, integral: 0.2, derivative: 0, minRate: 1 } } as const

/** A sink that takes its time for every row; one task at a time, as a destination with one connection. */
class SlowSink extends CollectingSink<unknown> {
  rowsPerSecond: number
  readonly #clock: ManualClock
  #turn: Promise<void> = Promise.resolve()

  constructor(clock: ManualClock, rowsPerSecond: number) {
    super({})
    this.#clock = clock
    this.rowsPerSecond = rowsPerSecond
  }

  override async write(task: Task, rows: AsyncIterable<readonly unknown[]>, context: { readonly signal: AbortSignal }): Promise<void> {
    await super.write(task, rows, context)
    const count = this.collected.at(-1)?.rows.length ?? 0
    this.#turn = this.#turn.then(() => this.#clock.sleep((count / this.rowsPerSecond) * 1_000))
    await this.#turn
  }
}

function slowWorld(partitions: number, rowsPerSecond: number): { world: DriverWorld; sink: SlowSink } {
  let sink: SlowSink | undefined
  const world = new DriverWorld({ t: partitions }, clock => {
    sink = new SlowSink(clock, rowsPerSecond)
    return sink
  })
  return { world, sink: sink as SlowSink }
}

describe('back-pressure', () => {
  test('lowers batches until a slow sink is done with one within the interval, and raises them when it is fast again', async () => {
    const { world, sink } = slowWorld(3, 500)
    for (let partition = 0; partition < 3; partition++) world.append('t', partition, 50_000)
    await using _driver = await world.running({ batchIntervalMs: 1_000, limits: { maxRecordsPerBatch: 3_000 }, backpressure: PID })
    await world.pass(60_000)
    const settled = world.batches.slice(-10)
    expect(sizeOf(world.batches[0] ?? { ranges: [] })).toBe(3_000)
    for (const batch of settled) {
      expect(batch.processingDelay).toBeLessThanOrEqual(1_050)
      expect(sizeOf(batch)).toBeGreaterThan(400)
    }
    sink.rowsPerSecond = 2_000
    await world.pass(60_000)
    expect(sizeOf(world.batches.at(-1) ?? { ranges: [] })).toBeGreaterThan(1_500)
  })

  test('is not misled by a wall clock that jumps an hour, either way', async () => {
    const { world } = slowWorld(1, 500)
    world.append('t', 0, 200_000)
    await using _driver = await world.running({ batchIntervalMs: 1_000, limits: { maxRecordsPerBatch: 3_000 }, backpressure: PID })
    await world.pass(40_300)
    const settled = sizeOf(world.batches.at(-1) ?? { ranges: [] })
    for (const hours of [1, -2]) {
      // In the middle of a batch, where it would count as its processing time.
      world.clock.jump(hours * 3_600_000)
      await world.pass(10_000)
      const batch = world.batches.at(-1)
      expect(batch?.processingDelay).toBeLessThanOrEqual(1_050)
      expect(sizeOf(batch ?? { ranges: [] })).toBeGreaterThan(settled * 0.9)
    }
  })

  const { batchMs, maxRatePerPartition, constantRates, expectedBatchSizes } = readCases<{
    usingRateController: { batchMs: number; maxRatePerPartition: number; constantRates: number[]; expectedBatchSizes: number[] }
  }>('direct-max-messages-per-partition').usingRateController

  test.each(constantRates.map((rate, at) => [rate, expectedBatchSizes[at]] as const))(
    'as in Spark, through the driver: a rate of %d records a second makes batches of %d, the first one too',
    async (initialRate, size) => {
      const { world } = slowWorld(1, 1_000_000)
      world.append('t', 0, 1_000)
      await using _driver = await world.running({
        batchIntervalMs: batchMs,
        limits: { initialRate, maxRatePerPartition },
        // The estimator never asks for less than this, and the first batch only sets its scale.
        backpressure: { pid: { minRate: initialRate } },
      })
      await world.pass(batchMs + 10)
      expect(world.batches.slice(0, 2).map(sizeOf)).toEqual([size, size])
    },
  )

  test('an initial rate without back-pressure is refused: there would be no estimate to end it', async () => {
    await expect(new DriverWorld({ t: 1 }).start({ limits: { initialRate: 100 } })).rejects.toMatchObject({
      code: 'CONFIG',
      message: expect.stringContaining("backpressure is 'off'"),
    })
  })
})

describe('maxRatePerPartition', () => {
  test.each([
    ['a number', 20, [20, 20]],
    ['a function of the partition', ({ partition }: { partition: number }) => (partition === 0 ? 5 : 40), [5, 40]],
  ] as const)('holds for every batch from the first on: %s', async (_, maxRatePerPartition, expected) => {
    const world = new DriverWorld({ t: 2 })
    for (let partition = 0; partition < 2; partition++) world.append('t', partition, 1_000)
    await using _driver = await world.running({ batchIntervalMs: 1_000, limits: { maxRatePerPartition } })
    await world.pass(5_000)
    expect(world.batches.length).toBe(6)
    for (const { ranges } of world.batches) expect(ranges.map(range => range.untilOffset - range.fromOffset)).toEqual(expected)
  })

  test('every cap holds for the first batch, the lowest wins', async () => {
    const world = new DriverWorld({ t: 2 })
    for (let partition = 0; partition < 2; partition++) world.append('t', partition, 1_000)
    const limits = { maxRecordsPerBatch: 100, maxRatePerPartition: 30, initialRate: 20 }
    await using _driver = await world.running({ batchIntervalMs: 1_000, limits, backpressure: PID })
    expect(world.batches[0]?.ranges.map(range => range.untilOffset - range.fromOffset)).toEqual([10, 10])
  })

  describe('without an interval', () => {
    test('holds over every second after the first, however fast batches are', async () => {
      const world = new DriverWorld({ t: 2 })
      for (let partition = 0; partition < 2; partition++) world.append('t', partition, 1_000)
      await using _driver = await world.running({
        batchIntervalMs: 0,
        limits: { maxRatePerPartition: ({ partition }) => (partition === 0 ? 50 : 20) },
      })
      await world.pass(10_000)
      const read = [0, 1].map(partition => world.batches.flatMap(({ ranges }) => ranges.filter(range => range.partition === partition)))
      const counts = read.map(ranges => ranges.reduce((sum, range) => sum + range.untilOffset - range.fromOffset, 0))
      // A batch may hold one second's records; then as many a second.
      expect(counts[0]).toBeGreaterThanOrEqual(450)
      expect(counts[0]).toBeLessThanOrEqual(550)
      expect(counts[1]).toBeLessThanOrEqual(220)
    })

    test('lets a trickle below it through at once', async () => {
      const world = new DriverWorld({ t: 1 })
      await using _driver = await world.running({ batchIntervalMs: 0, limits: { maxRatePerPartition: 100 } })
      for (let id = 1; id <= 20; id++) {
        world.append('t', 0, 1)
        await world.pass(10, 1)
        expect(world.batches.length).toBe(id)
      }
    })
  })

  test('rates that leave no partition a record turn health red with the reason, and nothing spins', async () => {
    const world = new DriverWorld({ t: 1 })
    world.append('t', 0, 100)
    await using _driver = await world.running({ batchIntervalMs: 0, limits: { maxRatePerPartition: 0.5, minRatePerPartition: 0 } })
    await world.pass(5_000)
    expect(world.batches).toEqual([])
    expect(world.source.calls.latestOffsets).toBeLessThan(100)
    expect(world.events).toContainEqual(
      expect.objectContaining({ type: 'health', status: 'red', reason: expect.stringContaining('minRatePerPartition') }),
    )
  })
})
