import assert from 'node:assert/strict'
import { isDeepStrictEqual } from 'node:util'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import type { HistoryEntry, OffsetStore, StreamSnapshot } from '../../core/offset-store.ts'
import { batch, type DefineTest, historyOf, LONG_MS, position, range, run } from './contract.ts'

const PARTITIONS = Array.from({ length: 10_000 }, (_, partition) => partition)
/** A topic's name may have 249 characters: with topic ids a batch is some megabytes, more than some servers take in one request. */
const TOPIC = 'orders'.padEnd(200, '-')

/** So many that the trim is due, whether a store looks at each commit or once in a thousand. */
const RESTORED = 102_990
const KEPT = 100_000
/** How many more a store may hold for a while, so that it need not trim at each commit. */
const SLACK = 2_000
const RESET_AT = 501
const DISCARD_AT = 502
const MEASURE_EVERY = 25_000
/** Held whole, the history takes twice as much. */
const MAX_HELD_BYTES = 24 * 2 ** 20

/** Compared here and not by assert, which would take minutes to print how two lists of ten thousand differ. */
function same(actual: unknown, expected: unknown, what: string): void {
  assert.ok(isDeepStrictEqual(actual, expected), `${what} is not as it was given`)
}

const detail = (partition: number) => ({ topic: TOPIC, topicId: `nWzjUwMaR4Obv0nFXv${partition}`, leaderEpoch: partition })
const positionsAt = (offset: number) => PARTITIONS.map(partition => position(partition, offset, detail(partition)))

/** A stream with a long history: a start, batches, and among the oldest of them a reset and a discard. */
function longSnapshot(stream: string): StreamSnapshot {
  const facts = { outputs: ['console'], note: 'x'.repeat(100) }
  const history = Array.from({ length: RESTORED }, (_, index): HistoryEntry => {
    const [seq, id] = [index + 1, index]
    const stamp = { seq, at: Date.UTC(2024, 0, 1) + seq, epoch: 1 }
    if (seq === 1) return { ...stamp, kind: 'start', offsets: [position(0, 0)] }
    if (seq === RESET_AT) return { ...stamp, kind: 'reset', reason: 'rewind', offsets: [position(0, id)], forgotten: [] }
    const done = batch(id, [range(0, id, id + 1)], { facts })
    return seq === DISCARD_AT ? { ...stamp, kind: 'discard', reason: 'poison', batch: done } : { ...stamp, kind: 'batch', batch: done }
  })
  const last = RESTORED - 1
  const ids = { lastBatchId: last, lastCommittedId: last }
  return { v: 1, stream, streamId: `id-of-${stream}`, epoch: 1, offsets: [position(0, RESTORED)], ...ids, pending: null, history }
}

const collectGarbage: () => void = (() => {
  setFlagsFromString('--expose-gc')
  return runInNewContext('gc')
})()

function usedBytes(): number {
  collectGarbage()
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external
}

/** Reads the whole history and gives its `seq`s and kinds, having looked now and then how much of it is held. */
async function readMeasured(store: OffsetStore, stream: string): Promise<{ seqs: number[]; kinds: string[]; heldBytes: number }> {
  const before = usedBytes()
  const [seqs, kinds]: [number[], string[]] = [[], []]
  let heldBytes = 0
  for await (const { seq, kind } of store.history(stream)) {
    seqs.push(seq)
    kinds.push(kind)
    if (seqs.length % MEASURE_EVERY === 1) heldBytes = Math.max(heldBytes, usedBytes() - before)
  }
  return { seqs, kinds, heldBytes }
}

