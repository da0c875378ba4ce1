import { describe, expect, test } from 'vitest'
import { silentLog } from '../../../../src/core/log.ts'
import { stream } from '../../../../src/index.ts'
import { type CollectingSink, collectingSink } from '../../../../src/testing/index.ts'
import { BackfillWorld, minute, shown, values } from './backfill-world.ts'

const LATEST = { startingOffsets: { at: 'latest' } } as const

describe('a backfill until the live stream', () => {
  test('and the live stream have every record once', async () => {
    const world = new BackfillWorld(LATEST)
    await world.fill(30)
    await world.runLive()
    await world.fill(20)
    await world.runLive()
    const { plan } = await world.backfill({ from: 'earliest', to: 'live' })
    expect(shown(plan)).toEqual(['0 [0, 30)', '1 [0, 30)'])
    expect(plan.overlaps).toEqual([])
    expect([...world.rowsOf('orders'), ...world.rowsOf('orders~backfill-1')].sort()).toEqual(values([0, 1], 0, 50))
  })

  test('ends where that began also when it has read nothing yet', async () => {
    const world = new BackfillWorld(LATEST)
    await world.fill(30)
    await world.runLive()
    expect(shown(await world.plan({ from: minute(10), to: 'live' }))).toEqual(['0 [10, 30)', '1 [10, 30)'])
  })

  test('needs a live stream that has begun', async () => {
    const world = new BackfillWorld(LATEST)
    await world.fill(30)
    await expect(world.plan({ from: 'earliest', to: 'live' })).rejects.toMatchObject({
      code: 'CONFIG',
      message: expect.stringMatching(/^orders has not begun: .*Start it first \(tidemark run\)/),
    })
  })

  test('has nothing to do where that began at the beginning', async () => {
    const world = new BackfillWorld()
    await world.fill(30)
    await world.runLive()
    expect(await world.plan({ from: 'earliest', to: 'live' })).toMatchObject({ isComplete: true, offsets: 0 })
  })

  test('leaves partitions that were added to it, which the live stream reads from their beginning, met or not', async () => {
    const world = new BackfillWorld({ ...LATEST, partitions: 1 })
    await world.fill(30)
    await world.runLive()
    world.source.addPartitions('orders', 1)
    await world.fill(10)
    expect(shown(await world.plan({ from: 'earliest', to: 'live' }))).toEqual(['0 [0, 30)', '1 [0, 0)'])
    await world.runLive()
    expect(shown(await world.plan({ from: 'earliest', to: 'live' }))).toEqual(['0 [0, 30)', '1 [0, 0)'])
  })

  test('ends at the lowest offset that was read where the live stream was put back, and says what was left out where it was put forward', async () => {
    const world = new BackfillWorld(LATEST)
    await world.fill(30)
    await world.runLive()
    await world.fill(20)
    await world.runLive()
    const lease = await world.store.acquire('orders', 'by hand', 60_000)
    await world.store.reset(lease, [{ topic: 'orders', partition: 0, offset: 12 }])
    await world.store.release(lease)
    const plan = await world.plan({ from: 'earliest', to: 'live' })
    expect(shown(plan)).toEqual(['0 [0, 12)', '1 [0, 30)'])

    const again = await world.store.acquire('orders', 'by hand', 60_000)
    await world.fill(20)
    await world.store.reset(again, [{ topic: 'orders', partition: 1, offset: 60 }])
    await world.store.release(again)
    expect((await world.plan({ from: 'earliest', to: 'live' })).notes).toEqual([
      expect.stringContaining(
        'orders was put forward since it began and has left out offsets, which are behind the end of this backfill: orders/1 [50, 60)',
      ),
    ])
  })

  test('does not take what was read of a topic before it was made again for its records', async () => {
    const world = new BackfillWorld(LATEST)
    await world.fill(30)
    await world.runLive()
    world.source.createTopic('orders', 2)
    await world.fill(10)
    expect(shown(await world.plan({ from: 'earliest', to: 'live' }))).toEqual(['0 [0, 0)', '1 [0, 0)'])
  })
})

