import { describe, expect, test } from 'vitest'
import { BackfillWorld, FIRST_AT, MINUTE, minute, shown, values } from './backfill-world.ts'

describe('the bounds of a backfill', () => {
  test('that are times go from the first record at or after the one up to the first at or after the other', async () => {
    const world = new BackfillWorld()
    await world.fill(60)
    const { plan, records } = await world.backfill({ from: minute(10), to: minute(25) })
    expect(shown(plan)).toEqual(['0 [10, 25)', '1 [10, 25)'])
    expect(records).toBe(30)
    expect(world.rowsOf('orders~backfill-1')).toEqual(values([0, 1], 10, 25))
  })

  test('may be text, as on the command line', async () => {
    const world = new BackfillWorld()
    await world.fill(60)
    const at = (text: string, to: string) => world.plan({ from: text, to })
    expect(shown(await at('2021-11-01T01:10+01:00', '2021-11-01T00:25:00Z'))).toEqual(['0 [10, 25)', '1 [10, 25)'])
    expect(shown(await at('2021-11-01', String(FIRST_AT + 5 * MINUTE)))).toEqual(['0 [0, 5)', '1 [0, 5)'])
    expect(shown(await at('earliest', 'latest'))).toEqual(['0 [0, 60)', '1 [0, 60)'])
  })

  test('that are offsets leave out partitions that are not named', async () => {
    const world = new BackfillWorld({ partitions: 3 })
    await world.fill(60)
    expect(shown(await world.plan({ from: 'orders:1:5', to: 'orders:1:9' }))).toEqual(['1 [5, 9)'])
    expect(shown(await world.plan({ from: 'orders:0:5,orders:2:50', to: 'latest' }))).toEqual(['0 [5, 60)', '2 [50, 60)'])
    expect(shown(await world.plan({ from: 'earliest', to: 'orders:2:7' }))).toEqual(['2 [0, 7)'])
    await expect(world.plan({ from: 'orders:0:5,orders:1:5', to: 'orders:0:9,orders:2:9' })).rejects.toMatchObject({
      code: 'CONFIG',
      message: expect.stringContaining('orders/1 would begin and has no end; orders/2 would end and has no beginning'),
    })
  })

  test('that are batches of the live stream are where those began and ended', async () => {
    const world = new BackfillWorld()
    await world.fill(25)
    await world.runLive()
    await world.fill(25, [1])
    await world.runLive()
    // Batches of 20 offsets: [0, 10) of both, [10, 20) of both, the 5 that are left, then 20 and 5 of one.
    expect(shown(await world.plan({ from: 'batch:2', to: 'batch:3' }))).toEqual(['0 [10, 25)', '1 [10, 25)'])
    expect(shown(await world.plan({ from: 'batch:4', to: 'latest' }))).toEqual(['0 [25, 25)', '1 [25, 50)'])
    expect(shown(await world.plan({ from: 'earliest', to: 'batch:4' }))).toEqual(['0 [0, 25)', '1 [0, 45)'])
  })

  test('may be a batch of before a partition was added, all of which came later', async () => {
    const world = new BackfillWorld({ partitions: 1 })
    await world.fill(10)
    await world.runLive()
    world.source.addPartitions('orders', 1)
    await world.fill(10)
    await world.runLive()
    expect(shown(await world.plan({ from: 'batch:1', to: 'latest' }))).toEqual(['0 [0, 20)', '1 [0, 10)'])
    expect(shown(await world.plan({ from: 'earliest', to: 'batch:1' }))).toEqual(['0 [0, 10)', '1 [0, 0)'])
  })

  test('at a batch that was reset behind are found in what came before it', async () => {
    const world = new BackfillWorld()
    await world.fill(10)
    await world.runLive()
    await world.fill(10, [0])
    await world.runLive()
    const lease = await world.store.acquire('orders', 'by hand', 60_000)
    await world.store.reset(lease, [{ topic: 'orders', partition: 1, offset: 3 }])
    await world.store.release(lease)
    expect(shown(await world.plan({ from: 'earliest', to: 'batch:2' }))).toEqual(['0 [0, 20)', '1 [0, 10)'])
  })

  test.each([
    ['7', 'Batch 7 of orders cannot bound a backfill: the last batch is 3.'],
    ['4', 'Batch 4 of orders cannot bound a backfill: the last batch is 3.'],
  ])('cannot be batch %s, which is not there', async (id, message) => {
    const world = new BackfillWorld()
    await world.fill(25)
    await world.runLive()
    await expect(world.plan({ from: 'earliest', to: `batch:${id}` })).rejects.toMatchObject({
      code: 'CONFIG',
      message: expect.stringContaining(message),
    })
  })
})

