import { expect, test } from 'vitest'
import { memoryOffsets } from '../../../offsets/memory/index.ts'
import { silentLog } from '../../../src/core/log.ts'
import type { Batch } from '../../../src/core/values.ts'
import { type StartOptions, stream } from '../../../src/index.ts'
import { collectingSink, memorySource } from '../../../src/testing/index.ts'

type Row = { id: number; batchTime: number }

function world() {
  const source = memorySource({ topics: { orders: 2 } })
  const store = memoryOffsets()
  const sink = collectingSink<Row>({ name: 'rows' })
  const other = collectingSink<number>({ name: 'ids' })
  for (let id = 0; id < 12; id++) source.append('orders', id % 2, { value: String(id) })
  const start = async (options: StartOptions = {}) => {
    const job = stream({ name: 'orders', offsets: store, batchIntervalMs: 0, limits: { maxRecordsPerBatch: 4 }, log: silentLog })
    const ids = job.from(source).map(record => Number(record.value))
    ids
      .mapRange(async function* (rows, { batchTime }) {
        for await (const array of rows) yield array.map(id => ({ id, batchTime }))
      })
      .to(sink)
    ids.to(other)
    return (await job.start({ until: 'latest', ...options })).done
  }
  const batches = async (): Promise<Batch[]> => {
    const entries = await Array.fromAsync(store.history('orders'))
    return entries.flatMap(entry => (entry.kind === 'batch' ? [entry.batch] : [])).reverse()
  }
  const rowsOf = (name: string) => sink.collected.filter(({ task }) => task.stream === name)
  return { source, store, sink, other, start, batches, rowsOf }
}

test('batches are run again under another name: the same rows, and the stream itself is untouched', async () => {
  const { store, start, batches, rowsOf, other } = world()
  await start()
  const before = await store.snapshot('orders')
  const [first, , third] = await batches()
  const again = [third, first].filter(batch => batch !== undefined)
  expect(await start({ name: 'orders~replay-1', batches: again, outputs: ['rows'] })).toMatchObject({
    reason: 'done',
    batches: 2,
    records: 8,
  })

  const ran = (stream: string, id: number) =>
    rowsOf(stream)
      .filter(({ task }) => task.batchId === id)
      .map(({ task: { range, index }, rows }) => ({ range, index, rows }))
      .sort((a, b) => a.index - b.index)
  expect(ran('orders~replay-1', 1)).toEqual(ran('orders', 3))
  expect(ran('orders~replay-1', 2)).toEqual(ran('orders', 1))
  expect(await store.snapshot('orders')).toEqual(before)
  expect(new Set(other.collected.map(({ task }) => task.stream))).toEqual(new Set(['orders']))
})

test('a replay that ended halfway goes on behind what it has committed', async () => {
  const { store, sink, start, batches, rowsOf } = world()
  await start()
  const again = await batches()
  sink.failNext(new Error('the job has a defect'), { batchId: 2 })
  await expect(start({ name: 'orders~replay-1', batches: again })).rejects.toMatchObject({ code: 'TASK_FAILED' })
  expect(await store.read('orders~replay-1')).toMatchObject({ lastBatchId: 1, pending: { id: 2 } })
  await start({ name: 'orders~replay-1', batches: again })
  expect(await store.read('orders~replay-1')).toMatchObject({ lastBatchId: 3, pending: undefined })
  expect(rowsOf('orders~replay-1').flatMap(({ rows }) => rows)).toHaveLength(12)
})

test('batches are refused under the name of the stream itself: its offsets would go back', async () => {
  const { start, batches } = world()
  await start()
  const refused = { code: 'CONFIG', message: expect.stringContaining("name: 'orders~replay-1'") }
  await expect(start({ batches: await batches() })).rejects.toMatchObject(refused)
})

test('finish runs the batch that was begun, commits it, and begins no other', async () => {
  const { store, sink, start } = world()
  sink.failNext(new Error('the job has a defect'), { batchId: 2 })
  await expect(start()).rejects.toMatchObject({ code: 'TASK_FAILED' })
  expect(await start({ finish: true })).toMatchObject({ reason: 'done', batches: 1 })
  expect(await store.read('orders')).toMatchObject({ lastBatchId: 2, pending: undefined })
})

test('an output that the job does not have cannot be chosen', async () => {
  const { start } = world()
  const refused = { code: 'CONFIG', message: expect.stringContaining('Its outputs are rows, ids') }
  await expect(start({ outputs: ['row'] })).rejects.toMatchObject(refused)
})
