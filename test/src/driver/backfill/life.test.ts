import { describe, expect, onTestFinished, test, vi } from 'vitest'
import type { StreamEvent } from '../../../../src/core/events.ts'
import { collectingSink } from '../../../../src/testing/index.ts'
import { BackfillWorld, minute, shown, values } from './backfill-world.ts'

const ALL = { from: 'earliest', to: 'latest' } as const

/** Fails a backfill at its second batch, which stays begun. */
async function cutShort(world: BackfillWorld, options: Parameters<BackfillWorld['backfill']>[0]): Promise<void> {
  world.sink.failNext(new Error('the destination went away'), { batchId: 2 })
  await expect(world.backfill(options)).rejects.toThrow('the destination went away')
}

describe('a backfill', () => {
  test('has a stream, positions and a ledger of its own, and leaves the live stream as it is', async () => {
    const world = new BackfillWorld()
    await world.fill(30)
    await world.runLive()
    const before = await world.store.snapshot('orders')
    const { plan, ...summary } = await world.backfill({ ...ALL, appendAgain: true })
    expect(plan.name).toBe('orders~backfill-1')
    expect(summary).toMatchObject({
      reason: 'done',
      records: 60,
      rows: 60,
      rowsByOutput: { rows: 60 },
      batches: 3,
      skipped: 0,
      outsideTime: 0,
    })
    expect(summary.bytes).toBeGreaterThan(0)
    expect(world.rowsOf('orders~backfill-1')).toEqual(values([0, 1], 0, 30))
    expect(await world.store.snapshot('orders')).toEqual(before)
  })

  test('that was cut short is gone on with by the same call: its batch first, and nothing twice', async () => {
    const world = new BackfillWorld()
    await world.fill(30)
    await cutShort(world, ALL)
    const { plan, records } = await world.backfill(ALL)
    expect(plan).toMatchObject({ name: 'orders~backfill-1', isResumed: true, isComplete: false, offsets: 60, left: 40 })
    expect(plan.ranges.map(({ position }) => position)).toEqual([10, 10])
    // A task of the batch that was begun may have been in before the other one failed; it is not read again.
    expect([30, 40]).toContain(records)
    expect(world.rowsOf('orders~backfill-1')).toEqual(values([0, 1], 0, 30))
  })

  test('that was settled is gone on with where the clock says now that its end is yet to come', async () => {
    const world = new BackfillWorld()
    await world.fill(30)
    const window = { from: minute(0), to: minute(30) }
    await cutShort(world, window)
    vi.useFakeTimers({ toFake: ['Date'], now: minute(10).timestamp })
    onTestFinished(() => void vi.useRealTimers())
    await expect(world.plan({ ...window, to: minute(20) })).rejects.toMatchObject({ message: expect.stringContaining('yet to come') })
    expect((await world.backfill(window)).plan).toMatchObject({ name: 'orders~backfill-1', isResumed: true, offsets: 60 })
    expect(world.rowsOf('orders~backfill-1')).toEqual(values([0, 1], 0, 30))
  })

  test('that is complete is another the next time, and by its name it is the same', async () => {
    const world = new BackfillWorld()
    await world.fill(30)
    await world.backfill(ALL)
    expect((await world.backfill({ ...ALL, appendAgain: true })).plan.name).toBe('orders~backfill-2')
    await world.backfill({ ...ALL, name: 'audit', appendAgain: true })
    expect(await world.plan({ ...ALL, name: 'audit' })).toMatchObject({ isComplete: true, isResumed: true, left: 0 })
    expect(await world.backfill({ ...ALL, name: 'audit' })).toMatchObject({ records: 0 })
  })

  test.each([
    ['other bounds', { from: minute(5) }],
    ['another end', { to: minute(20) }],
    ['exact time', { from: minute(0), exactTime: true }],
  ])('with %s is another one', async (_, other) => {
    const world = new BackfillWorld()
    await world.fill(30)
    await cutShort(world, ALL)
    expect((await world.plan({ ...ALL, ...other })).name).toBe('orders~backfill-2')
    await expect(world.plan({ ...ALL, ...other, name: 'orders~backfill-1' })).rejects.toMatchObject({
      code: 'CONFIG',
      message: expect.stringContaining('orders~backfill-1 that is another backfill'),
    })
  })

  test('does not take the name of a stream that is none', async () => {
    const world = new BackfillWorld()
    await world.fill(30)
    await (await world.job().start({ until: 'latest', name: 'audit' })).done
    await expect(world.plan({ ...ALL, name: 'audit' })).rejects.toMatchObject({
      message: expect.stringContaining('audit that is no backfill'),
    })
  })

  test('keeps its bounds over growth, retention and partitions that are added', async () => {
    const world = new BackfillWorld()
    await world.fill(30)
    await cutShort(world, ALL)
    world.source.addPartitions('orders', 1)
    await world.fill(30)
    for (const partition of [0, 1]) world.source.deleteBefore('orders', partition, 10)
    const { plan } = await world.backfill(ALL)
    expect(shown(plan)).toEqual(['0 [0, 30)', '1 [0, 30)'])
    expect(world.rowsOf('orders~backfill-1')).toEqual(values([0, 1], 0, 30))
    expect((await world.store.read('orders~backfill-1')).offsets.map(({ partition, offset }) => [partition, offset])).toEqual([
      [0, 30],
      [1, 30],
    ])
  })

  test('reads and writes nothing of partitions that it is not about, wherever the job would begin them', async () => {
    const world = new BackfillWorld({ partitions: 3, startingOffsets: { at: 'timestamp', timestamp: 9e12, noMatch: 'fail' } })
    await world.fill(30)
    expect(await world.backfill({ from: 'orders:1:5', to: 'orders:1:9' })).toMatchObject({ reason: 'done', records: 4 })
    expect((await world.store.read('orders~backfill-1')).offsets).toMatchObject([{ partition: 1, offset: 9 }])
  })

  test('is settled by one entry of the history, which says what was asked, where it begins and where it ends', async () => {
    const world = new BackfillWorld()
    await world.fill(30)
    await world.backfill({ from: minute(10), to: 'latest' })
    const [first] = (await Array.fromAsync(world.store.history('orders~backfill-1'))).reverse()
    expect(first).toMatchObject({ kind: 'reset', offsets: [{ offset: 10 }, { offset: 10 }] })
    expect(JSON.parse((first as { reason: string }).reason.replace(/^backfill /, ''))).toEqual({
      v: 1,
      of: 'orders',
      asked: { from: minute(10), to: { at: 'latest' }, exactTime: false, lateMs: 0, outputs: ['rows'] },
      ends: {
        orders: [
          [0, 30],
          [1, 30],
        ],
      },
    })
  })

  test('whose first start ended before it was settled is begun under the same name', async () => {
    const world = new BackfillWorld()
    await world.fill(30)
    await world.store.release(await world.store.acquire('orders~backfill-1', 'killed at once', 60_000))
    expect((await world.backfill(ALL)).plan.name).toBe('orders~backfill-1')
  })

  test('settled by a newer version is left alone', async () => {
    const world = new BackfillWorld()
    await world.fill(30)
    const lease = await world.store.acquire('orders~backfill-1', 'newer', 60_000)
    await world.store.reset(lease, [{ topic: 'orders', partition: 0, offset: 0 }], { reason: 'backfill {"v":2}' })
    await expect(world.plan(ALL)).rejects.toMatchObject({ code: 'CONFIG', message: expect.stringContaining('newer version of tidemark') })
  })

  test('stands by while another start of it is alive, and finds it done', async () => {
    const world = new BackfillWorld()
    await world.fill(30)
    const events: StreamEvent[] = []
    const first = await world.job().backfill(ALL)
    first.pause()
    const second = await world.job().backfill({ ...ALL, listeners: [event => events.push(event)] })
    expect(events.map(({ type }) => type)).toContain('standingBy')
    first.resume()
    await first.done
    expect(await second.done).toMatchObject({ reason: 'done' })
    expect(world.rowsOf('orders~backfill-1')).toEqual(values([0, 1], 0, 30))
  })

  test('can be paused, stopped and gone on with from code', async () => {
    const world = new BackfillWorld()
    await world.fill(200)
    let batches = 0
    const paused = Promise.withResolvers<void>()
    const run = await world.job().backfill({
      ...ALL,
      listeners: [
        event => {
          if (event.type !== 'batchCompleted' || ++batches !== 3) return
          run.pause()
          paused.resolve()
        },
      ],
    })
    await paused.promise
    await run.stop()
    expect(await run.done).toMatchObject({ reason: 'stopped', batches: 3, records: 60 })
    expect(await world.backfill(ALL)).toMatchObject({ reason: 'done', records: 340 })
    expect(world.rowsOf('orders~backfill-1')).toEqual(values([0, 1], 0, 200))
  })
})

