import assert from 'node:assert/strict'
import type { Lease, OffsetStore, StreamSnapshot } from '../../core/offset-store.ts'
import { batch, type DefineTest, historyOf, LONG_MS, position, range, refused, refusedUnchanged, run, uniqueName } from './contract.ts'

async function fullStream(store: OffsetStore, stream: string): Promise<Lease> {
  await store.acquire(stream, 'zeroth', LONG_MS)
  const lease = await store.acquire(stream, 'first', LONG_MS, { steal: true })
  await store.reset(lease, [position(0, 0, { topicId: 'a', leaderEpoch: 1 }), position(1, 5)], { reason: 'start' })
  await run(store, lease, batch(1, [range(0, 0, 10), range(1, 5, 6)], { facts: ['a'] }))
  await store.begin(lease, batch(2, [range(0, 10, 20)]))
  await store.reset(lease, [], { reason: 'poison', discard: true })
  await store.begin(lease, batch(3, [range(0, 10, 15), range(0, 15, 20)], { epoch: 2, facts: { isolation: 'read_committed' } }))
  return lease
}

/** Whole streams: listed, exported, imported, retired and removed. */
export function defineStreamTests(test: DefineTest): void {
  test('streams are listed by name, sorted', async ({ store, other, stream }) => {
    const names = [`${stream}-b`, `${stream}-a`, `${stream}-C`]
    for (const name of names) await store.acquire(name, 'first', LONG_MS)
    const listed = await other.streams()
    assert.deepEqual(
      listed.filter(name => names.includes(name)),
      [`${stream}-C`, `${stream}-a`, `${stream}-b`],
    )
    assert.deepEqual(listed, listed.toSorted())
  })

  test('a snapshot holds all of a stream as plain data', async ({ store, other, stream }) => {
    const lease = await fullStream(store, stream)
    const snapshot = await other.snapshot(stream)
    const { history, ...state } = snapshot
    assert.deepEqual(state, {
      v: 1,
      stream,
      streamId: lease.streamId,
      epoch: 2,
      offsets: [position(0, 10), position(1, 6)],
      lastBatchId: 2,
      lastCommittedId: 1,
      pending: batch(3, [range(0, 10, 15), range(0, 15, 20)], { epoch: 2, facts: { isolation: 'read_committed' } }),
    })
    assert.deepEqual(history, (await historyOf(store, stream)).reverse())
    assert.deepEqual(JSON.parse(JSON.stringify(snapshot)), snapshot)
  })

  test('a restored stream is the one that was exported, and goes on under a higher epoch', async ({ store, other, stream }) => {
    await fullStream(store, stream)
    const snapshot = await store.snapshot(stream)
    const copy = uniqueName('copy')
    await other.restore(JSON.parse(JSON.stringify({ ...snapshot, stream: copy })))
    assert.deepEqual(await store.snapshot(copy), { ...snapshot, stream: copy })

    const lease = await store.acquire(copy, 'second', LONG_MS)
    assert.ok(lease.epoch > snapshot.epoch)
    assert.equal(lease.streamId, snapshot.streamId)
    await store.commit(lease, 1)
    await store.begin(lease, snapshot.pending ?? assert.fail())
    await store.commit(lease, 3)
    await run(store, lease, batch(4, [range(0, 20, 30)]))
    assert.deepEqual(
      (await historyOf(other, copy)).map(({ seq }) => seq),
      [5, 4, 3, 2, 1],
    )
  })

  test('a lease from before a restore is dead', async ({ store, other, stream }) => {
    const lease = await fullStream(store, stream)
    const snapshot = await store.snapshot(stream)
    await store.remove(lease)
    await other.restore(snapshot)
    for (const client of [store, other]) await refused(client.commit(lease, 3), 'FENCED')
    assert.deepEqual(await other.snapshot(stream), snapshot)
  })

  test('a stream that exists cannot be restored onto', async world => {
    const { store, other, stream } = world
    await fullStream(store, stream)
    const snapshot = await store.snapshot(stream)
    await refusedUnchanged(world, () => other.restore({ ...snapshot, lastBatchId: 7, pending: null }), 'CONFLICT')
  })

  test('a snapshot of a later format, or one that contradicts itself, is refused whole', async ({ store, other, stream }) => {
    await fullStream(store, stream)
    const snapshot = { ...(await store.snapshot(stream)), stream: uniqueName('copy') }
    const later = JSON.parse(JSON.stringify({ ...snapshot, v: 2 })) as StreamSnapshot
    await refused(other.restore(later), 'UNSUPPORTED')
    const broken: readonly Partial<StreamSnapshot>[] = [
      { lastBatchId: 7 },
      { lastBatchId: -1 },
      { lastCommittedId: 3 },
      { epoch: 0.5 },
      { offsets: [position(0, 1), position(0, 2)] },
      { offsets: [position(0, 2 ** 53)] },
      { history: snapshot.history.toReversed() },
    ]
    for (const part of broken) await refused(other.restore({ ...snapshot, ...part }), 'CONFLICT')
    assert.equal((await store.read(snapshot.stream)).streamId, undefined)
  })

  test('a stream that does not exist has no snapshot', async ({ other, stream }) => {
    await refused(other.snapshot(stream), 'CONFLICT')
  })

  test('a retired stream can be read and never be acquired again', async ({ store, other, stream }) => {
    const lease = await fullStream(store, stream)
    const before = await store.read(stream)
    await store.retire(lease, 'moved to the new cluster')
    assert.deepEqual(await other.read(stream), { ...before, retired: 'moved to the new cluster' })
    assert.equal((await historyOf(other, stream)).length, 3)
    for (const options of [{}, { steal: true }]) {
      const error = await refused(other.acquire(stream, 'first', LONG_MS, options), 'CONFLICT')
      assert.match(error.message, /moved to the new cluster/)
    }
    await refused(store.renew(lease), 'FENCED')
    await refused(store.commit(lease, 3), 'FENCED')
    assert.ok((await other.streams()).includes(stream))
  })

  test('a stream cannot be retired without a note', async world => {
    const lease = await fullStream(world.store, world.stream)
    await refusedUnchanged(world, () => world.other.retire(lease, ''), 'CONFIG')
  })

  test('a removed stream is gone, and its name begins anew with a life of its own', async ({ store, other, stream }) => {
    const removed = await fullStream(store, stream)
    await other.remove(removed)
    assert.equal((await store.read(stream)).streamId, undefined)
    assert.deepEqual(await historyOf(store, stream), [])
    assert.ok(!(await store.streams()).includes(stream))
    await refused(store.renew(removed), 'FENCED')

    // The same owner acquires as often as before, so that only the stream's id tells the old lease from the new one.
    await store.acquire(stream, 'first', LONG_MS)
    const lease = await store.acquire(stream, 'first', LONG_MS)
    assert.equal(lease.epoch, removed.epoch)
    assert.notEqual(lease.streamId, removed.streamId)
    for (const client of [store, other]) await refused(client.begin(removed, batch(1, [range(0, 0, 1)])), 'FENCED')
    assert.deepEqual(await other.read(stream), { streamId: lease.streamId, epoch: 2, offsets: [], lastBatchId: 0, pending: undefined })
    await run(other, lease, batch(1, [range(0, 70, 71)]))
    assert.deepEqual(
      (await historyOf(store, stream)).map(({ seq }) => seq),
      [1],
    )
  })
}