/** Streams of the size that some have. */
export function defineBigTests(test: DefineTest): void {
  test('a stream of ten thousand partitions is started, begun, committed, reset and exported whole', async ({ store, other, stream }) => {
    const lease = await store.acquire(stream, 'first', LONG_MS)
    await store.reset(lease, positionsAt(5), { reason: 'start' })
    same((await other.read(stream)).offsets, positionsAt(5), 'the start')

    const ranges = PARTITIONS.map(partition => range(partition, 5, 10 + partition, detail(partition)))
    const begun = batch(1, ranges.toReversed(), { facts: { outputs: ['a'] } })
    await store.begin(lease, begun)
    same((await other.read(stream)).pending, begun, 'the pending batch')
    await store.begin(lease, begun)
    await store.commit(lease, 1)
    const committed = PARTITIONS.map(partition => position(partition, 10 + partition, detail(partition)))
    same((await other.read(stream)).offsets, committed, 'what was committed')

    const next = batch(
      2,
      ranges.map(({ untilOffset, ...rest }) => ({ ...rest, fromOffset: untilOffset, untilOffset: untilOffset + 1 })),
    )
    await store.begin(lease, next)
    const copy = `${stream}-copy`
    const snapshot = await other.snapshot(stream)
    await other.restore({ ...snapshot, stream: copy })
    same(await store.snapshot(copy), { ...snapshot, stream: copy }, 'the copy')

    const forget = PARTITIONS.filter(partition => partition % 2 === 1).map(partition => ({ topic: TOPIC, partition }))
    const back = positionsAt(7).filter(({ partition }) => partition % 2 === 0)
    await store.reset(lease, back, { reason: 'rewind', forget, discard: true })
    same((await other.read(stream)).offsets, back, 'the reset')
    const history = await historyOf(other, stream)
    same(
      history.map(({ at, ...entry }) => entry),
      [
        { seq: 4, epoch: 1, kind: 'reset', reason: 'rewind', offsets: back, forgotten: forget },
        { seq: 3, epoch: 1, kind: 'discard', reason: 'rewind', batch: next },
        { seq: 2, epoch: 1, kind: 'batch', batch: begun },
        { seq: 1, epoch: 1, kind: 'start', offsets: positionsAt(5) },
      ],
      'the history',
    )
  })

  test('a reset keeps its reason whole, also one that is as long as a backfill of ten thousand partitions makes it', async ({
    store,
    other,
    stream,
  }) => {
    const lease = await store.acquire(stream, 'first', LONG_MS)
    const reason = `backfill ${JSON.stringify({ ends: PARTITIONS.map(partition => [partition, Number.MAX_SAFE_INTEGER - partition]) })}`
    await store.reset(lease, positionsAt(5), { reason })
    const [entry, ...older] = await historyOf(other, stream)
    same(entry, { seq: 1, at: entry?.at, epoch: 1, kind: 'reset', reason, offsets: positionsAt(5), forgotten: [] }, 'the reset')
    assert.deepEqual(older, [])
  })

  test('a history of a hundred thousand entries keeps its starts and resets when it is trimmed, and is read in pages', async world => {
    const { store, other, stream } = world
    await store.restore(longSnapshot(stream))
    const lease = await store.acquire(stream, 'first', LONG_MS)
    for (let n = 0; n < 20; n++) {
      const id = RESTORED + n
      await run(store, lease, batch(id, [range(0, id, id + 1)], { epoch: lease.epoch }))
    }
    const newest = RESTORED + 20

    const page = await historyOf(other, stream, { before: 50_000, limit: 30 })
    assert.equal(page.length, 30)
    assert.deepEqual(
      page.map(entry => [entry.seq, entry.kind === 'batch' && entry.batch.id]),
      Array.from({ length: 30 }, (_, n) => [49_999 - n, 49_998 - n]),
    )
    const { seqs, kinds, heldBytes } = await readMeasured(other, stream)
    same(
      seqs.slice(0, KEPT),
      Array.from({ length: KEPT }, (_, n) => newest - n),
      'the newest part of the history',
    )
    assert.ok(seqs.length <= KEPT + SLACK + 2, `${seqs.length} entries are there`)
    assert.deepEqual([seqs.at(-1), kinds.at(-1)], [1, 'start'])
    assert.deepEqual([seqs.at(-2), kinds.at(-2)], [RESET_AT, 'reset'])
    assert.ok(heldBytes < MAX_HELD_BYTES, `reading it held ${Math.round(heldBytes / 2 ** 20)} MiB`)
  })
}