describe('records that are lost while a backfill runs', () => {
  test('by retention stop it, and with onDataLoss skip it goes on with what is left', async () => {
    const world = new BackfillWorld({ partitions: 1 })
    await world.fill(60)
    await cutShort(world, ALL)
    world.source.deleteBefore('orders', 0, 50)
    await expect(world.backfill(ALL)).rejects.toMatchObject({ code: 'DATA_LOSS', lossCause: 'retention' })
    const run = await world.job({ onDataLoss: 'skip' }).backfill(ALL)
    expect(await run.done).toMatchObject({ reason: 'done', records: 10 })
    expect(world.rowsOf('orders~backfill-1')).toEqual([...values([0], 0, 20), ...values([0], 50, 60)].sort())
  })

  test.each<readonly [what: string, lose: (world: BackfillWorld) => Promise<void>, leftUntil: number]>([
    [
      'a log that was cut',
      async world => {
        world.source.truncate('orders', 0, 30)
        await world.fill(90)
      },
      30,
    ],
    [
      'a topic that was made again',
      async world => {
        world.source.createTopic('orders', 1)
        await world.fill(90)
      },
      20,
    ],
    ['a topic that is gone', async world => world.source.removeTopic('orders'), 20],
  ])('with %s are not made up for by what was written since, now or at a later start', async (_, lose, leftUntil) => {
    const world = new BackfillWorld({ partitions: 1 })
    await world.fill(60)
    // Its second batch, [20, 40), is begun.
    await cutShort(world, ALL)
    await lose(world)
    const run = await world.job({ onDataLoss: 'skip' }).backfill(ALL)
    expect(await run.done).toMatchObject({ reason: 'done', records: leftUntil - 20 })
    expect(world.rowsOf('orders~backfill-1')).toEqual(values([0], 0, leftUntil))
    expect(await world.plan({ ...ALL, name: 'orders~backfill-1' })).toMatchObject({ isComplete: true })
    const later = await world.job({ onDataLoss: 'skip' }).backfill({ ...ALL, name: 'orders~backfill-1' })
    expect(await later.done).toMatchObject({ reason: 'done', records: 0 })
  })
})

