import assert from 'node:assert/strict'
import type { OffsetStore } from '../../core/offset-store.ts'
import { batch, type DefineTest, historyOf, LONG_MS, position, range, refused, run } from './contract.ts'

/** A start, a batch, a reset, a batch of a second driver, and a discard. */
async function eventful(store: OffsetStore, stream: string): Promise<void> {
  const first = await store.acquire(stream, 'first', LONG_MS)
  await store.reset(first, [position(0, 5, { topicId: 'a' }), position(1, 0)], { reason: 'start' })
  await run(store, first, batch(1, [range(0, 5, 10), range(1, 0, 3)], { facts: 'job 1' }))
  await store.reset(first, [position(0, 7, { leaderEpoch: 4 })])
  const second = await store.acquire(stream, 'second', LONG_MS, { steal: true })
  await run(store, second, batch(2, [range(0, 7, 9)], { epoch: 2 }))
  await store.begin(second, batch(3, [range(0, 9, 12)], { epoch: 2 }))
  await store.reset(second, [], { reason: 'poison', discard: true })
}

/** `history`: what replay reads. */
export function defineHistoryTests(test: DefineTest): void {
  test('the history holds starts, batches, resets and discards as they were given, newest first', async ({ store, other, stream }) => {
    await eventful(store, stream)
    const entries = await historyOf(other, stream)
    for (const { at } of entries) assert.ok(Number.isFinite(at) && at > 0)
    assert.deepEqual(
      entries.map(({ at, ...entry }) => entry),
      [
        { seq: 5, epoch: 2, kind: 'discard', reason: 'poison', batch: batch(3, [range(0, 9, 12)], { epoch: 2 }) },
        { seq: 4, epoch: 2, kind: 'batch', batch: batch(2, [range(0, 7, 9)], { epoch: 2 }) },
        { seq: 3, epoch: 1, kind: 'reset', reason: 'reset', offsets: [position(0, 7, { leaderEpoch: 4 })], forgotten: [] },
        { seq: 2, epoch: 1, kind: 'batch', batch: batch(1, [range(0, 5, 10), range(1, 0, 3)], { facts: 'job 1' }) },
        { seq: 1, epoch: 1, kind: 'start', offsets: [position(0, 5, { topicId: 'a' }), position(1, 0)] },
      ],
    )
  })

  test('a page of the history begins below `before` and has at most `limit` entries', async ({ store, other, stream }) => {
    await eventful(store, stream)
    const seqs = async (options: { before?: number; limit?: number }) => (await historyOf(other, stream, options)).map(({ seq }) => seq)
    assert.deepEqual(await seqs({ limit: 2 }), [5, 4])
    assert.deepEqual(await seqs({ before: 4, limit: 2 }), [3, 2])
    assert.deepEqual(await seqs({ before: 3 }), [2, 1])
    assert.deepEqual(await seqs({ before: 1 }), [])
    assert.deepEqual(await seqs({ limit: 0 }), [])
    assert.deepEqual(await seqs({ before: 1_000, limit: 1_000 }), [5, 4, 3, 2, 1])
    for (const wrong of [{ limit: -1 }, { limit: 1.5 }, { before: -1 }]) await refused(seqs(wrong), 'CONFIG')
  })

  test('a long history is read whole, also while the stream goes on', async ({ store, other, stream }) => {
    const lease = await store.acquire(stream, 'first', LONG_MS)
    const ids = Array.from({ length: 150 }, (_, n) => n + 1)
    for (const id of ids) await run(store, lease, batch(id, [range(0, id, id + 1)]))
    const seen: number[] = []
    for await (const { seq } of other.history(stream)) {
      if (seq === 150) await run(store, lease, batch(151, [range(0, 151, 152)]))
      seen.push(seq)
    }
    assert.deepEqual(seen, ids.toReversed())
    const page = await historyOf(other, stream, { before: 140, limit: 100 })
    assert.deepEqual(
      page.map(({ seq }) => seq),
      ids.slice(39, 139).toReversed(),
    )
  })

  test('a stream that the store has never seen has no history', async ({ other, stream }) => {
    assert.deepEqual(await historyOf(other, stream), [])
  })
}
