import { expect, test } from 'vitest'
import type { TaskGroup } from '../../../src/core/executor.ts'
import { silentLog } from '../../../src/core/log.ts'
import type { Stage } from '../../../src/core/runnable-job.ts'
import type { Sink } from '../../../src/core/sink.ts'
import { runTasks } from '../../../src/core/task-runner.ts'
import type { Task } from '../../../src/core/values.ts'
import { ManualClock, type MemoryRecord } from '../../../src/testing/index.ts'
import { ALL, type Kept, keeping, NO_LOSS, numbered, RANGE, RECORDS, row, run, toNumber, untilFull } from './range-world.ts'

test('a slow output does not keep the others from their end, and has every row once itself', async () => {
  const source = numbered()
  const clock = new ManualClock()
  const quick = keeping('quick')
  const slow = keeping('slow', { isSlow: true })
  const ended = run(
    source,
    [quick, slow].map(kept => ({ kept, stages: [toNumber] })),
    clock,
  )
  await untilFull(clock, quick, RECORDS)
  expect(slow.rows.length).toBeLessThan(RECORDS)
  slow.go()
  const results = await ended
  expect(quick.rows).toEqual(ALL)
  expect(slow.rows).toEqual(ALL)
  expect(results.map(({ records, rows }) => [records, rows])).toEqual([
    [RECORDS, RECORDS],
    [RECORDS, RECORDS],
  ])
  // It went on from behind what it had, and read nothing twice.
  expect(source.reads.map(({ fromOffset }) => fromOffset)).toEqual([0, slow.rows.indexOf(source.reads[1]?.fromOffset)])
  expect(source.reads[1]?.fromOffset).toBeGreaterThan(0)
})

test('outputs that are slow together and share stages go on together, and one of them alone when it is slower still', async () => {
  const source = numbered()
  const clock = new ManualClock()
  const quick = keeping('quick')
  const slow = keeping('slow', { isSlow: true })
  const slower = keeping('slower', { isSlow: true })
  const even = row('filter', 'filter (even)', (id: number) => id % 2 === 0)
  const ended = run(
    source,
    [
      { kept: quick, stages: [toNumber] },
      { kept: slow, stages: [toNumber, even] },
      { kept: slower, stages: [toNumber, even] },
    ],
    clock,
  )
  await untilFull(clock, quick, RECORDS)
  slow.go()
  await untilFull(clock, slow, RECORDS / 2)
  expect(source.reads).toHaveLength(2)
  slower.go()
  await ended
  expect(source.reads).toHaveLength(3)
  const evens = ALL.filter(id => id % 2 === 0)
  expect(slow.rows).toEqual(evens)
  expect(slower.rows).toEqual(evens)
})

test('records that a shared stage fails on are counted once for each output, wherever it has them from', async () => {
  const source = numbered()
  const clock = new ManualClock()
  const quick = keeping('quick')
  const slow = keeping('slow', { isSlow: true })
  const picky = row('map', 'map (picky)', (id: number) => {
    if (id % 1_000 === 999) throw new Error('bad')
    return id
  })
  const ended = run(
    source,
    [quick, slow].map(kept => ({ kept, stages: [toNumber, picky] })),
    clock,
    { onRecordError: 'skip' },
  )
  await untilFull(clock, quick, RECORDS - 3)
  slow.go()
  const offsets = [999, 1_999, 2_999]
  for (const { skipped } of await ended) {
    expect(skipped?.count).toBe(3)
    expect(skipped?.samples.map(({ offset }) => offset)).toEqual(offsets)
  }
  expect(slow.rows).toEqual(quick.rows)
})

test('behind a mapRange that outputs share they stay in step, for it cannot begin in the middle', async () => {
  const source = numbered()
  const clock = new ManualClock()
  const quick = keeping('quick')
  const slow = keeping('slow', { isSlow: true })
  const passOn: Stage = {
    kind: 'mapRange',
    label: 'mapRange (passOn)',
    apply: async function* (rows: AsyncIterable<readonly MemoryRecord[]>) {
      for await (const array of rows) yield array.map(({ value }) => Number(value))
    },
  }
  const ended = run(
    source,
    [quick, slow].map(kept => ({ kept, stages: [passOn] })),
    clock,
  )
  await clock.untilSleeping()
  await clock.advance(100_000)
  expect(quick.rows.length).toBe(slow.rows.length)
  slow.go()
  await ended
  expect(quick.rows).toEqual(ALL)
  expect(slow.rows).toEqual(ALL)
  expect(source.reads).toHaveLength(1)
})

test('an output that was left behind and fails leaves no read open', async () => {
  const source = numbered()
  const clock = new ManualClock()
  const quick = keeping('quick')
  const go = Promise.withResolvers<void>()
  const fails: Kept = {
    ...keeping('fails'),
    sink: {
      ...{ name: 'fails', guarantee: 'at-least-once', ordering: 'none' },
      async write(_task, arrays) {
        const iterator = arrays[Symbol.asyncIterator]()
        await iterator.next()
        await go.promise
        await iterator.next()
        throw new Error('the disk is full')
      },
    },
  }
  const ended = run(
    source,
    [quick, fails].map(kept => ({ kept, stages: [toNumber] })),
    clock,
  )
  await untilFull(clock, quick, RECORDS)
  go.resolve()
  const [read, failed] = await ended
  expect(read).not.toHaveProperty('error')
  expect(failed?.error).toMatchObject({ message: 'the disk is full' })
})

test('a sink that takes long over rows in hand tells of its progress, and whoever gave the task hears of it', async () => {
  const source = numbered()
  let told = 0
  let before = 0
  const sink: Sink<never> = {
    name: 'slow',
    guarantee: 'at-least-once',
    ordering: 'none',
    async write(_task, rows, { onProgress }) {
      for await (const _ of rows);
      before = told
      onProgress?.()
    },
  }
  const task: Task = { stream: 's', batchId: 1, epoch: 1, index: 0, range: RANGE, batchTime: 0, output: 'slow', attempt: 'a' }
  const group: TaskGroup = {
    range: RANGE,
    isolation: 'read_committed',
    timeoutMs: 60_000,
    onDataLoss: NO_LOSS,
    onRecordError: 'fail',
    tasks: [task],
  }
  const onProgress = () => {
    told += 1
  }
  await runTasks({ stream: 's', outputs: new Map([['slow', { name: 'slow', source, stages: [], sink }]]) }, group, {
    clock: new ManualClock(),
    log: silentLog,
    signal: new AbortController().signal,
    onProgress,
  })
  expect(told).toBeGreaterThan(before)
  expect(before).toBeGreaterThan(0)
})
