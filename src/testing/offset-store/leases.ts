import assert from 'node:assert/strict'
import type { Lease, OffsetStore } from '../../core/offset-store.ts'
import {
  acquireWhenFree,
  batch,
  type ContractWorld,
  type DefineTest,
  everything,
  LONG_MS,
  position,
  range,
  refused,
  refusedUnchanged,
  run,
  uniqueName,
} from './contract.ts'

const writes: readonly (readonly [string, (store: OffsetStore, lease: Lease) => Promise<void>])[] = [
  ['renew', (store, lease) => store.renew(lease)],
  ['begin of the next batch', (store, lease) => store.begin(lease, batch(3, [range(0, 20, 30)]))],
  ['begin of the pending batch', (store, lease) => store.begin(lease, batch(2, [range(0, 10, 20)]))],
  ['begin of a batch where all is wrong', (store, lease) => store.begin(lease, batch(99, [range(0, 7, 7)]))],
  ['commit of the pending batch', (store, lease) => store.commit(lease, 2)],
  ['commit of the batch committed last', (store, lease) => store.commit(lease, 1)],
  ['commit of an unknown batch', (store, lease) => store.commit(lease, 99)],
  ['reset', (store, lease) => store.reset(lease, [position(0, 0)])],
  ['reset with discard', (store, lease) => store.reset(lease, [position(0, 0)], { discard: true, forget: [position(1, 0)] })],
  ['retire', (store, lease) => store.retire(lease, 'moved')],
  ['remove', (store, lease) => store.remove(lease)],
  ['release', (store, lease) => store.release(lease)],
]

/** A stream with a committed batch and a begun one. */
async function busyStream({ store, stream }: ContractWorld, owner = 'first'): Promise<Lease> {
  const lease = await store.acquire(stream, owner, LONG_MS)
  await run(store, lease, batch(1, [range(0, 0, 10), range(1, 0, 5)]))
  await store.begin(lease, batch(2, [range(0, 10, 20)]))
  return lease
}

async function refusesAllWrites(world: ContractWorld, dead: Lease): Promise<void> {
  const before = await everything(world)
  for (const [what, write] of writes) {
    for (const client of new Set([world.store, world.other])) {
      await refused(write(client, dead), 'FENCED').catch(error => assert.fail(`${what}: ${error}`))
    }
    assert.deepEqual(await everything(world), before, `${what} with a dead lease changed the stream`)
  }
}

