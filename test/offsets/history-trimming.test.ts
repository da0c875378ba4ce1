import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { memoryOffsets } from '../../offsets/memory/index.ts'
import { sqliteOffsets } from '../../offsets/sqlite/index.ts'
import type { HistoryEntry, OffsetStore } from '../../src/core/offset-store.ts'

/** Entries 1 to `count`: a start, a reset in the midst of the old ones, and batches. */
function longHistory(count: number): HistoryEntry[] {
  return Array.from({ length: count }, (_, n): HistoryEntry => {
    const stamp = { seq: n + 1, at: n + 1, epoch: 1 }
    if (n === 0) return { ...stamp, kind: 'start', offsets: [] }
    if (n === 500) return { ...stamp, kind: 'reset', reason: 'rewind', offsets: [], forgotten: [] }
    return { ...stamp, kind: 'batch', batch: { id: n, batchTime: n, epoch: 1, ranges: [] } }
  })
}

async function seqsAfterOneMoreBatch(store: OffsetStore, entries: number): Promise<number[]> {
  const [stream, lastBatchId] = ['orders', entries]
  const history = longHistory(entries)
  await store.restore({
    v: 1,
    stream,
    streamId: 'a',
    epoch: 1,
    offsets: [],
    lastBatchId,
    lastCommittedId: lastBatchId,
    pending: null,
    history,
  })
  const lease = await store.acquire(stream, 'first', 60_000)
  await store.begin(lease, { id: lastBatchId + 1, batchTime: 1, epoch: 2, ranges: [] })
  await store.commit(lease, lastBatchId + 1)
  const seqs: number[] = []
  for await (const { seq } of store.history(stream)) seqs.push(seq)
  return seqs
}

describe.for(['memory', 'sqlite'] as const)('%s', kind => {
  async function withStore(use: (store: OffsetStore) => Promise<void>): Promise<void> {
    const folder = await mkdtemp(join(tmpdir(), 'tidemark-trimming-'))
    await using store = kind === 'memory' ? memoryOffsets() : sqliteOffsets({ path: join(folder, 'offsets.db') })
    await use(store)
    await store.close()
    await rm(folder, { recursive: true })
  }

  test('the newest hundred thousand entries are kept, and the starts and resets before them', () =>
    withStore(async store => {
      const seqs = await seqsAfterOneMoreBatch(store, 101_999)
      expect(seqs.slice(0, 100_000)).toEqual(Array.from({ length: 100_000 }, (_, n) => 102_000 - n))
      expect(seqs.slice(100_000)).toEqual([501, 1])
    }))

  test('an ordinary commit trims nothing', () =>
    withStore(async store => {
      expect(await seqsAfterOneMoreBatch(store, 101_500)).toHaveLength(101_501)
    }))
})
