import assert from 'node:assert/strict'
import type { OffsetRange } from '../../core/values.ts'
import { batch, type DefineTest, historyOf, LONG_MS, position, range, refusedUnchanged, run } from './contract.ts'

/** `begin` and `commit`: what may be begun, and that a batch is committed whole, once, or not at all. */
export function defineBatchTests(test: DefineTest): void {
  test('a stream that the store has never seen is empty', async ({ other, stream }) => {
    assert.deepEqual(await other.read(stream), { streamId: undefined, epoch: 0, offsets: [], lastBatchId: 0, pending: undefined })
  })

  test('a begun batch is pending and moves no offset', async ({ store, other, stream }) => {
    const lease = await store.acquire(stream, 'first', LONG_MS)
    await run(store, lease, batch(1, [range(0, 0, 10)]))
    const begun = batch(2, [range(0, 10, 20), range(1, 5, 6)], { facts: { outputs: ['a'] } })
    await store.begin(lease, begun)
    const { streamId } = lease
    assert.deepEqual(await other.read(stream), { streamId, epoch: 1, offsets: [position(0, 10)], lastBatchId: 1, pending: begun })
  })

  test('a commit moves every partition of the batch to the end of its ranges, and no other', async ({ store, other, stream }) => {
    const lease = await store.acquire(stream, 'first', LONG_MS)
    await run(store, lease, batch(1, [range(2, 0, 7), range(0, 0, 10), range(1, 0, 5)]))
    await store.begin(lease, batch(2, [range(2, 7, 9), range(0, 10, 30)]))
    await other.commit(lease, 2)
    const state = await other.read(stream)
    assert.deepEqual(state.offsets, [position(0, 30), position(1, 5), position(2, 9)])
    assert.equal(state.lastBatchId, 2)
    assert.equal(state.pending, undefined)
  })

  test('the very batch that is pending may be begun again', async ({ store, other, stream }) => {
    const lease = await store.acquire(stream, 'first', LONG_MS)
    const begun = batch(1, [range(0, 0, 10), range(1, 0, 5)], { facts: { a: 1, b: [2] } })
    await store.begin(lease, begun)
    await other.begin(lease, begun)
    await store.begin(lease, { ...begun, facts: { b: [2], a: 1 } })
    assert.deepEqual((await store.read(stream)).pending, begun)
  })

  test('the driver that took over may begin the pending batch again under its own epoch, topic ids and leader epochs', async ({
    store,
    other,
    stream,
  }) => {
    const begun = batch(1, [range(0, 0, 10, { topicId: 'a', leaderEpoch: 1 })])
    await store.begin(await store.acquire(stream, 'first', LONG_MS), begun)
    const lease = await other.acquire(stream, 'second', LONG_MS, { steal: true })
    await other.begin(lease, batch(1, [range(0, 0, 10, { topicId: 'a', leaderEpoch: 2 })], { epoch: lease.epoch }))
    assert.deepEqual((await other.read(stream)).pending, begun)
  })

  test('while a batch is pending no other can be begun', async world => {
    const { store, other, stream } = world
    const lease = await store.acquire(stream, 'first', LONG_MS)
    const ranges = [range(0, 0, 10), range(1, 0, 5)]
    await store.begin(lease, batch(1, ranges, { facts: 'job 1' }))
    const others = [
      batch(2, [range(0, 10, 20)], { facts: 'job 1' }),
      batch(1, ranges, { facts: 'job 2' }),
      batch(1, ranges),
      batch(1, ranges, { facts: 'job 1', batchTime: 5 }),
      batch(1, ranges.toReversed(), { facts: 'job 1' }),
      batch(1, [range(0, 0, 10)], { facts: 'job 1' }),
      batch(1, [range(0, 0, 11), range(1, 0, 5)], { facts: 'job 1' }),
      batch(1, [range(0, 0, 4), range(0, 4, 10), range(1, 0, 5)], { facts: 'job 1' }),
    ]
    for (const begun of others) await refusedUnchanged(world, () => other.begin(lease, begun), 'CONFLICT')
  })

  test('a batch whose id is not next is refused', async world => {
    const { store, other, stream } = world
    const lease = await store.acquire(stream, 'first', LONG_MS)
    for (const id of [0, 2, -1, 1.5]) await refusedUnchanged(world, () => other.begin(lease, batch(id, [range(0, 0, 10)])), 'CONFLICT')
    await run(store, lease, batch(1, [range(0, 0, 10)]))
    for (const id of [0, 1, 3]) await refusedUnchanged(world, () => other.begin(lease, batch(id, [range(0, 10, 20)])), 'CONFLICT')
  })

  test('ranges that leave a gap or go back are refused, naming the partition, what was expected and what came', async world => {
    const { store, other, stream } = world
    const lease = await store.acquire(stream, 'first', LONG_MS)
    await run(store, lease, batch(1, [range(0, 0, 120), range(3, 0, 120)]))
    for (const fromOffset of [119, 121, 0, 125]) {
      const ranges = [range(0, 120, 130), range(3, fromOffset, 180)]
      const { message } = await refusedUnchanged(world, () => other.begin(lease, batch(2, ranges)), 'CONFLICT')
      for (const part of ['orders/3', '120', `${fromOffset}`]) assert.ok(message.includes(part), `"${message}" does not say ${part}`)
    }
  })

  test('a partition that the store has never seen may start anywhere', async ({ store, other, stream }) => {
    const lease = await store.acquire(stream, 'first', LONG_MS)
    await run(store, lease, batch(1, [range(0, 1_000, 1_001)]))
    await run(other, lease, batch(2, [range(0, 1_001, 1_002), range(1, 77, 78), range(0, 5, 6, { topic: 'refunds' })]))
    assert.deepEqual((await store.read(stream)).offsets, [position(0, 1_002), position(1, 78), position(0, 6, { topic: 'refunds' })])
  })

  test('slices of a partition tile it, and the order of all ranges is kept', async ({ store, other, stream }) => {
    const lease = await store.acquire(stream, 'first', LONG_MS)
    await run(store, lease, batch(1, [range(0, 0, 10), range(1, 0, 10)]))
    const ranges = [range(1, 10, 12), range(0, 10, 11), range(1, 12, 20), range(0, 11, 15), range(0, 15, 16)]
    await store.begin(lease, batch(2, ranges))
    assert.deepEqual((await other.read(stream)).pending?.ranges, ranges)
    await store.commit(lease, 2)
    assert.deepEqual((await other.read(stream)).offsets, [position(0, 16), position(1, 20)])
  })

  test('slices that do not tile are refused', async world => {
    const { store, other, stream } = world
    const lease = await store.acquire(stream, 'first', LONG_MS)
    await run(store, lease, batch(1, [range(0, 0, 10)]))
    const untiled: readonly (readonly OffsetRange[])[] = [
      [range(0, 10, 20), range(0, 21, 30)],
      [range(0, 10, 20), range(0, 19, 30)],
      [range(0, 10, 20), range(0, 10, 20)],
      [range(0, 20, 30), range(0, 10, 20)],
      [range(7, 3, 6), range(7, 9, 12)],
    ]
    for (const ranges of untiled) await refusedUnchanged(world, () => other.begin(lease, batch(2, ranges)), 'CONFLICT')
  })

  test('a range without an offset in it is refused', async world => {
    const { store, stream } = world
    const lease = await store.acquire(stream, 'first', LONG_MS)
    for (const empty of [range(0, 5, 5), range(0, 5, 4)]) {
      await refusedUnchanged(world, () => store.begin(lease, batch(1, [range(1, 0, 1), empty])), 'CONFLICT')
    }
  })

  test('a batch without ranges can be begun and committed', async ({ store, other, stream }) => {
    const lease = await store.acquire(stream, 'first', LONG_MS)
    await run(store, lease, batch(1, []))
    const { offsets, lastBatchId } = await other.read(stream)
    assert.deepEqual({ offsets, lastBatchId }, { offsets: [], lastBatchId: 1 })
  })

  test('a commit of a batch that is not pending is refused', async world => {
    const { store, other, stream } = world
    const lease = await store.acquire(stream, 'first', LONG_MS)
    for (const id of [0, 1, -1]) await refusedUnchanged(world, () => other.commit(lease, id), 'CONFLICT')
    await run(store, lease, batch(1, [range(0, 0, 10)]))
    await run(store, lease, batch(2, [range(0, 10, 20)]))
    for (const id of [0, 1, 3]) await refusedUnchanged(world, () => other.commit(lease, id), 'CONFLICT')
    await store.begin(lease, batch(3, [range(0, 20, 30)]))
    for (const id of [1, 4]) await refusedUnchanged(world, () => other.commit(lease, id), 'CONFLICT')
  })

  test('the batch that was committed last may be committed again, and nothing happens', async ({ store, other, stream }) => {
    const lease = await store.acquire(stream, 'first', LONG_MS)
    await run(store, lease, batch(1, [range(0, 0, 10)]))
    const before = await store.snapshot(stream)
    await other.commit(lease, 1)
    assert.deepEqual(await store.snapshot(stream), before)
    await store.begin(lease, batch(2, [range(0, 10, 20)]))
    await other.commit(lease, 1)
    assert.equal((await store.read(stream)).pending?.id, 2)
  })

  test('a commit sent again after a reset does not undo the reset', async ({ store, other, stream }) => {
    const lease = await store.acquire(stream, 'first', LONG_MS)
    await run(store, lease, batch(1, [range(0, 0, 10)]))
    await store.reset(lease, [position(0, 3)])
    await other.commit(lease, 1)
    assert.deepEqual((await store.read(stream)).offsets, [position(0, 3)])
  })

  test('of two batches that race to be begun one is, whole', async ({ store, other, stream }) => {
    const lease = await store.acquire(stream, 'first', LONG_MS)
    const short = batch(1, [range(0, 0, 10), range(1, 0, 10)])
    const long = batch(1, [range(0, 0, 20), range(1, 0, 20)])
    const [first, second] = await Promise.allSettled([store.begin(lease, short), other.begin(lease, long)])
    assert.deepEqual([first.status, second.status].toSorted(), ['fulfilled', 'rejected'])
    assert.deepEqual((await store.read(stream)).pending, first.status === 'fulfilled' ? short : long)
  })

  test('a batch that two clients commit at once is committed once', async ({ store, other, stream }) => {
    const lease = await store.acquire(stream, 'first', LONG_MS)
    await store.begin(lease, batch(1, [range(0, 0, 10)]))
    await Promise.all([store.commit(lease, 1), other.commit(lease, 1), store.commit(lease, 1), other.commit(lease, 1)])
    assert.equal((await historyOf(other, stream)).length, 1)
  })

  test('the driver that took over reads the pending batch as it was begun, commits it, and the first can commit no more', async world => {
    const { store, other, stream } = world
    const first = await store.acquire(stream, 'first', LONG_MS)
    const begun = batch(1, [range(0, 0, 10), range(1, 0, 5)], { facts: { isolation: 'read_committed' } })
    await store.begin(first, begun)
    const second = await other.acquire(stream, 'second', LONG_MS, { steal: true })
    assert.deepEqual((await other.read(stream)).pending, begun)
    await other.commit(second, 1)
    await refusedUnchanged(world, () => store.commit(first, 1), 'FENCED')
    await refusedUnchanged(world, () => store.begin(first, batch(2, [range(0, 10, 20)])), 'FENCED')
  })

  test('a batch of ten thousand partitions is begun and committed whole', async ({ store, other, stream }) => {
    const lease = await store.acquire(stream, 'first', LONG_MS)
    const partitions = Array.from({ length: 10_000 }, (_, partition) => partition)
    await run(store, lease, batch(1, partitions.map(partition => range(partition, partition, partition + 3)).reverse()))
    await run(
      store,
      lease,
      batch(
        2,
        partitions.map(partition => range(partition, partition + 3, partition + 4)),
      ),
    )
    assert.deepEqual(
      (await other.read(stream)).offsets,
      partitions.map(partition => position(partition, partition + 4)),
    )
  })
}
