import { expect, test } from 'vitest'
import { silentLog } from '../../../src/core/log.ts'
import type { FenceMark } from '../../../src/core/sink.ts'
import type { Task } from '../../../src/core/values.ts'
import { type CollectingSink, collectingSink } from '../../../src/testing/index.ts'

const mark = (epoch: number, lastBegun: number, lastComplete: number, rest: Partial<FenceMark> = {}): FenceMark => ({
  stream: 'orders',
  streamId: 'a1',
  output: 'out',
  owner: `driver-${epoch}`,
  epoch,
  lastBegun,
  lastComplete,
  ...rest,
})
const task = (batchId: number, epoch: number, rest: Partial<Task> = {}): Task => ({
  stream: 'orders',
  batchId,
  epoch,
  index: 0,
  range: { topic: 'orders', partition: 0, fromOffset: 0, untilOffset: 10 },
  batchTime: 1,
  output: 'out',
  attempt: 'x',
  ...rest,
})
const context = { signal: new AbortController().signal, log: silentLog }

async function* rowsOf(...rows: readonly number[]) {
  yield rows
}

function write(sink: CollectingSink<number>, of: Task, ...rows: readonly number[]): Promise<void> {
  return sink.write(of, rowsOf(...rows), context)
}

test('a task that is written twice is in once, and is not read again', async () => {
  const sink = collectingSink<number>()
  await sink.fence(mark(1, 1, 0))
  await write(sink, task(1, 1), 1, 2)
  expect(await sink.applied(task(1, 1))).toBe(true)
  await sink.write(
    task(1, 1),
    (async function* () {
      yield expect.fail('it was read again')
    })(),
    context,
  )
  expect(sink.rows).toEqual([1, 2])
  expect(sink.attempts).toHaveLength(2)
})

test('a task that comes again with another range is a conflict and never a skip', async () => {
  const sink = collectingSink<number>()
  await sink.fence(mark(1, 1, 0))
  await write(sink, task(1, 1), 1)
  const other = task(1, 1, { range: { topic: 'orders', partition: 0, fromOffset: 0, untilOffset: 11 } })
  await expect(write(sink, other, 1, 2)).rejects.toMatchObject({ code: 'CONFLICT', name: 'LedgerConflictError' })
})

test('an attempt of an older epoch, of a complete batch or before any fence never resolves', async () => {
  const sink = collectingSink<number>()
  await expect(write(sink, task(1, 1), 1)).rejects.toMatchObject({ code: 'FENCED' })
  await sink.fence(mark(2, 3, 2))
  await expect(write(sink, task(3, 1), 1)).rejects.toMatchObject({ code: 'FENCED' })
  await expect(write(sink, task(2, 2), 1)).rejects.toMatchObject({ code: 'FENCED' })
  expect(sink.rows).toEqual([])
})

test('an attempt that was overtaken while it gathered its rows is refused', async () => {
  const sink = collectingSink<number>()
  await sink.fence(mark(1, 1, 0))
  const slow = (async function* () {
    yield [1]
    await sink.fence(mark(2, 1, 0))
  })()
  await expect(sink.write(task(1, 1), slow, context)).rejects.toMatchObject({ code: 'FENCED' })
  await write(sink, task(1, 2), 1)
  expect(sink.rows).toEqual([1])
})

test('the destination tells a store that was replaced, rolled back or granted an epoch twice', async () => {
  const sink = collectingSink<number>()
  await sink.fence(mark(2, 5, 4))
  await expect(sink.fence(mark(3, 5, 4, { streamId: 'b2' }))).rejects.toMatchObject({ code: 'CONFLICT' })
  await expect(sink.fence(mark(2, 5, 4, { owner: 'another' }))).rejects.toMatchObject({ code: 'CONFLICT' })
  await expect(sink.fence(mark(3, 4, 3))).rejects.toMatchObject({ code: 'CONFLICT' })
  await expect(sink.fence(mark(3, 8, 7, { lastWritten: { batchId: 7, tasks: 1 } }))).rejects.toMatchObject({ code: 'CONFLICT' })
  await expect(sink.fence(mark(1, 5, 4))).rejects.toMatchObject({ code: 'FENCED' })
  await sink.fence(mark(3, 5, 4))
  await sink.fence(mark(3, 6, 5))
})

test('an attempt fails where it was told to: before its rows, after them, or when all is in', async () => {
  const sink = collectingSink<number>()
  const error = new Error('the server went away')
  await sink.fence(mark(1, 1, 0))
  sink.failNext(error, { at: 'rows', batchId: 1, index: 0, times: 2 })
  sink.failNext(error, { at: 'applied' })
  sink.failNext(error, { index: 7 })
  for (const rowsIn of [[], [], [1]]) {
    await expect(write(sink, task(1, 1), 1)).rejects.toBe(error)
    expect(sink.rows).toEqual(rowsIn)
  }
  await write(sink, task(1, 1), 1)
  expect(sink.rows).toEqual([1])
})

test('an idempotent sink replaces what the task wrote before, and one that is at-least-once adds', async () => {
  const idempotent = collectingSink<number>({ guarantee: 'idempotent' })
  const atLeastOnce = collectingSink<number>({ guarantee: 'at-least-once' })
  for (const sink of [idempotent, atLeastOnce]) {
    await sink.fence(mark(1, 1, 0))
    await write(sink, task(1, 1), 1, 2)
    await write(sink, task(1, 1), 1, 3)
    expect(await sink.applied(task(1, 1))).toBe(false)
  }
  expect(idempotent.rows).toEqual([1, 3])
  expect(atLeastOnce.rows).toEqual([1, 2, 1, 3])
})

test('outputs and streams that share a sink have a fence each', async () => {
  const sink = collectingSink<number>()
  await sink.fence(mark(1, 1, 0))
  await sink.fence(mark(5, 9, 8, { output: 'other' }))
  await sink.fence(mark(7, 3, 2, { stream: 'refunds', streamId: 'c3' }))
  await write(sink, task(1, 1), 1)
  await write(sink, task(9, 5, { output: 'other' }), 2)
  expect(sink.rows).toEqual([1, 2])
})