describe('into an output that adds rows', () => {
  test('a backfill must be told so where the live stream has written the same, and is not where it has not', async () => {
    const world = new BackfillWorld()
    await world.fill(30)
    await world.runLive()
    const refused = world.backfill({ from: minute(10), to: minute(20) })
    await expect(refused).rejects.toMatchObject({
      code: 'CONFIG',
      message: expect.stringMatching(
        /^Nothing was run: rows would hold rows twice\. Of the same offsets orders has written 20\. .*appendAgain/,
      ),
    })
    expect(await world.store.streams()).toEqual(['orders'])
    expect(await world.backfill({ from: minute(10), to: minute(20), appendAgain: true })).toMatchObject({ rows: 20 })
  })

  test('what the live stream has yet to read counts too, and so do other backfills', async () => {
    const world = new BackfillWorld()
    await world.fill(30)
    await world.runLive()
    await world.fill(10)
    await world.backfill({ from: minute(5), to: minute(8), appendAgain: true })
    const { overlaps } = await world.plan({ from: minute(0), to: 'latest' })
    expect(overlaps.map(({ stream, committed, toCome }) => ({ stream, committed, toCome }))).toEqual([
      { stream: 'orders', committed: 60, toCome: 20 },
      { stream: 'orders~backfill-1', committed: 6, toCome: 0 },
    ])
    expect(overlaps[0]?.partitions).toEqual([
      { topic: 'orders', partition: 0, committed: 30, toCome: 10 },
      { topic: 'orders', partition: 1, committed: 30, toCome: 10 },
    ])
  })

  test('partitions that the live stream has not met yet are to come whole', async () => {
    const world = new BackfillWorld({ ...LATEST, partitions: 1 })
    await world.fill(10)
    await world.runLive()
    world.source.addPartitions('orders', 1)
    await world.fill(5, [1])
    const past = { from: 'earliest', to: 'latest' } as const
    const { overlaps } = await world.plan(past)
    expect(overlaps).toMatchObject([{ committed: 0, toCome: 5, partitions: [{ topic: 'orders', partition: 1, committed: 0, toCome: 5 }] }])
    await expect(world.backfill(past)).rejects.toMatchObject({ message: expect.stringContaining('rows would hold rows twice') })
    await world.backfill({ ...past, appendAgain: true })
    await world.runLive()
    expect(world.rowsOf('orders')).toEqual(values([1], 0, 5))
  })

  test('a live stream that has not begun is said to write as much as its startingOffsets have it read', async () => {
    const world = new BackfillWorld({ partitions: 1 })
    await world.fill(10)
    expect(await world.plan({ from: 'earliest', to: 'latest' })).toMatchObject({
      overlaps: [],
      notes: [expect.stringMatching(/^orders has not begun topic orders: what its startingOffsets \(earliest\) have it read/)],
    })
    const later = new BackfillWorld({ ...LATEST, partitions: 1 })
    await later.fill(10)
    expect(await later.plan({ from: 'earliest', to: 'latest' })).toMatchObject({ overlaps: [], notes: [] })
  })

  test('an output that was out of the job for some batches gets those by a backfill of them, which nobody needs to be told twice', async () => {
    const [kept, away] = [collectingSink<string>({}), collectingSink<string>({})]
    const world = new BackfillWorld({ partitions: 1 })
    const job = (outputs: readonly CollectingSink<string>[]) => {
      const all = stream({ name: 'orders', offsets: world.store, batchIntervalMs: 0, log: silentLog })
      const rows = all.from(world.source).map(record => String(record.value))
      for (const sink of outputs) rows.to(sink, { name: sink === kept ? 'kept' : 'away' })
      return all
    }
    for (const outputs of [[kept, away], [kept], [away, kept]]) {
      await world.fill(10)
      await (await job(outputs).start({ until: 'latest' })).done
    }
    const missed = { from: 'batch:2', to: 'batch:2' } as const
    await expect(job([kept, away]).backfill(missed)).rejects.toMatchObject({
      message: expect.stringContaining('Nothing was run: kept would hold rows twice'),
    })
    await (await job([kept, away]).backfill({ ...missed, outputs: ['away'] })).done
    for (const sink of [kept, away]) expect(sink.rows.toSorted()).toEqual(values([0], 0, 30))
  })

  test('offsets whose batches are trimmed from the history still count', async () => {
    const world = new BackfillWorld()
    await world.fill(30)
    await world.runLive()
    const snapshot = await world.store.snapshot('orders')
    const trimmed = new BackfillWorld()
    await trimmed.fill(30)
    await trimmed.store.restore({ ...snapshot, history: snapshot.history.filter(({ kind, seq }) => kind === 'start' || seq > 3) })
    expect((await trimmed.plan({ from: 'earliest', to: 'latest' })).overlaps).toMatchObject([
      { stream: 'orders', committed: 60, toCome: 0 },
    ])
    await expect(trimmed.plan({ from: 'batch:1', to: 'latest' })).rejects.toMatchObject({
      message: expect.stringMatching(/Batch 1 of orders cannot bound a backfill: the history no longer has it/),
    })
  })

  test('a live stream that was rewound has its offsets once', async () => {
    const world = new BackfillWorld()
    await world.fill(30)
    await world.runLive()
    const lease = await world.store.acquire('orders', 'by hand', 60_000)
    await world.store.reset(lease, [{ topic: 'orders', partition: 0, offset: 5 }])
    await world.store.release(lease)
    await world.runLive()
    expect((await world.plan({ from: 'earliest', to: 'latest' })).overlaps).toMatchObject([{ stream: 'orders', committed: 60, toCome: 0 }])
  })
})
