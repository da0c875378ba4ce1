import assert from 'node:assert/strict'
import { type ErrorCode, isRetryable, isTidemarkError } from '../../core/errors.ts'
import type { Lease, OffsetStore, StreamSnapshot } from '../../core/offset-store.ts'
import { batch, historyOf, LONG_MS, position, range, refused, run, uniqueName, untilAccepted } from './contract.ts'

/** A write as the tests of faults send it: once into the fault, then again until it is accepted. */
export type WriteCall = {
  readonly name: string
  /** Makes the stream that it is sent to. The lease is what it carries. */
  readonly prepare: (store: OffsetStore) => Promise<Sent>
  readonly send: (store: OffsetStore, sent: Sent) => Promise<unknown>
  /** The refusal that says, when it is sent again, that it has happened. */
  readonly doneBefore?: ErrorCode
  /** Throws unless it has happened, and once. `times` is how often it was sent. */
  readonly check: (store: OffsetStore, sent: Sent, times: number) => Promise<void>
}

type Sent = { readonly stream: string; readonly lease: Lease; readonly snapshot?: StreamSnapshot }

const discarded = batch(2, [range(0, 10, 20)], { facts: { outputs: ['a'] } })
const begun = batch(2, [range(0, 10, 20), range(1, 0, 7)], { facts: { outputs: ['a'] } })

/** A stream with a start and a committed batch. */
async function startedStream(store: OffsetStore): Promise<Sent> {
  const stream = uniqueName('orders')
  const lease = await store.acquire(stream, 'first', LONG_MS)
  await store.reset(lease, [position(0, 0), position(1, 0)], { reason: 'start' })
  await run(store, lease, batch(1, [range(0, 0, 10)]))
  return { stream, lease }
}

async function streamWithPending(store: OffsetStore): Promise<Sent> {
  const sent = await startedStream(store)
  await store.begin(sent.lease, begun)
  return sent
}

/** The newest lease is one of `owner`'s, alive, and the only one. */
async function checkHolder(store: OffsetStore, { stream }: Sent, owner: string): Promise<void> {
  const { epoch, streamId = assert.fail(`${stream} is not there`) } = await store.read(stream)
  await refused(store.acquire(stream, 'somebody else', LONG_MS), 'LEASE_HELD')
  await store.renew({ stream, owner, epoch, streamId, ttlMs: LONG_MS })
}

async function kindsOf(store: OffsetStore, { stream }: Sent): Promise<string[]> {
  return (await historyOf(store, stream)).map(entry => (entry.kind === 'batch' ? `batch ${entry.batch.id}` : entry.kind))
}

