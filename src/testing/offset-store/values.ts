import assert from 'node:assert/strict'
import type { Lease, OffsetStore } from '../../core/offset-store.ts'
import type { Json } from '../../core/values.ts'
import {
  batch,
  type DefineTest,
  everything,
  historyOf,
  LONG_MS,
  position,
  range,
  refused,
  refusedUnchanged,
  run,
  uniqueName,
} from './contract.ts'

const ODD_NAMES = [
  ' ',
  '.',
  '..',
  'a/b//c/',
  'back\\slash',
  'it\'s "quoted" `so`; drop table streams; --',
  'two\nlines\r\n\ttab',
  '100% ? * [x] {y} $z #',
  'Straße ☃ 日本語 🦄',
  'e\u0301 is not \u00e9',
  'is not e\u0301: \u00e9',
  'Case',
  'case',
  'null',
  '__proto__',
  'n'.repeat(2_000),
]

/** No topic can have these, but a stream can; the long one does not compress to a key that any index takes. */
const ODD_STREAMS = ['nul \u0000 in it', 'nul ', Array.from({ length: 3_000 }, (_, n) => n.toString(36)).join('.')]

const HALF_A_PAIR = 'half a pair: \ud83e'

const ALL_FACTS: Json = {
  '': null,
  'a/b "c"': [1, -0.5, 1e300, true, false, null, '', 'Straße 🦄\n', { deep: [[[]]] }],
  max: Number.MAX_SAFE_INTEGER,
  nul: 'a\u0000b',
  __proto: 'x'.repeat(10_000),
}

const calls: readonly (readonly [string, (store: OffsetStore, lease: Lease, signal: AbortSignal) => Promise<unknown>])[] = [
  ['acquire', (store, { stream }, signal) => store.acquire(stream, 'second', LONG_MS, { steal: true, signal })],
  ['renew', (store, lease, signal) => store.renew(lease, { signal })],
  ['read', (store, { stream }, signal) => store.read(stream, { signal })],
  ['begin', (store, lease, signal) => store.begin(lease, batch(2, [range(0, 10, 20)]), { signal })],
  ['commit', (store, lease, signal) => store.commit(lease, 1, { signal })],
  ['reset', (store, lease, signal) => store.reset(lease, [position(0, 0)], { signal })],
  ['history', (store, { stream }, signal) => historyOf(store, stream, { signal })],
  ['streams', (store, _, signal) => store.streams({ signal })],
  ['snapshot', (store, { stream }, signal) => store.snapshot(stream, { signal })],
  [
    'restore',
    async (store, { stream }, signal) => store.restore({ ...(await store.snapshot(stream)), stream: uniqueName('copy') }, { signal }),
  ],
  ['retire', (store, lease, signal) => store.retire(lease, 'moved', { signal })],
  ['remove', (store, lease, signal) => store.remove(lease, { signal })],
  ['release', (store, lease, signal) => store.release(lease, { signal })],
]

