import assert from 'node:assert/strict'
import { isRetryable } from '../../core/errors.ts'
import type { Lease, OffsetStore } from '../../core/offset-store.ts'
import type { Batch } from '../../core/values.ts'
import { batch, type DefineTest, LONG_MS, position, range, refused } from './contract.ts'
import { insisting } from './write-calls.ts'

const PARTITIONS = [0, 1, 2, 3]
const MORE_BATCHES = 20

const planned = (id: number): Batch =>
  batch(
    id,
    PARTITIONS.map(partition => range(partition, 10 * (id - 1), 10 * id)),
    { facts: { outputs: ['a'] } },
  )

/** What a driver knows of its stream: the newest batch that it sent, and the newest whose call resolved. */
type Said = { sent: number; begun: number; committed: number }

/** Begins and commits until a call fails or `untilBatch()` has been reached; what fails must be something that may pass. */
async function drive(store: OffsetStore, lease: Lease, said: Said, untilBatch: () => number): Promise<void> {
  try {
    while (said.committed < untilBatch()) {
      said.sent = said.committed + 1
      await store.begin(lease, planned(said.sent))
      said.begun = said.sent
      await store.commit(lease, said.sent)
      said.committed = said.sent
    }
  } catch (error) {
    if (!isRetryable(error)) throw error
  }
}

/** Does what a driver does whose last call has an unknown outcome: reads, finishes the batch that is pending, and goes on. */
async function goOn(store: OffsetStore, lease: Lease, said: Said): Promise<void> {
  const { lastBatchId, pending } = await store.read(lease.stream)
  said.committed = lastBatchId
  if (pending !== undefined) {
    await store.begin(lease, pending)
    await store.commit(lease, pending.id)
    said.committed = said.begun = said.sent = pending.id
  }
  const next = said.committed + 1
  await drive(store, lease, said, () => next)
}

/** The stream is a whole number of calls: at least those that resolved, at most those that were sent. */
async function checkPrefix(store: OffsetStore, lease: Lease, { sent, begun, committed }: Said): Promise<void> {
  const { history, ...state } = await store.snapshot(lease.stream)
  const { lastBatchId, pending } = state
  const said = `said: committed ${committed}, begun ${begun}, sent ${sent}; there: committed ${lastBatchId}, begun ${pending?.id}`
  assert.ok(lastBatchId >= committed && lastBatchId <= sent, said)
  assert.ok((pending?.id ?? lastBatchId) >= begun && (pending?.id ?? lastBatchId) <= sent, said)
  if (pending !== null) assert.deepEqual(pending, planned(lastBatchId + 1))
  assert.deepEqual([state.streamId, state.epoch, state.lastCommittedId], [lease.streamId, lease.epoch, lastBatchId])
  assert.deepEqual(
    state.offsets,
    PARTITIONS.map(partition => position(partition, 10 * lastBatchId)),
  )
  assert.deepEqual(
    history.map(entry => [entry.seq, entry.kind === 'batch' ? entry.batch : entry.kind]),
    Array.from({ length: lastBatchId + 1 }, (_, n) => [n + 1, n === 0 ? 'start' : planned(n)]),
  )
}

/** A server that is killed while it writes and started again on what its disk has. */
export function defineKilledServerTests(test: DefineTest): void {
  test('a server killed in the midst of begins and commits has every call that had resolved, and nothing half', async world => {
    const { store, other, stream, faults } = world
    const lease = await store.acquire(stream, 'first', LONG_MS)
    await store.reset(
      lease,
      PARTITIONS.map(partition => position(partition, 0)),
      { reason: 'start' },
    )
    const said: Said = { sent: 0, begun: 0, committed: 0 }
    for (const batches of [3, 10, 31]) {
      const calm = said.committed + batches
      await drive(insisting(store), lease, said, () => calm)
      // The kill meets a call of this driver, which ends there, or some batches later where its client waits the outage out.
      let last = Number.POSITIVE_INFINITY
      const driving = drive(store, lease, said, () => last)
      await faults.restart()
      last = said.committed + MORE_BATCHES
      await driving
      await checkPrefix(insisting(other), lease, said)
      await goOn(insisting(store), lease, said)
      await checkPrefix(insisting(other), lease, said)
    }
  })

  test('a lease outlives the server that granted it', async ({ store, other, stream, faults }) => {
    const lease = await store.acquire(stream, 'first', LONG_MS)
    await faults.restart()
    await refused(insisting(other).acquire(stream, 'second', LONG_MS), 'LEASE_HELD')
    await insisting(store).renew(lease)
    await insisting(store).begin(lease, planned(1))
    await insisting(store).commit(lease, 1)
    assert.equal((await insisting(other).read(stream)).lastBatchId, 1)
  })
}