/** Every write of a store. */
export const writeCalls: readonly WriteCall[] = [
  {
    name: 'the acquire that makes a stream',
    prepare: async () => {
      const stream = uniqueName('orders')
      return { stream, lease: { stream, owner: 'first', epoch: 0, streamId: '', ttlMs: LONG_MS } }
    },
    send: (store, { stream }) => store.acquire(stream, 'first', LONG_MS),
    check: (store, sent) => checkHolder(store, sent, 'first'),
  },
  {
    name: 'an acquire',
    prepare: streamWithPending,
    send: (store, { stream }) => store.acquire(stream, 'first', LONG_MS),
    check: async (store, sent) => {
      await checkHolder(store, sent, 'first')
      await refused(store.renew(sent.lease), 'FENCED')
      const { pending, streamId } = await store.read(sent.stream)
      assert.deepEqual([pending, streamId], [begun, sent.lease.streamId])
    },
  },
  {
    name: 'a renew',
    prepare: startedStream,
    send: (store, { lease }) => store.renew(lease),
    check: async (store, sent) => {
      assert.equal((await store.read(sent.stream)).epoch, sent.lease.epoch)
      await checkHolder(store, sent, 'first')
    },
  },
  {
    name: 'a begin',
    prepare: startedStream,
    send: (store, { lease }) => store.begin(lease, begun),
    check: async (store, sent) => {
      const { pending, lastBatchId, offsets } = await store.read(sent.stream)
      assert.deepEqual({ pending, lastBatchId, offsets }, { pending: begun, lastBatchId: 1, offsets: [position(0, 10), position(1, 0)] })
      assert.deepEqual(await kindsOf(store, sent), ['batch 1', 'start'])
    },
  },
  {
    name: 'a commit',
    prepare: streamWithPending,
    send: (store, { lease }) => store.commit(lease, 2),
    check: async (store, sent) => {
      const { pending, lastBatchId, offsets } = await store.read(sent.stream)
      assert.deepEqual(
        { pending, lastBatchId, offsets },
        { pending: undefined, lastBatchId: 2, offsets: [position(0, 20), position(1, 7)] },
      )
      assert.deepEqual(await kindsOf(store, sent), ['batch 2', 'batch 1', 'start'])
    },
  },
  {
    name: 'a reset',
    prepare: async store => {
      const sent = await startedStream(store)
      await store.begin(sent.lease, discarded)
      return sent
    },
    send: (store, { lease }) => store.reset(lease, [position(0, 5)], { reason: 'rewind', discard: true }),
    // Positions that are set twice to the same are set once; the history says how often it was asked for, and never more often than that.
    check: async (store, sent, times) => {
      const { pending, lastBatchId, offsets } = await store.read(sent.stream)
      assert.deepEqual({ pending, lastBatchId, offsets }, { pending: undefined, lastBatchId: 2, offsets: [position(0, 5), position(1, 0)] })
      const kinds = await kindsOf(store, sent)
      const resets = kinds.lastIndexOf('reset') + 1
      assert.deepEqual(kinds.slice(resets), ['discard', 'batch 1', 'start'])
      assert.ok(resets >= 1 && resets <= times, `${resets} resets in the history, sent ${times} times`)
    },
  },
  {
    name: 'a release',
    prepare: streamWithPending,
    send: (store, { lease }) => store.release(lease),
    doneBefore: 'FENCED',
    check: async (store, { stream, lease }) => {
      const { epoch } = await store.read(stream)
      assert.equal(epoch, lease.epoch)
      assert.ok((await store.acquire(stream, 'second', LONG_MS)).epoch > epoch)
      assert.deepEqual((await store.read(stream)).pending, begun)
    },
  },
  {
    name: 'a retirement',
    prepare: streamWithPending,
    send: (store, { lease }) => store.retire(lease, 'moved'),
    doneBefore: 'FENCED',
    check: async (store, sent) => {
      const { retired, pending } = await store.read(sent.stream)
      assert.deepEqual({ retired, pending }, { retired: 'moved', pending: begun })
      await refused(store.acquire(sent.stream, 'first', LONG_MS), 'CONFLICT')
      assert.deepEqual(await kindsOf(store, sent), ['batch 1', 'start'])
    },
  },
  {
    name: 'a removal',
    prepare: streamWithPending,
    send: (store, { lease }) => store.remove(lease),
    doneBefore: 'FENCED',
    check: async (store, { stream }) => {
      assert.equal((await store.read(stream)).streamId, undefined)
      assert.deepEqual(await historyOf(store, stream), [])
      assert.ok(!(await store.streams()).includes(stream))
    },
  },
  {
    name: 'a restore',
    prepare: async store => {
      const { stream, lease } = await streamWithPending(store)
      const copy = uniqueName('copy')
      return { stream: copy, lease, snapshot: { ...(await store.snapshot(stream)), stream: copy } }
    },
    send: (store, { snapshot = assert.fail() }) => store.restore(snapshot),
    doneBefore: 'CONFLICT',
    check: async (store, { stream, snapshot }) => {
      assert.deepEqual(await store.snapshot(stream), snapshot)
      assert.ok((await store.streams()).includes(stream))
    },
  },
]

/**
 * Sends a write into a fault, and where nobody can say what became of it again until it is accepted, or refused because it has happened. Gives how
 * often it was sent. Any error but one that may pass fails the test.
 */
export async function sendThrough(
  { send, doneBefore }: WriteCall,
  store: OffsetStore,
  sent: Sent,
  fault: () => Promise<void> = async () => {},
): Promise<number> {
  let times = 1
  const first = send(store, sent).then(
    () => undefined,
    (error: unknown) => error,
  )
  await fault()
  const error = await first
  if (error === undefined) return times
  if (!isRetryable(error)) throw error
  await untilAccepted(() => {
    times += 1
    return send(store, sent)
  }).catch((again: unknown) => {
    if (doneBefore === undefined || !isTidemarkError(again, doneBefore)) throw again
  })
  return times
}

/** The same store, whose calls are sent until they are accepted: for what comes before a fault and after it, on connections that may be gone. */
export function insisting(store: OffsetStore): OffsetStore {
  return {
    acquire: (...of) => untilAccepted(() => store.acquire(...of)),
    renew: (...of) => untilAccepted(() => store.renew(...of)),
    release: (...of) => untilAccepted(() => store.release(...of)),
    read: (...of) => untilAccepted(() => store.read(...of)),
    begin: (...of) => untilAccepted(() => store.begin(...of)),
    commit: (...of) => untilAccepted(() => store.commit(...of)),
    reset: (...of) => untilAccepted(() => store.reset(...of)),
    async *history(...of) {
      yield* await untilAccepted(() => historyOf(store, ...of))
    },
    streams: (...of) => untilAccepted(() => store.streams(...of)),
    snapshot: (...of) => untilAccepted(() => store.snapshot(...of)),
    restore: (...of) => untilAccepted(() => store.restore(...of)),
    retire: (...of) => untilAccepted(() => store.retire(...of)),
    remove: (...of) => untilAccepted(() => store.remove(...of)),
    close: () => store.close(),
  }
}
