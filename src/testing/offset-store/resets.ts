import assert from 'node:assert/strict'
import { batch, type DefineTest, historyOf, LONG_MS, position, range, refusedUnchanged, run } from './contract.ts'

/** `reset`: starting points, rewinds, forgotten partitions and discarded batches. */
export function defineResetTests(test: DefineTest): void {
  test('a reset moves the partitions it names, and the next batch goes on from there', async world => {
    const { store, other, stream } = world
    const lease = await store.acquire(stream, 'first', LONG_MS)
    await run(store, lease, batch(1, [range(0, 0, 10), range(1, 0, 10)]))
    await other.reset(lease, [position(1, 4), position(2, 50)], { reason: 'a bad deploy' })
    assert.deepEqual((await store.read(stream)).offsets, [position(0, 10), position(1, 4), position(2, 50)])
    await refusedUnchanged(world, () => store.begin(lease, batch(2, [range(1, 10, 20)])), 'CONFLICT')
    await run(store, lease, batch(2, [range(1, 4, 20), range(2, 50, 60)]))
    assert.equal((await other.read(stream)).lastBatchId, 2)
  })

  test('a starting point makes a partition begin there, also where there is nothing to read yet', async world => {
    const { store, other, stream } = world
    const lease = await store.acquire(stream, 'first', LONG_MS)
    await store.reset(lease, [position(0, 7), position(1, 0)], { reason: 'start' })
    assert.deepEqual((await other.read(stream)).offsets, [position(0, 7), position(1, 0)])
    await refusedUnchanged(world, () => store.begin(lease, batch(1, [range(0, 8, 9)])), 'CONFLICT')
    await run(store, lease, batch(1, [range(0, 7, 9)]))
    assert.deepEqual(
      (await historyOf(other, stream)).map(({ kind }) => kind),
      ['batch', 'start'],
    )
  })

  test('a reset replaces the topic id and the leader epoch of a position with its offset', async ({ store, other, stream }) => {
    const lease = await store.acquire(stream, 'first', LONG_MS)
    await store.reset(lease, [position(0, 7, { topicId: 'a', leaderEpoch: 3 }), position(1, 7, { topicId: 'a', leaderEpoch: 0 })])
    await store.reset(lease, [position(0, 7)])
    assert.deepEqual((await other.read(stream)).offsets, [position(0, 7), position(1, 7, { topicId: 'a', leaderEpoch: 0 })])
  })

  test('a forgotten partition may start anywhere again', async ({ store, other, stream }) => {
    const lease = await store.acquire(stream, 'first', LONG_MS)
    await run(store, lease, batch(1, [range(0, 0, 10), range(1, 0, 10)]))
    const forget = [
      { topic: 'orders', partition: 1 },
      { topic: 'never seen', partition: 0 },
    ]
    await store.reset(lease, [], { reason: 'removed', forget })
    assert.deepEqual((await other.read(stream)).offsets, [position(0, 10)])
    const [entry] = await historyOf(other, stream, { limit: 1 })
    assert.deepEqual(entry, { seq: 2, at: entry?.at, epoch: 1, kind: 'reset', reason: 'removed', offsets: [], forgotten: forget })
    await run(store, lease, batch(2, [range(1, 500, 501)]))
  })

  test('a reset is refused while a batch is pending', async world => {
    const { store, other, stream } = world
    const lease = await store.acquire(stream, 'first', LONG_MS)
    await store.begin(lease, batch(1, [range(0, 0, 10)]))
    await refusedUnchanged(world, () => other.reset(lease, [position(5, 0)]), 'CONFLICT')
    await refusedUnchanged(world, () => other.reset(lease, [], { forget: [{ topic: 'orders', partition: 0 }] }), 'CONFLICT')
  })

  test('a discarded batch is gone, its id is used, and the history keeps it', async world => {
    const { store, other, stream } = world
    const lease = await store.acquire(stream, 'first', LONG_MS)
    await run(store, lease, batch(1, [range(0, 0, 10)]))
    const discarded = batch(2, [range(0, 10, 20)], { facts: 'job 1' })
    await store.begin(lease, discarded)
    await other.reset(lease, [], { reason: 'poison', discard: true })
    const { offsets, lastBatchId, pending } = await store.read(stream)
    assert.deepEqual({ offsets, lastBatchId, pending }, { offsets: [position(0, 10)], lastBatchId: 2, pending: undefined })
    const [entry] = await historyOf(store, stream)
    assert.deepEqual(entry, { seq: 2, at: entry?.at, epoch: 1, kind: 'discard', reason: 'poison', batch: discarded })
    await refusedUnchanged(world, () => store.commit(lease, 2), 'CONFLICT')
    await refusedUnchanged(world, () => store.begin(lease, discarded), 'CONFLICT')
    await other.commit(lease, 1)
    await run(store, lease, batch(3, [range(0, 10, 20)]))
  })

  test('a discard with new positions is two entries of the history and one step', async ({ store, other, stream }) => {
    const lease = await store.acquire(stream, 'first', LONG_MS)
    await store.begin(lease, batch(1, [range(0, 0, 10)]))
    await store.reset(lease, [position(0, 99)], { reason: 'retention', discard: true })
    assert.deepEqual((await other.read(stream)).offsets, [position(0, 99)])
    assert.deepEqual(
      (await historyOf(other, stream)).map(({ kind, seq }) => [kind, seq]),
      [
        ['reset', 2],
        ['discard', 1],
      ],
    )
  })

  test('a discard where nothing is pending only resets', async ({ store, other, stream }) => {
    const lease = await store.acquire(stream, 'first', LONG_MS)
    await store.reset(lease, [], { discard: true })
    assert.deepEqual(await historyOf(other, stream), [])
    await store.reset(lease, [position(0, 1)], { discard: true })
    const { lastBatchId, offsets } = await other.read(stream)
    assert.deepEqual({ lastBatchId, offsets }, { lastBatchId: 0, offsets: [position(0, 1)] })
  })

  test('batch ids go on growing over a rewind', async world => {
    const { store, other, stream } = world
    const lease = await store.acquire(stream, 'first', LONG_MS)
    await run(store, lease, batch(1, [range(0, 0, 10)]))
    await store.reset(lease, [position(0, 0)], { reason: 'rewind' })
    await refusedUnchanged(world, () => other.begin(lease, batch(1, [range(0, 0, 10)])), 'CONFLICT')
    await run(other, lease, batch(2, [range(0, 0, 10)]))
  })

  test('a position that is no offset, or a partition named twice, is refused', async world => {
    const { store, other, stream } = world
    const lease = await store.acquire(stream, 'first', LONG_MS)
    await run(store, lease, batch(1, [range(0, 0, 10)]))
    for (const offset of [-1, 0.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53]) {
      await refusedUnchanged(world, () => other.reset(lease, [position(1, 1), position(0, offset)]), 'CONFLICT')
    }
    await refusedUnchanged(world, () => other.reset(lease, [position(0, 1), position(0, 2)]), 'CONFLICT')
    await refusedUnchanged(world, () => other.reset(lease, [position(0, 1)], { forget: [{ topic: 'orders', partition: 0 }] }), 'CONFLICT')
    await refusedUnchanged(world, () => other.reset(lease, [position(-1, 1)]), 'CONFLICT')
    await refusedUnchanged(world, () => other.reset(lease, [position(0, 1, { topic: '' })]), 'CONFLICT')
  })
}
