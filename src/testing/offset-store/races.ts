import assert from 'node:assert/strict'
import { type ErrorCode, isTidemarkError } from '../../core/errors.ts'
import { batch, type DefineTest, historyOf, LONG_MS, position, range, run, uniqueName, untilAccepted } from './contract.ts'

const ROUNDS = 10

/** How a call ended: accepted, or the code it was refused with. What may pass is sent again first. */
async function ending(call: () => Promise<unknown>): Promise<'accepted' | ErrorCode> {
  try {
    await untilAccepted(call)
    return 'accepted'
  } catch (error) {
    if (isTidemarkError(error)) return error.code
    throw error
  }
}

/** Clients that write at once: whatever happened is one order of their calls, and no accepted one is lost. */
export function defineRaceTests(test: DefineTest): void {
  test('of fifty clients that ask at once one gets the lease, and once it is released one of the others', async world => {
    const { store, other, another, stream } = world
    const clients = [store, other, ...(await Promise.all(Array.from({ length: 48 }, another)))]
    const askAll = () =>
      Promise.all(clients.map((client, n) => ending(async () => granted.set(n, await client.acquire(stream, `owner-${n}`, LONG_MS)))))
    const granted = new Map<number, Awaited<ReturnType<typeof store.acquire>>>()
    for (let epoch = 1; epoch <= 2; epoch++) {
      const endings = await askAll()
      assert.deepEqual(endings.toSorted(), [...Array<string>(49).fill('LEASE_HELD'), 'accepted'])
      const [lease = assert.fail()] = granted.values()
      assert.equal(lease.epoch, epoch)
      const { streamId } = await other.read(stream)
      assert.equal(lease.streamId, streamId)
      const [holder = assert.fail()] = granted.keys()
      await clients[holder]?.release(lease)
      granted.clear()
    }
  })

  test('a stream that two clients make at once is one stream', async ({ store, other }) => {
    for (let round = 0; round < ROUNDS; round++) {
      const stream = uniqueName('made-twice')
      const leases = await Promise.all([store, other].map(client => untilAccepted(() => client.acquire(stream, 'first', LONG_MS))))
      assert.deepEqual(leases.map(({ epoch }) => epoch).toSorted(), [1, 2])
      assert.equal(new Set(leases.map(({ streamId }) => streamId)).size, 1)
    }
  })

  test('of two different batches begun at once under one lease one is, and the other is refused', async ({ store, other, stream }) => {
    const lease = await store.acquire(stream, 'first', LONG_MS)
    let reached = 0
    for (let id = 1; id <= ROUNDS; id++) {
      const batches = [batch(id, [range(0, reached, reached + 1)]), batch(id, [range(0, reached, reached + 2)])] as const
      const endings = await Promise.all([ending(() => store.begin(lease, batches[0])), ending(() => other.begin(lease, batches[1]))])
      assert.deepEqual(endings.toSorted(), ['CONFLICT', 'accepted'])
      const won = endings[0] === 'accepted' ? batches[0] : batches[1]
      assert.deepEqual((await store.read(stream)).pending, won)
      assert.deepEqual(await Promise.all([store, other].map(client => ending(() => client.commit(lease, id)))), ['accepted', 'accepted'])
      reached = won.ranges[0]?.untilOffset ?? assert.fail()
      assert.deepEqual((await other.read(stream)).offsets, [position(0, reached)])
    }
    assert.equal((await historyOf(other, stream)).length, ROUNDS)
  })

  test('a commit, a reset and a begin that race leave what one order of them leaves', async ({ store, other, stream }) => {
    const lease = await store.acquire(stream, 'first', LONG_MS)
    let reached = 0
    for (let round = 0; round < ROUNDS; round++) {
      const { lastBatchId } = await store.read(stream)
      const [pending, next] = [lastBatchId + 1, lastBatchId + 2]
      await store.begin(lease, batch(pending, [range(0, reached, reached + 10)]))
      const before = (await historyOf(store, stream)).length
      const following = batch(next, [range(0, reached + 10, reached + 20)])
      const [committed, wasReset, begun] = await Promise.all([
        ending(() => store.commit(lease, pending)),
        ending(() => other.reset(lease, [position(0, reached + 5)], { reason: `round ${round}` })),
        ending(() => store.begin(lease, following)),
      ])
      assert.equal(committed, 'accepted')
      for (const how of [wasReset, begun]) assert.ok(how === 'accepted' || how === 'CONFLICT', how)
      assert.ok(wasReset !== 'accepted' || begun !== 'accepted', 'a reset and a begin that contradict each other were both accepted')
      const state = await other.read(stream)
      assert.deepEqual(state.offsets, [position(0, wasReset === 'accepted' ? reached + 5 : reached + 10)])
      assert.deepEqual(state.pending, begun === 'accepted' ? following : undefined)
      assert.equal((await historyOf(other, stream)).length, before + (wasReset === 'accepted' ? 2 : 1))
      if (begun === 'accepted') await store.commit(lease, next)
      reached = (await store.read(stream)).offsets[0]?.offset ?? assert.fail()
    }
  })

  test('resets that race all happen, and the history has each', async ({ store, other, stream }) => {
    const lease = await store.acquire(stream, 'first', LONG_MS)
    const resets = Array.from({ length: 20 }, (_, n) => n + 1)
    // All are there before, so that a client which writes back what it read undoes what others have done meanwhile.
    await store.reset(lease, [position(0, 0), ...resets.map(n => position(n, 0))], { reason: 'start' })
    await Promise.all(
      resets.map(n =>
        untilAccepted(() => (n % 2 === 0 ? store : other).reset(lease, [position(0, n), position(n, n)], { reason: `reset ${n}` })),
      ),
    )
    const history = await historyOf(other, stream, { limit: resets.length })
    assert.deepEqual(
      history.map(({ seq }) => seq),
      resets.toReversed().map(n => n + 1),
    )
    const reasons = history.map(entry => (entry.kind === 'reset' ? entry.reason : entry.kind))
    assert.deepEqual(reasons.toSorted(), resets.map(n => `reset ${n}`).toSorted())
    const last = Number(reasons[0]?.slice('reset '.length))
    assert.deepEqual((await store.read(stream)).offsets, [position(0, last), ...resets.map(n => position(n, n))])
  })

  test('a commit that races with a takeover happened before it, or is refused and changed nothing', async ({ store, other, stream }) => {
    let lease = await store.acquire(stream, 'first', LONG_MS)
    for (let id = 1; id <= ROUNDS; id++) {
      await store.begin(lease, batch(id, [range(0, id, id + 1)]))
      const [committed, taken] = await Promise.all([
        ending(() => store.commit(lease, id)),
        untilAccepted(() => other.acquire(stream, 'second', LONG_MS, { steal: true })),
      ])
      const [newest] = await historyOf(other, stream, { limit: 1 })
      const { pending, lastBatchId } = await other.read(stream)
      if (committed === 'accepted') {
        assert.deepEqual([pending, lastBatchId, newest?.epoch], [undefined, id, lease.epoch])
      } else {
        assert.equal(committed, 'FENCED')
        assert.deepEqual([pending?.id, lastBatchId], [id, id - 1])
        await other.commit(taken, id)
      }
      lease = await store.acquire(stream, 'first', LONG_MS, { steal: true })
    }
    assert.equal((await historyOf(other, stream)).length, ROUNDS)
  })

  test('of two clients that restore a stream at once one does', async ({ store, other, stream }) => {
    await run(store, await store.acquire(stream, 'first', LONG_MS), batch(1, [range(0, 0, 10)]))
    const snapshot = await store.snapshot(stream)
    for (let round = 0; round < ROUNDS; round++) {
      const copies = [1, 2].map(n => ({ ...snapshot, stream: `${stream}-copy-${round}`, epoch: snapshot.epoch + n }))
      const endings = await Promise.all(copies.map((copy, n) => ending(() => (n === 0 ? store : other).restore(copy))))
      assert.deepEqual(endings.toSorted(), ['CONFLICT', 'accepted'])
      assert.deepEqual(await other.snapshot(`${stream}-copy-${round}`), copies[endings.indexOf('accepted')])
    }
  })
}