describe('bounds that cannot be', () => {
  const world = new BackfillWorld()
  const refused = (from: string, to: string, more = {}) =>
    world.plan({ from, to, ...more }).then(
      () => 'planned',
      (error: Error & { code: string }) => `${error.code}: ${error.message}`,
    )

  test('are told by what is wrong with them', async () => {
    await world.fill(60)
    expect(await refused('2021-11-02', '2021-11-01')).toMatch(
      /^CONFIG: .*begin at 2021-11-02T00:00:00.000Z, which is after its end, 2021-11-01T/,
    )
    expect(await refused('2021-11-01', '2021-11-01')).toMatch(/^CONFIG: .*begin and end at 2021-11-01T00:00:00.000Z: nothing is between/)
    expect(await refused('2021-11-01', '2999-01-01')).toMatch(/^CONFIG: .*end at 2999-01-01T00:00:00.000Z, which is yet to come.*latest/)
    expect(await refused('2021-11-01T00:00', 'latest')).toMatch(/^CONFIG: from 2021-11-01T00:00 has no zone.*2021-11-01T00:00Z/)
    expect(await refused('2021-11-01 00:00:00', 'latest')).toMatch(/^CONFIG: .*has no zone.* 2021-11-01T00:00:00Z/)
    expect(await refused('2021-02-30', 'latest')).toMatch(/^CONFIG: from 2021-02-30 is not understood/)
    expect(await refused('1635724800', 'latest')).toMatch(/^CONFIG: from 1635724800 is in seconds.* 1635724800000 is 2021-11-01T/)
    expect(await refused('yesterday', 'latest')).toMatch(/^CONFIG: from yesterday is not understood. It is 'earliest', a date/)
    expect(await refused('latest', 'latest')).toMatch(/^CONFIG: from latest is not understood/)
    expect(await refused('earliest', 'batch:0')).toMatch(/^CONFIG: to batch:0 is not understood/)
    expect(await refused('orders:0:1,orders:0:2', 'latest')).toMatch(/^CONFIG: from names partition orders:0 twice/)
    expect(await refused('orders:0:9', 'orders:0:5')).toMatch(/^CONFIG: .*orders\/0 would begin at 9 and end at 5.*swapped/)
    expect(await refused('orders:7:0', 'latest')).toMatch(/^CONFIG: .*no source of the job has orders\/7/)
    expect(await refused('returns:0:0', 'latest')).toMatch(/^CONFIG: .*no source of the job has returns\/0/)
    expect(await refused('earliest', 'orders:0:61')).toMatch(
      /^CONFIG: The backfill cannot end there: orders\/0 ends at 60, and 61 is beyond it/,
    )
    expect(await refused('earliest', 'latest', { exactTime: true })).toMatch(
      /^CONFIG: Exact time goes by .* neither end of the backfill is a time/,
    )
    expect(await refused('2021-11-01', 'latest', { lateMs: 5 })).toMatch(/^CONFIG: Late records/)
    expect(await refused('earliest', 'latest', { name: 'orders' })).toMatch(/^CONFIG: --name orders is the stream itself/)
    expect(await refused('earliest', 'latest', { outputs: ['tables'] })).toMatch(/no output tables/)
    expect(await refused('earliest', 'latest', { maxRate: 0, lateMs: -1 })).toMatch(/2 options are wrong:\n.*\n.*/)
    expect(await world.store.streams(), 'nothing of it was written').toEqual([])
  })
})

describe('a window with nothing in it', () => {
  test.each([
    ['behind the last record', minute(100), minute(200)],
    ['before the first record', { at: 'timestamp', timestamp: FIRST_AT - 9e6 } as const, { at: 'timestamp', timestamp: FIRST_AT } as const],
  ])('%s is complete before it begins', async (_, from, to) => {
    const world = new BackfillWorld()
    await world.fill(60)
    const plan = await world.plan({ from, to })
    expect(plan).toMatchObject({ isComplete: true, isResumed: false, offsets: 0, left: 0 })
    expect(await world.backfill({ from, to })).toMatchObject({ reason: 'done', records: 0, batches: 0 })
  })

  test('in one partition only leaves that one out', async () => {
    const world = new BackfillWorld()
    await world.fill(60, [0])
    await world.fill(5, [1])
    const { plan, records } = await world.backfill({ from: minute(10), to: minute(20) })
    expect(shown(plan)).toEqual(['0 [10, 20)', '1 [5, 5)'])
    expect(records).toBe(10)
  })
})