describe('exact time', () => {
  test('leaves out records of another time, counts them, and every output has the same', async () => {
    const world = new BackfillWorld({ partitions: 1, sink: collectingSink<string>({}) })
    await world.fill(30)
    // Sent late: they are behind the window's end by their offsets, or within it and of another time.
    world.source.append('orders', 0, { value: 'late', timestamp: minute(15).timestamp }, { value: 'older', timestamp: minute(2).timestamp })
    world.source.append(
      'orders',
      0,
      { value: 'next', timestamp: minute(90).timestamp },
      { value: 'too late', timestamp: minute(15).timestamp },
    )
    const plain = await world.backfill({ from: minute(10), to: minute(40) })
    expect(world.rowsOf(plain.plan.name)).toContain('older')
    const exact = await world.backfill({ from: minute(10), to: minute(40), exactTime: true, appendAgain: true })
    expect(exact).toMatchObject({ records: 22, outsideTime: 1, rows: 21 })
    expect(world.rowsOf(exact.plan.name)).toEqual([...values([0], 10, 30), 'late'].sort())
    const late = await world.backfill({ from: minute(10), to: minute(40), exactTime: true, lateMs: 86_400_000, appendAgain: true })
    expect(late).toMatchObject({ outsideTime: 2, rows: 22 })
    expect(world.rowsOf(late.plan.name)).toContain('too late')
  })

  test('is the same after it was cut short: what counts is in the intent', async () => {
    const world = new BackfillWorld({ partitions: 1 })
    await world.fill(30)
    world.source.append('orders', 0, { value: 'older', timestamp: minute(2).timestamp }, { value: 'next', timestamp: minute(90).timestamp })
    const asked = { from: minute(5), to: minute(40), exactTime: true } as const
    await cutShort(world, asked)
    const pending = (await world.store.read('orders~backfill-1')).pending
    expect(pending?.facts).toMatchObject({ timestamps: { from: minute(5).timestamp, until: minute(40).timestamp } })
    expect(await world.backfill(asked)).toMatchObject({ outsideTime: 1 })
    expect(world.rowsOf('orders~backfill-1')).toEqual(values([0], 5, 30))
  })
})
