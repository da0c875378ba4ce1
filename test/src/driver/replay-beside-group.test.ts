import { expect, test } from 'vitest'
import { memoryOffsets } from '../../../offsets/memory/index.ts'
import { silentLog } from '../../../src/core/log.ts'
import type { PartitionOffset } from '../../../src/core/values.ts'
import { stream } from '../../../src/index.ts'
import { collectingSink } from '../../../src/testing/collecting-sink.ts'
import { memorySource } from '../../../src/testing/memory-source.ts'

test('a replay does not move the consumer group that shows how far the stream has come', async () => {
  const moved: number[] = []
  const commitToGroup = async (offsets: readonly PartitionOffset[]) => void moved.push(...offsets.map(({ offset }) => offset))
  const source = Object.assign(memorySource({ topics: { orders: 1 } }), { commitToGroup })
  source.append('orders', 0, ...Array.from({ length: 20 }, (_, id) => ({ value: String(id) })))
  const store = memoryOffsets()
  const sink = collectingSink()
  const job = stream({ name: 'orders', offsets: store, batchIntervalMs: 0, limits: { maxRecordsPerBatch: 10 }, log: silentLog })
    .from(source)
    .to(sink)
  await (await job.start({ until: 'latest' })).done
  expect(moved.at(-1)).toBe(20)

  const [, oldest] = (await Array.fromAsync(store.history('orders'))).filter(entry => entry.kind === 'batch')
  const before = moved.length
  const summary = await (await job.start({ name: 'orders~replay-1', batches: oldest === undefined ? [] : [oldest.batch] })).done
  expect(summary).toMatchObject({ reason: 'done', batches: 1, records: 10 })
  expect(moved.slice(before)).toEqual([])
})
