import { setImmediate } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import type { TaskGroup } from '../../../src/core/executor.ts'
import { silentLog } from '../../../src/core/log.ts'
import type { RunnableJob, RunnableOutput } from '../../../src/core/runnable-job.ts'
import type { Sink } from '../../../src/core/sink.ts'
import type { ReadOptions } from '../../../src/core/source.ts'
import type { OffsetRange, Task } from '../../../src/core/values.ts'
import { inProcess } from '../../../src/executors/in-process.ts'
import { collectingSink, ManualClock, memorySource } from '../../../src/testing/index.ts'

const NO_LOSS = { retention: 'fail', truncation: 'fail', recreated: 'fail', removed: 'fail' } as const

const never = new AbortController().signal
const context = { streamId: 'id', log: silentLog, signal: never }

function jobInto(sink: Sink<never>, records = 6): RunnableJob {
  const source = memorySource({ topics: { t: 1 } })
  for (let at = 0; at < records; at++) source.append('t', 0, { value: String(at) })
  const output: RunnableOutput = { name: sink.name, source, stages: [], sink }
  return { stream: 's', outputs: new Map([[output.name, output]]) }
}

function group(sink: Sink<never>, fromOffset: number, untilOffset: number, index = 0): TaskGroup {
  const range = { topic: 't', partition: 0, fromOffset, untilOffset }
  const task: Task = { stream: 's', batchId: 1, epoch: 1, index, range, batchTime: 0, output: sink.name, attempt: `a${index}` }
  return { range, isolation: 'read_uncommitted', timeoutMs: 60_000, onDataLoss: NO_LOSS, onRecordError: 'fail', tasks: [task] }
}

test('a task reads its range and gives its rows, with what was counted', async () => {
  const sink = collectingSink({ guarantee: 'idempotent' })
  const run = await inProcess().start(jobInto(sink), context)
  const results = await run.run(group(sink, 1, 4), { signal: never })
  expect(results).toMatchObject([{ records: 3, rows: 3, alreadyApplied: false }])
  expect(sink.rows).toHaveLength(3)
})

test('no more groups run at a time than there are slots, over all runs of the executor', async () => {
  let running = 0
  let most = 0
  const slow: Sink<unknown> = {
    name: 'slow',
    guarantee: 'at-least-once',
    ordering: 'none',
    async write() {
      running += 1
      most = Math.max(most, running)
      for (let turn = 0; turn < 3; turn++) await setImmediate()
      running -= 1
    },
  }
  const executor = inProcess({ concurrency: 2 })
  const runs = await Promise.all([executor.start(jobInto(slow), context), executor.start(jobInto(slow), context)])
  await Promise.all(runs.flatMap(run => [0, 1, 2].map(at => run.run(group(slow, at, at + 1, at), { signal: never }))))
  expect(most).toBe(2)
})

test('two runs of one executor keep their own jobs', async () => {
  const [first, second] = [
    collectingSink({ name: 'first', guarantee: 'idempotent' }),
    collectingSink({ name: 'second', guarantee: 'idempotent' }),
  ]
  const executor = inProcess()
  const runs = [await executor.start(jobInto(first), context), await executor.start(jobInto(second), context)] as const
  await runs[0].run(group(first, 0, 2), { signal: never })
  await runs[0].close()
  await runs[1].run(group(second, 0, 3), { signal: never })
  expect([first.rows.length, second.rows.length]).toEqual([2, 3])
})

test('an aborted task ends with the reason, and its slot is free again', async () => {
  const stuck: Sink<unknown> = {
    name: 'stuck',
    guarantee: 'at-least-once',
    ordering: 'none',
    write: (_task, _rows, { signal }) => new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason))),
  }
  const run = await inProcess({ concurrency: 1 }).start(jobInto(stuck), context)
  const abort = new AbortController()
  const first = run.run(group(stuck, 0, 1), { signal: abort.signal })
  const second = run.run(group(stuck, 1, 2), { signal: abort.signal })
  abort.abort(new Error('enough'))
  await expect(first).rejects.toThrow('enough')
  await expect(second).rejects.toThrow('enough')
})

