import assert from 'node:assert/strict'
import type { Lease, OffsetStore } from '../../core/offset-store.ts'
import { batch, type DefineTest, historyOf, LONG_MS, position, range, run } from './contract.ts'

const first = batch(1, [range(0, 5, 10), range(1, 0, 3)], { facts: { outputs: ['a'] } })
const second = batch(2, [range(0, 10, 12)])
const started = [position(0, 5), position(1, 0)]
const committed = [position(0, 10), position(1, 3)]

/** The life of a driver, call by call, and what the stream holds after each. */
const life: readonly {
  readonly call: string
  readonly send: (store: OffsetStore, lease: Lease) => Promise<void>
  readonly offsets: typeof started
  readonly pending?: typeof first
  readonly lastBatchId: number
  readonly kinds: readonly string[]
}[] = [
  { call: 'acquire', send: async () => {}, offsets: [], lastBatchId: 0, kinds: [] },
  {
    call: 'reset',
    send: (store, lease) => store.reset(lease, started, { reason: 'start' }),
    offsets: started,
    lastBatchId: 0,
    kinds: ['start'],
  },
  {
    call: 'begin',
    send: (store, lease) => store.begin(lease, first),
    offsets: started,
    pending: first,
    lastBatchId: 0,
    kinds: ['start'],
  },
  { call: 'commit', send: (store, lease) => store.commit(lease, 1), offsets: committed, lastBatchId: 1, kinds: ['batch', 'start'] },
  {
    call: 'renew',
    send: (store, lease) => store.renew(lease),
    offsets: committed,
    lastBatchId: 1,
    kinds: ['batch', 'start'],
  },
  {
    call: 'the begin after it',
    send: (store, lease) => store.begin(lease, second),
    offsets: committed,
    pending: second,
    lastBatchId: 1,
    kinds: ['batch', 'start'],
  },
  {
    call: 'release',
    send: (store, lease) => store.release(lease),
    offsets: committed,
    pending: second,
    lastBatchId: 1,
    kinds: ['batch', 'start'],
  },
]

/** Drivers that end without a word, between any two calls: a client that is neither used nor closed any more. */
export function defineAbandonedClientTests(test: DefineTest): void {
  for (const [index, { call, offsets, pending, lastBatchId, kinds }] of life.entries()) {
    test(`a stream whose client ended after ${call} is as that call left it, and goes on with another client`, async world => {
      const { store, another, stream } = world
      const abandoned = await another()
      const lease = await abandoned.acquire(stream, 'first', LONG_MS)
      for (const { send } of life.slice(0, index + 1)) await send(abandoned, lease)

      const taken = await store.acquire(stream, 'second', LONG_MS, { steal: call !== 'release' })
      assert.equal(taken.epoch, 2)
      const { streamId } = lease
      assert.deepEqual(await store.read(stream), { streamId, epoch: 2, offsets, lastBatchId, pending })
      assert.deepEqual(
        (await historyOf(store, stream)).map(({ kind }) => kind),
        kinds,
      )

      for (const { send } of life.slice(index + 1).filter(({ call }) => call !== 'release')) await send(store, taken)
      await store.begin(taken, second)
      await store.commit(taken, 2)
      await run(store, taken, batch(3, [range(0, 12, 20)]))
      assert.deepEqual((await store.read(stream)).offsets, [position(0, 20), position(1, 3)])
      assert.deepEqual(
        (await historyOf(store, stream)).map(entry => (entry.kind === 'batch' ? entry.batch.id : entry.kind)),
        [3, 2, 1, 'start'],
      )
    })
  }
}
