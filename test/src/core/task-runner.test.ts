import { expect, test } from 'vitest'
import { ConnectionError, FencedError } from '../../../src/core/errors.ts'
import type { TaskGroup } from '../../../src/core/executor.ts'
import { silentLog } from '../../../src/core/log.ts'
import type { RunnableOutput } from '../../../src/core/runnable-job.ts'
import type { Sink } from '../../../src/core/sink.ts'
import type { Source } from '../../../src/core/source.ts'
import { runTasks } from '../../../src/core/task-runner.ts'
import type { Task } from '../../../src/core/values.ts'
import { ManualClock } from '../../../src/testing/index.ts'

const NO_LOSS = { retention: 'fail', truncation: 'fail', recreated: 'fail', removed: 'fail' } as const

const RANGE = { topic: 't', partition: 0, fromOffset: 0, untilOffset: 10 }

/** A source whose one read says when it was closed. */
function watchedSource() {
  const state = { isOpen: false }
  const read = async function* (): AsyncGenerator<readonly number[]> {
    state.isOpen = true
    try {
      for (let at = 0; at < 10; at++) yield [at]
    } finally {
      state.isOpen = false
    }
  }
  const source = { read } as unknown as Source<unknown>
  return { state, source }
}

function sink(name: string, write: Sink<unknown>['write']): Sink<unknown> {
  return { name, guarantee: 'at-least-once', ordering: 'none', write }
}

function run(
  source: Source<unknown>,
  sinks: readonly Sink<unknown>[],
  { clock = new ManualClock(), timeoutMs = 60_000, signal = new AbortController().signal } = {},
) {
  const outputs = new Map(sinks.map((own): [string, RunnableOutput] => [own.name, { name: own.name, source, stages: [], sink: own }]))
  const tasks = sinks.map(
    ({ name }): Task => ({ stream: 's', batchId: 1, epoch: 1, index: 0, range: RANGE, batchTime: 0, output: name, attempt: name }),
  )
  const group: TaskGroup = { range: RANGE, isolation: 'read_committed', timeoutMs, onDataLoss: NO_LOSS, onRecordError: 'fail', tasks }
  return runTasks({ stream: 's', outputs }, group, { clock, log: silentLog, signal })
}

test('a sink that stops drawing rows and does not say so leaves no read open', async () => {
  const { state, source } = watchedSource()
  const impatient = sink('impatient', async (_task, rows) => {
    await rows[Symbol.asyncIterator]().next()
  })
  await run(source, [impatient])
  expect(state.isOpen).toBe(false)
})

test('a sink that fails midway leaves no read open', async () => {
  const { state, source } = watchedSource()
  const broken = sink('broken', async (_task, rows) => {
    await rows[Symbol.asyncIterator]().next()
    throw new Error('the disk is full')
  })
  await expect(run(source, [broken])).rejects.toThrow('the disk is full')
  expect(state.isOpen).toBe(false)
})

test('an output that has the task already is not in the way of the others', async () => {
  const { source } = watchedSource()
  const got: unknown[] = []
  const results = await run(source, [
    { ...sink('done', async () => {}), applied: async () => true },
    sink('idle', async () => {}),
    sink('reads', async (_task, rows) => {
      for await (const array of rows) got.push(...array)
    }),
  ])
  expect(got).toHaveLength(10)
  expect(results.map(({ alreadyApplied, rows }) => [alreadyApplied, rows])).toEqual([
    [true, 0],
    [false, 0],
    [false, 10],
  ])
})

test('an output that fails leaves the others to come to their end, and its result says why it is not in', async () => {
  const { source } = watchedSource()
  const got: unknown[] = []
  const fails = sink('fails', async (_task, rows) => {
    await rows[Symbol.asyncIterator]().next()
    throw new Error('the disk is full')
  })
  const reads = sink('reads', async (_task, rows) => {
    for await (const array of rows) got.push(...array)
  })
  const [failed, read] = await run(source, [fails, reads])
  expect(failed?.error).toMatchObject({ message: 'the disk is full' })
  expect(read).toMatchObject({ records: 10, rows: 10 })
  expect(read).not.toHaveProperty('error')
  expect(got).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
})

test('an output that cannot say whether it has its task is not in the way of the others', async () => {
  const { source } = watchedSource()
  const away = { ...sink('away', async () => {}), applied: () => Promise.reject(new Error('nobody answers')) }
  const [failed, read] = await run(source, [
    away,
    sink('reads', async (_task, rows) => {
      for await (const _ of rows);
    }),
  ])
  expect(failed?.error).toMatchObject({ message: 'nobody answers' })
  expect(read?.rows).toBe(10)
})

test('an output that is fenced ends the others, and its refusal is the one that counts', async () => {
  const { source } = watchedSource()
  const waits = sink(
    'waits',
    (_task, _rows, { signal }) => new Promise((_, reject) => signal.addEventListener('abort', () => reject(new Error('echo')))),
  )
  const fenced = sink('fenced', async () => {
    throw new FencedError('the fence is at epoch 9')
  })
  await expect(run(source, [waits, fenced])).rejects.toMatchObject({ code: 'FENCED' })
})

test('a source that fails is one failure for all, whatever outputs make of it', async () => {
  const source = {
    read: async function* () {
      yield [1]
      throw new ConnectionError('the broker hung up')
    },
  } as unknown as Source<unknown>
  const wraps = (name: string) =>
    sink(name, async (_task, rows) => {
      try {
        for await (const _ of rows);
      } catch (cause) {
        throw new Error(`${name} failed`, { cause })
      }
    })
  await expect(run(source, [wraps('a'), wraps('b')])).rejects.toMatchObject({ code: 'CONNECTION', retryable: true })
})

test('what is in stays in when another output is over its time, also one that listens to no signal', async () => {
  const { source } = watchedSource()
  const clock = new ManualClock()
  const reads = sink('reads', async (_task, rows) => {
    for await (const _ of rows);
  })
  const deaf = sink('deaf', async (_task, rows) => {
    for await (const _ of rows);
    await new Promise(() => {})
  })
  const outcome = run(source, [deaf, reads], { clock, timeoutMs: 60_000 })
  await clock.untilSleeping()
  await clock.advance(60_000)
  await clock.untilSleeping()
  await clock.advance(5_000)
  const [late, read] = await outcome
  expect(late?.error).toMatchObject({ code: 'TIMEOUT' })
  expect(read).not.toHaveProperty('error')
})

test('code that listens to no signal does not keep a task that is over its time', async () => {
  const { source } = watchedSource()
  const clock = new ManualClock()
  const deaf = sink('deaf', () => new Promise(() => {}))
  const outcome = expect(run(source, [deaf], { clock, timeoutMs: 1_000 })).rejects.toMatchObject({ code: 'TIMEOUT' })
  await clock.untilSleeping()
  await clock.advance(1_000)
  await clock.untilSleeping()
  await clock.advance(5_000)
  await outcome
})
