import { expect, test } from 'vitest'
import { memoryOffsets } from '../../../offsets/memory/index.ts'
import type { Log } from '../../../src/core/log.ts'
import type { PartitionOffset } from '../../../src/core/values.ts'
import { stream } from '../../../src/index.ts'
import { collectingSink, memorySource } from '../../../src/testing/index.ts'

function world(commitToGroup: (offsets: readonly PartitionOffset[]) => Promise<void>) {
  const source = Object.assign(memorySource({ topics: { orders: 2 } }), { commitToGroup })
  for (let id = 0; id < 12; id++) source.append('orders', id % 2, { value: String(id) })
  const warnings: string[] = []
  const log = { debug() {}, info() {}, error() {}, warn: (_: unknown, message: string) => warnings.push(message) } as unknown as Log
  const sink = collectingSink<unknown>()
  const store = memoryOffsets()
  const run = async () => {
    const job = stream({ name: 'orders', offsets: store, batchIntervalMs: 0, limits: { maxRecordsPerBatch: 4 }, log })
    return (await job.from(source).to(sink).start({ until: 'latest' })).done
  }
  return { source, sink, store, warnings, run }
}

test('what the group is told last is what is committed, also where batches came faster than its answers', async () => {
  const group = new Map<number, number>()
  const { run, store } = world(async offsets => {
    await new Promise(resolve => setImmediate(resolve))
    for (const { partition, offset } of offsets) group.set(partition, offset)
  })
  await run()
  const { offsets } = await store.read('orders')
  expect([...group].sort()).toEqual(offsets.map(({ partition, offset }) => [partition, offset]))
})

test('a group that cannot be told stops nothing, and is said once', async () => {
  const { run, sink, warnings } = world(async () => {
    throw new Error('the group has members')
  })
  expect(await run()).toMatchObject({ reason: 'done', records: 12 })
  expect(sink.rows).toHaveLength(12)
  expect(warnings.filter(message => message.includes('the group has members'))).toHaveLength(1)
})