describe('records that retention has taken', () => {
  test('before the window are none of it', async () => {
    const world = new BackfillWorld()
    await world.fill(60)
    for (const partition of [0, 1]) world.source.deleteBefore('orders', partition, 20)
    expect(shown(await world.plan({ from: minute(30), to: minute(40) }))).toEqual(['0 [30, 40)', '1 [30, 40)'])
    expect(shown(await world.plan({ from: 'earliest', to: minute(40) }))).toEqual(['0 [20, 40)', '1 [20, 40)'])
  })

  test('of offsets that were asked for end it before anything is written, with what is left and how to ask for it', async () => {
    const world = new BackfillWorld()
    await world.fill(60)
    world.source.deleteBefore('orders', 0, 20)
    const asked = { from: 'orders:0:5,orders:1:5', to: 'latest' }
    await expect(world.plan(asked)).rejects.toMatchObject({
      code: 'DATA_LOSS',
      lossCause: 'retention',
      missing: [{ topic: 'orders', partition: 0, fromOffset: 5, untilOffset: 20 }],
      message: expect.stringMatching(
        /orders\/0 begins at 20 by now, and 5 is before that\. 95 offsets of the window are left\..*--what-is-left/,
      ),
    })
    expect(await world.store.streams()).toEqual([])
    const { plan, records } = await world.backfill({ ...asked, whatIsLeft: true })
    expect(shown(plan)).toEqual(['0 [20, 60)', '1 [5, 60)'])
    expect(plan.notes).toContainEqual(expect.stringContaining('orders/0 begins at 20'))
    expect(records).toBe(95)
  })

  test('of a time nobody can be sure of, which is told with when the first record that is left was written', async () => {
    const world = new BackfillWorld()
    await world.fill(60)
    for (const partition of [0, 1]) world.source.deleteBefore('orders', partition, 20)
    await expect(world.plan({ from: minute(10), to: minute(40) })).rejects.toMatchObject({
      code: 'DATA_LOSS',
      message: expect.stringMatching(
        /may have taken records of the window: orders\/0 begins at 20, orders\/1 begins at 20.*\(that of orders\/0 is of 2021-11-01T00:20:00.000Z\)/,
      ),
    })
    expect(shown(await world.plan({ from: minute(10), to: minute(40), whatIsLeft: true }))).toEqual(['0 [20, 40)', '1 [20, 40)'])
  })

  test('before a time were none of the window where the live stream had read them by then', async () => {
    const world = new BackfillWorld()
    await world.fill(60)
    await world.runLive()
    // Its history is of today, and the records are of a day long past; as a stream of that day has it, batch by batch.
    const { history, ...snapshot } = await world.store.snapshot('orders')
    const moved = new BackfillWorld()
    await moved.fill(60)
    // A batch has 10 offsets of each partition, and is committed when the last of them is written.
    const at = (entry: (typeof history)[number]) => (entry.kind === 'batch' ? FIRST_AT + entry.batch.id * 10 * MINUTE : FIRST_AT)
    await moved.store.restore({ ...snapshot, history: history.map(entry => ({ ...entry, at: at(entry) })) })
    for (const partition of [0, 1]) moved.source.deleteBefore('orders', partition, 20)
    expect(shown(await moved.plan({ from: minute(20), to: minute(40) }))).toEqual(['0 [20, 40)', '1 [20, 40)'])
    await expect(moved.plan({ from: minute(19), to: minute(40) })).rejects.toMatchObject({ code: 'DATA_LOSS' })
    for (const partition of [0, 1]) moved.source.deleteBefore('orders', partition, 60)
    expect(await moved.plan({ from: minute(60), to: minute(70) }), 'an idle topic whose log is empty by now').toMatchObject({ offsets: 0 })
  })

  test('whole are no empty window', async () => {
    const world = new BackfillWorld()
    await world.fill(60)
    for (const partition of [0, 1]) world.source.deleteBefore('orders', partition, 50)
    await expect(world.plan({ from: minute(10), to: minute(40) })).rejects.toMatchObject({
      code: 'DATA_LOSS',
      message: expect.stringContaining('0 offsets of the window are left.'),
    })
  })

  test('are passed over with a note where the job says so', async () => {
    const world = new BackfillWorld()
    await world.fill(60)
    world.source.deleteBefore('orders', 0, 20)
    const plan = await world.job({ onDataLoss: 'skip' }).planBackfill({ from: 'orders:0:5', to: 'latest' })
    expect(shown(plan)).toEqual(['0 [20, 60)'])
    expect(plan.notes).toContainEqual(expect.stringContaining('Retention has taken records'))
  })
})