test('a task that takes too long ends by its deadline, which may be tried again', async () => {
  const clock = new ManualClock()
  const stuck: Sink<unknown> = {
    name: 'stuck',
    guarantee: 'at-least-once',
    ordering: 'none',
    write: (_task, _rows, { signal }) => new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason))),
  }
  const run = await inProcess({}, { clock }).start(jobInto(stuck), context)
  const outcome = expect(run.run({ ...group(stuck, 0, 1), timeoutMs: 500 }, { signal: never })).rejects.toMatchObject({
    code: 'TIMEOUT',
    retryable: true,
    message: expect.stringMatching(/t\/0 \[0, 1\) of batch 1 did not end within taskTimeoutMs, 500 ms/),
  })
  await clock.untilSleeping()
  await clock.advance(500)
  await outcome
})

describe('a source that fetches ahead', () => {
  type Told = { readonly untils: readonly number[]; readonly isolation: string | undefined; readonly signal: AbortSignal | undefined }

  /** A job whose source notes what it is told, and the offsets at which it is read, in the order in which both happen. */
  function jobThatTells(sink: Sink<never>) {
    const job = jobInto(sink, 40)
    const [output] = job.outputs.values()
    const told: Told[] = []
    if (output === undefined) throw new TypeError('The job has no output.')
    const source = Object.assign(output.source, {
      prefetch: (ranges: readonly OffsetRange[], { isolation, signal }: ReadOptions) =>
        void told.push({ untils: ranges.map(({ untilOffset }) => untilOffset), isolation, signal }),
    })
    return { job: { ...job, outputs: new Map([[output.name, { ...output, source }]]) }, told }
  }

  const groups = (sink: Sink<never>, count: number) => Array.from({ length: count }, (_, at) => group(sink, at, at + 1, at))

  test('is told of all ranges of a batch at once, in their order', async () => {
    const sink = collectingSink({ guarantee: 'idempotent' })
    const { job, told } = jobThatTells(sink)
    const run = await inProcess({ concurrency: 2 }).start(job, context)
    await Promise.all(groups(sink, 30).map(one => run.run(one, { signal: never })))
    expect(told.map(({ untils, isolation }) => ({ untils, isolation }))).toEqual([
      { untils: Array.from({ length: 30 }, (_, at) => at + 1), isolation: 'read_uncommitted' },
    ])
  })

  test('is told when the last of them has ended, also where some failed', async () => {
    const fails: Sink<never> = {
      name: 'fails',
      guarantee: 'at-least-once',
      ordering: 'none',
      async write({ index }) {
        if (index === 1) throw new TypeError('no')
      },
    }
    const { job, told } = jobThatTells(fails)
    const run = await inProcess({ concurrency: 1 }).start(job, context)
    const runs = groups(fails, 3).map(one => run.run(one, { signal: never }))
    await runs[0]
    expect(told[0]?.signal?.aborted).toBe(false)
    await Promise.allSettled(runs)
    expect(told[0]?.signal?.aborted).toBe(true)
  })

  test('is told when the batch is cancelled', async () => {
    const sink = collectingSink({ guarantee: 'idempotent' })
    const { job, told } = jobThatTells(sink)
    const run = await inProcess({ concurrency: 1 }).start(job, context)
    const batch = new AbortController()
    const runs = groups(sink, 3).map(one => run.run(one, { signal: batch.signal }))
    await Promise.resolve()
    await Promise.resolve()
    batch.abort(new Error('cancelled'))
    await Promise.allSettled(runs)
    expect(told[0]?.signal?.reason).toEqual(new Error('cancelled'))
  })

  test('is not told of a range that comes alone: it would be read at once anyway', async () => {
    const sink = collectingSink({ guarantee: 'idempotent' })
    const { job, told } = jobThatTells(sink)
    const run = await inProcess().start(job, context)
    for (const one of groups(sink, 3)) await run.run(one, { signal: never })
    expect(told).toEqual([])
  })
})

test('a concurrency that is no whole number is refused', () => {
  expect(() => inProcess({ concurrency: 0 })).toThrow(/concurrency is 0/)
})