/** Values come back as they were given, whatever they are, and nobody holds a piece of the store's own. */
export function defineValueTests(test: DefineTest): void {
  test('any non-empty text is a name of a stream of its own', async ({ store, other }) => {
    const names = [...ODD_NAMES, ...ODD_STREAMS].map(name => `${name}${uniqueName('')}`)
    for (const [n, name] of names.entries()) {
      const lease = await store.acquire(name, name, LONG_MS)
      await run(store, lease, batch(1, [range(0, n, n + 1)]))
    }
    for (const [n, name] of names.entries()) {
      assert.deepEqual((await other.read(name)).offsets, [position(0, n + 1)])
      assert.equal((await other.snapshot(name)).stream, name)
      assert.equal((await historyOf(other, name)).length, 1)
    }
    const listed = await other.streams()
    for (const name of names) assert.ok(listed.includes(name), `${JSON.stringify(name)} is not listed`)
  })

  test('an empty name is refused', async ({ store }) => {
    await refused(store.acquire('', 'first', LONG_MS), 'CONFIG')
    await refused(store.read(''), 'CONFIG')
    await refused(store.snapshot(''), 'CONFIG')
    await refused(historyOf(store, ''), 'CONFIG')
  })

  test('half a surrogate pair is no text, so what is named by it is refused', async world => {
    const { store, other, stream } = world
    const lease = await store.acquire(stream, 'first', LONG_MS)
    await run(store, lease, batch(1, [range(0, 0, 10)]))
    const snapshot = await store.snapshot(stream)
    await refusedUnchanged(world, () => other.acquire(HALF_A_PAIR, 'first', LONG_MS), 'CONFIG')
    await refusedUnchanged(world, () => other.acquire(stream, HALF_A_PAIR, LONG_MS, { steal: true }), 'CONFIG')
    await refusedUnchanged(world, () => other.read(HALF_A_PAIR), 'CONFIG')
    await refusedUnchanged(world, () => other.restore({ ...snapshot, stream: HALF_A_PAIR }), 'CONFIG')
    await refusedUnchanged(world, () => other.retire(lease, HALF_A_PAIR), 'CONFIG')
    await refusedUnchanged(world, () => other.begin(lease, batch(2, [range(0, 0, 1, { topic: HALF_A_PAIR })])), 'CONFLICT')
    await refusedUnchanged(world, () => other.reset(lease, [position(0, 1, { topic: HALF_A_PAIR })]), 'CONFLICT')
  })

  test('topics of any name are kept apart', async ({ store, other, stream }) => {
    const lease = await store.acquire(stream, 'first', LONG_MS)
    const topics = [...ODD_NAMES, 'orders', 'orders-1', 'orders_1', 'orders.1', '1:orders', 'cluster/orders'].sort()
    const ranges = topics.map((topic, n) => range(n, n, n + 1, { topic }))
    await run(store, lease, batch(1, ranges))
    assert.deepEqual(
      (await other.read(stream)).offsets,
      topics.map((topic, n) => position(n, n + 1, { topic })),
    )
  })

  test('offsets up to 2^53 - 1 are exact, and those above are refused', async world => {
    const { store, other, stream } = world
    const max = Number.MAX_SAFE_INTEGER
    const lease = await store.acquire(stream, 'first', LONG_MS)
    await store.reset(lease, [position(0, max - 3), position(1, max)], { reason: 'start' })
    const begun = batch(1, [range(0, max - 3, max - 2), range(0, max - 2, max - 1)], { batchTime: max })
    await store.begin(lease, begun)
    assert.deepEqual((await other.read(stream)).pending, begun)
    await store.commit(lease, 1)
    assert.deepEqual((await other.read(stream)).offsets, [position(0, max - 1), position(1, max)])
    const [newest] = await historyOf(other, stream)
    assert.deepEqual(newest?.kind === 'batch' && newest.batch, begun)
    for (const untilOffset of [max + 1, Number.POSITIVE_INFINITY, Number.NaN]) {
      await refusedUnchanged(world, () => store.begin(lease, batch(2, [range(0, max - 1, untilOffset)])), 'CONFLICT')
    }
    for (const fromOffset of [-1, 0.5]) {
      await refusedUnchanged(world, () => store.begin(lease, batch(2, [range(9, fromOffset, 10)])), 'CONFLICT')
    }
  })

  test('topic ids, leader epochs and facts come back as they were given', async ({ store, other, stream }) => {
    const lease = await store.acquire(stream, 'first', LONG_MS)
    const topicId = 'nWzjUwMaR4Obv0nFXvQ1CA'
    const ranges = [
      range(0, 0, 1, { topicId, leaderEpoch: 0 }),
      range(1, 0, 1, { topicId }),
      range(2, 0, 1, { leaderEpoch: 2 ** 31 - 1 }),
      range(3, 0, 1),
    ]
    const begun = batch(1, ranges, { facts: ALL_FACTS })
    await store.begin(lease, begun)
    assert.deepEqual((await other.read(stream)).pending, begun)
    await store.begin(lease, begun)
    await store.commit(lease, 1)
    assert.deepEqual((await other.read(stream)).offsets, [
      position(0, 1, { topicId, leaderEpoch: 0 }),
      position(1, 1, { topicId }),
      position(2, 1, { leaderEpoch: 2 ** 31 - 1 }),
      position(3, 1),
    ])
    const [entry] = await historyOf(other, stream)
    assert.deepEqual(entry?.kind === 'batch' && entry.batch, begun)
  })

  test('a committed offset has the topic id and the leader epoch of its last range', async ({ store, other, stream }) => {
    const lease = await store.acquire(stream, 'first', LONG_MS)
    await run(store, lease, batch(1, [range(0, 0, 5, { topicId: 'a', leaderEpoch: 1 }), range(0, 5, 9, { topicId: 'a', leaderEpoch: 2 })]))
    assert.deepEqual((await other.read(stream)).offsets, [position(0, 9, { topicId: 'a', leaderEpoch: 2 })])
    await run(store, lease, batch(2, [range(0, 9, 10)]))
    assert.deepEqual((await other.read(stream)).offsets, [position(0, 10)])
  })

  test('changing what was given to a store, or what it gave, changes nothing in it', async world => {
    const { store, other, stream } = world
    const lease = await store.acquire(stream, 'first', LONG_MS)
    const start = { topic: 'orders', partition: 0, offset: 0 }
    await store.reset(lease, [start], { reason: 'start' })
    await run(store, lease, batch(1, [range(0, 0, 10)]))
    const slice = { topic: 'orders', partition: 0, fromOffset: 10, untilOffset: 20 }
    const facts = { outputs: ['a'] }
    const ranges = [slice]
    await store.begin(lease, batch(2, ranges, { facts }))
    const before = await everything(world)

    Object.assign(start, { offset: 99 })
    Object.assign(slice, { untilOffset: 99 })
    ranges.push(slice)
    facts.outputs.push('b')
    for (const given of [await store.read(stream), await other.snapshot(stream), await historyOf(store, stream), await store.streams()])
      spoil(given)
    assert.deepEqual(await everything(world), before)
  })

  test('a call whose signal is aborted rejects with its reason, and nothing happens', async world => {
    const { store, stream } = world
    const lease = await store.acquire(stream, 'first', LONG_MS)
    await run(store, lease, batch(1, [range(0, 0, 10)]))
    const before = await everything(world)
    const reason = new Error('not wanted any more')
    for (const [name, call] of calls) {
      await assert.rejects(call(store, lease, AbortSignal.abort(reason)), (error: unknown) => error === reason, name)
      assert.deepEqual(await everything(world), before, name)
    }
    await store.renew(lease)
  })
}

/** Overwrites whatever lets itself be overwritten; a store may well give frozen values. */
function spoil(value: unknown): void {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value)) return
  for (const inner of Object.values(value)) spoil(inner)
  for (const key of Object.keys(value)) Reflect.set(value, key, 'spoilt')
}