/** Who may write, and until when. */
export function defineLeaseTests(test: DefineTest): void {
  test('the first lease makes the stream, with an id and epoch 1', async ({ store, other, stream }) => {
    const lease = await store.acquire(stream, 'first', LONG_MS)
    const { streamId, epoch } = await other.read(stream)
    assert.deepEqual(lease, { stream, owner: 'first', epoch: 1, streamId, ttlMs: LONG_MS })
    assert.equal(epoch, 1)
    assert.match(streamId ?? '', /./)
  })

  test('a lease is refused while another owner has one that lives, and the refusal names the owner', async world => {
    const { store, other, stream } = world
    const lease = await store.acquire(stream, 'first', LONG_MS)
    const error = await refusedUnchanged(world, () => other.acquire(stream, 'second', LONG_MS), 'LEASE_HELD')
    assert.match(error.message, /first/)
    await run(store, lease, batch(1, [range(0, 0, 10)]))
  })

  test('the owner of a lease may acquire again at once, and the lease before is dead', async world => {
    const { store, other, stream } = world
    const before = await busyStream(world)
    const lease = await other.acquire(stream, 'first', LONG_MS)
    assert.equal(lease.epoch, before.epoch + 1)
    await refusesAllWrites(world, before)
    await store.commit(lease, 2)
  })

  test('steal takes a living lease over, and the one before is dead from that moment', async world => {
    const { other, stream } = world
    const before = await busyStream(world)
    const lease = await other.acquire(stream, 'second', LONG_MS, { steal: true })
    assert.equal(lease.epoch, before.epoch + 1)
    assert.equal(lease.streamId, before.streamId)
    await refusesAllWrites(world, before)
    await other.commit(lease, 2)
  })

  test('a lease that was let run out goes to whoever asks next, and is dead then', async world => {
    const { store, other, stream, ttlMs } = world
    const before = await store.acquire(stream, 'first', ttlMs)
    await run(store, before, batch(1, [range(0, 0, 10), range(1, 0, 5)]))
    await store.begin(before, batch(2, [range(0, 10, 20)]))
    const lease = await acquireWhenFree(other, stream, 'second', LONG_MS)
    assert.equal(lease.epoch, before.epoch + 1)
    await refusesAllWrites(world, before)
    await other.commit(lease, 2)
  })

  test('a lapsed lease that nobody took still writes, and can be renewed', async ({ store, other, stream, ttlMs }) => {
    const lease = await store.acquire(stream, 'first', ttlMs)
    // A lease of the same length that was granted later tells that this one has lapsed, without anybody asking for it.
    const hourglass = uniqueName('hourglass')
    await store.acquire(hourglass, 'first', ttlMs)
    await acquireWhenFree(other, hourglass, 'second', LONG_MS)
    await run(store, lease, batch(1, [range(0, 0, 10)]))
    await store.renew({ ...lease, ttlMs: LONG_MS })
    await refused(other.acquire(stream, 'second', LONG_MS), 'LEASE_HELD')
  })

  test('a lease that is renewed lives on past its first end', async ({ store, other, stream, ttlMs }) => {
    const lease = await store.acquire(stream, 'first', ttlMs)
    const hourglass = uniqueName('hourglass')
    await store.acquire(hourglass, 'first', ttlMs)
    await acquireWhenFree(other, hourglass, 'second', LONG_MS, () => store.renew(lease))
    await store.renew(lease)
    await refused(other.acquire(stream, 'second', LONG_MS), 'LEASE_HELD')
  })

  test('a released lease frees the stream at once, and the begun batch stays begun', async world => {
    const { store, other, stream } = world
    const before = await busyStream(world)
    await store.release(before)
    await refusesAllWrites(world, before)
    const lease = await other.acquire(stream, 'second', LONG_MS)
    assert.equal(lease.epoch, before.epoch + 1)
    assert.equal((await store.read(stream)).pending?.id, 2)
    await refusesAllWrites(world, before)
  })

  test('a lease that this store never granted is dead', async world => {
    const lease = await busyStream(world)
    await refusesAllWrites(world, { ...lease, owner: 'second' })
    await refusesAllWrites(world, { ...lease, streamId: 'another stream' })
    await refusesAllWrites(world, { ...lease, epoch: lease.epoch + 1 })
  })

  test('a lease of a stream that the store has never seen is dead', async ({ store, other, stream }) => {
    const lease: Lease = { stream, owner: 'first', epoch: 1, streamId: 'nowhere', ttlMs: LONG_MS }
    for (const [, write] of writes) await refused(write(store, lease), 'FENCED')
    assert.equal((await other.read(stream)).streamId, undefined)
  })

  test('of fifty owners that ask at once, one gets the lease', async ({ store, other, stream }) => {
    const asked = Array.from({ length: 50 }, (_, n) => (n % 2 === 0 ? store : other).acquire(stream, `owner-${n}`, LONG_MS))
    const answers = await Promise.allSettled(asked)
    assert.equal(answers.filter(({ status }) => status === 'fulfilled').length, 1)
    for (const answer of asked) await answer.catch(() => refused(answer, 'LEASE_HELD'))
    assert.equal((await store.read(stream)).epoch, 1)
  })

  test('fifty owners that steal at once get fifty epochs, and one of their leases lives', async ({ store, other, stream }) => {
    const leases = await Promise.all(
      Array.from({ length: 50 }, (_, n) => (n % 2 === 0 ? store : other).acquire(stream, `owner-${n}`, LONG_MS, { steal: true })),
    )
    assert.deepEqual(
      leases.map(({ epoch }) => epoch).sort((a, b) => a - b),
      Array.from({ length: 50 }, (_, n) => n + 1),
    )
    const newest = leases.find(({ epoch }) => epoch === 50)
    for (const lease of leases) {
      if (lease === newest) await other.renew(lease)
      else await refused(other.renew(lease), 'FENCED')
    }
  })

  test('the leases of two streams have nothing to do with each other', async ({ store, other, stream }) => {
    const twin = uniqueName('twin')
    const lease = await store.acquire(stream, 'first', LONG_MS)
    const twinLease = await other.acquire(twin, 'second', LONG_MS)
    assert.notEqual(lease.streamId, twinLease.streamId)
    await run(store, lease, batch(1, [range(0, 0, 10)]))
    await run(other, twinLease, batch(1, [range(0, 100, 110)]))
    assert.deepEqual((await other.read(stream)).offsets, [position(0, 10)])
    assert.deepEqual((await store.read(twin)).offsets, [position(0, 110)])
  })

  test('a lease without an owner or with a length that is none is refused', async ({ store, stream }) => {
    await refused(store.acquire(stream, '', LONG_MS), 'CONFIG')
    for (const ttlMs of [0, -1, Number.NaN, 1.5, Number.POSITIVE_INFINITY]) await refused(store.acquire(stream, 'first', ttlMs), 'CONFIG')
    assert.equal((await store.read(stream)).streamId, undefined)
  })

  test('closing a store releases the leases it holds, and twice is as good as once', async ({ store, another, stream }) => {
    const leaving = await another()
    await leaving.acquire(stream, 'first', LONG_MS)
    await leaving.close()
    await leaving.close()
    assert.equal((await store.acquire(stream, 'second', LONG_MS)).epoch, 2)
  })

  test('closing a store leaves a lease alone that was taken over', async ({ store, another, stream }) => {
    const leaving = await another()
    await leaving.acquire(stream, 'first', LONG_MS)
    const lease = await store.acquire(stream, 'second', LONG_MS, { steal: true })
    await leaving.close()
    await store.renew(lease)
    await refused(store.acquire(stream, 'third', LONG_MS), 'LEASE_HELD')
  })
}
