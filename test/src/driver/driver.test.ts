import { setImmediate } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { memoryOffsets } from '../../../offsets/memory/index.ts'
import { ConnectionError } from '../../../src/core/errors.ts'
import type { StreamEvent } from '../../../src/core/events.ts'
import { silentLog } from '../../../src/core/log.ts'
import type { HistoryEntry, OffsetStore } from '../../../src/core/offset-store.ts'
import { inProcess, type StreamJob, type StreamOptions, stream } from '../../../src/index.ts'
import { type CollectingSink, collectingSink, type MemorySource, memorySource } from '../../../src/testing/index.ts'

type World = { source: MemorySource; store: OffsetStore; sink: CollectingSink<number>; events: StreamEvent[] }

function world(): World {
  return { source: memorySource({ topics: { orders: 2 } }), store: memoryOffsets(), sink: collectingSink<number>(), events: [] }
}

/** A start of the same stream in the same world, as another process would make it. */
function declare({ source, store, sink, events }: World, options: Partial<StreamOptions> = {}): StreamJob {
  return stream({
    name: 'orders',
    offsets: store,
    batchIntervalMs: 0,
    limits: { maxRecordsPerBatch: 4 },
    log: silentLog,
    listeners: [event => events.push(event)],
    ...options,
  })
    .from(source)
    .map(record => Number(record.value))
    .to(sink)
}

function appendNumbers(source: MemorySource, from: number, until: number): void {
  for (let id = from; id < until; id++) source.append('orders', id % 2, { value: String(id) })
}

function numbers(from: number, until: number): number[] {
  return Array.from({ length: until - from }, (_, at) => from + at)
}

async function historyOf(store: OffsetStore): Promise<HistoryEntry[]> {
  return (await Array.fromAsync(store.history('orders'))).reverse()
}

const ascending = (a: number, b: number) => a - b

/** Resolves when the event that `test` asks for has come. */
function seen(events: StreamEvent[], test: (event: StreamEvent) => boolean): Promise<StreamEvent> {
  const { promise, resolve } = Promise.withResolvers<StreamEvent>()
  const already = events.find(test)
  if (already !== undefined) resolve(already)
  const push = events.push.bind(events)
  events.push = (...added) => {
    for (const event of added) if (test(event)) resolve(event)
    return push(...added)
  }
  return promise
}

describe('a run', () => {
  test('reads everything once, in batches that keep to the limit, and commits it', async () => {
    const here = world()
    appendNumbers(here.source, 0, 10)
    const run = await declare(here).start({ until: 'latest' })
    expect(await run.done).toMatchObject({ reason: 'done', batches: 3, records: 10 })
    expect(here.sink.rows.sort(ascending)).toEqual(numbers(0, 10))
    const state = await here.store.read('orders')
    expect(state.offsets.map(({ offset }) => offset)).toEqual([5, 5])
    expect(state.pending).toBeUndefined()
    expect(state.lastBatchId).toBe(3)
  })

  test('goes on where the one before ended', async () => {
    const here = world()
    appendNumbers(here.source, 0, 6)
    await (await declare(here).start({ until: 'latest' })).done
    appendNumbers(here.source, 6, 10)
    await (await declare(here).start({ until: 'latest' })).done
    expect(here.sink.rows.sort(ascending)).toEqual(numbers(0, 10))
  })

  test('reads records as they come, without polling for them', async () => {
    const here = world()
    const run = await declare(here).start()
    await seen(here.events, event => event.type === 'partitionsStarted')
    const first = seen(here.events, event => event.type === 'batchCompleted')
    here.source.append('orders', 1, { value: '7' })
    await first
    expect(here.sink.rows).toEqual([7])
    expect(here.source.calls.latestOffsets).toBeLessThan(10)
    await run.stop()
    expect(await run.done).toMatchObject({ reason: 'stopped', batches: 1 })
  })

  test('until exact offsets ends there and reads nothing beyond', async () => {
    const here = world()
    appendNumbers(here.source, 0, 10)
    const until = { at: 'exact', offsets: [{ topic: 'orders', partition: 0, offset: 2 }] } as const
    await (await declare(here).start({ until })).done
    expect(here.sink.rows.sort(ascending)).toEqual([0, 2])
  })

  test('until a timestamp ends before the first record at or after it', async () => {
    const here = world()
    for (const [at, id] of [1000, 2000, 3000, 4000].entries()) here.source.append('orders', 0, { value: String(at), timestamp: id })
    await (await declare(here).start({ until: { at: 'timestamp', timestamp: 3000 } })).done
    expect(here.sink.rows).toEqual([0, 1])
  })

  test('begins no batch where there is nothing to read', async () => {
    const here = world()
    await (await declare(here).start({ until: 'latest' })).done
    expect((await historyOf(here.store)).map(({ kind }) => kind)).toEqual(['start'])
  })
})

describe('starting points', () => {
  test('are durable before anything is read, so an idle partition at latest loses nothing over a restart', async () => {
    const here = world()
    const source = memorySource({ topics: { orders: 2 }, startingOffsets: { at: 'latest' } })
    appendNumbers(source, 0, 4)
    await (await declare({ ...here, source }).start({ until: 'latest' })).done
    appendNumbers(source, 4, 8)
    await (await declare({ ...here, source }).start({ until: 'latest' })).done
    expect(here.sink.rows.sort(ascending)).toEqual([4, 5, 6, 7])
  })

  test('of a partition that is added to a known topic are its earliest, whatever the job says', async () => {
    const here = world()
    const source = memorySource({ topics: { orders: 1 }, startingOffsets: { at: 'latest' } })
    await (await declare({ ...here, source }).start({ until: 'latest' })).done
    source.addPartitions('orders', 1)
    source.append('orders', 1, { value: '1' })
    await (await declare({ ...here, source }).start({ until: 'latest' })).done
    expect(here.sink.rows).toEqual([1])
  })
})

describe('a failure', () => {
  test('stops the stream with its cause and commits nothing of the batch, which stays begun', async () => {
    const here = world()
    appendNumbers(here.source, 0, 4)
    here.sink.failNext(new Error('the disk is full'), { index: 1, at: 'rows' })
    const run = await declare(here).start({ until: 'latest' })
    await expect(run.done).rejects.toMatchObject({ code: 'TASK_FAILED', message: expect.stringContaining('the disk is full') })
    const state = await here.store.read('orders')
    expect(state.offsets.map(({ offset }) => offset)).toEqual([0, 0])
    expect(state.pending?.id).toBe(1)
    expect(here.events.at(-1)).toMatchObject({ type: 'streamStopped', reason: 'failed' })
  })

  test('of a record names topic, partition, offset and stage', async () => {
    const here = world()
    here.source.append('orders', 1, { value: '{}' }, { value: 'not json' })
    const job = stream({ name: 'orders', offsets: here.store, log: silentLog })
      .from(here.source)
      .map(function parse(record): unknown {
        return JSON.parse(String(record.value))
      })
      .to(collectingSink())
    const run = await job.start({ until: 'latest' })
    await expect(run.done).rejects.toMatchObject({
      code: 'RECORD',
      message: expect.stringMatching(/map \(parse\) failed on the record at orders\/1 offset 1 /),
      details: { topic: 'orders', partition: 1, offset: 1, stage: 'map (parse)' },
    })
  })

  test('that may pass is tried again under a new attempt and doubles nothing', async () => {
    const here = world()
    appendNumbers(here.source, 0, 4)
    here.source.failNext('read', new ConnectionError('the broker hung up'), { afterRecords: 1 })
    here.sink.failNext(new ConnectionError('the answer got lost'), { index: 1, at: 'applied' })
    await (await declare(here).start({ until: 'latest' })).done
    expect(here.sink.rows.sort(ascending)).toEqual(numbers(0, 4))
    const attempts = here.sink.attempts.map(({ attempt }) => attempt)
    expect(new Set(attempts).size).toBe(attempts.length)
    const failed = here.events.filter(event => event.type === 'taskEnded' && event.task.status === 'failed')
    expect(failed.length).toBeGreaterThanOrEqual(1)
  })

  test('of a task that is tried again turns health red until the batch is in', async () => {
    const here = world()
    appendNumbers(here.source, 0, 4)
    here.source.failNext('read', new ConnectionError('the broker hung up'))
    await (await declare(here).start({ until: 'latest' })).done
    expect(here.events.filter(event => event.type === 'health').map(event => event.status)).toEqual(['red', 'green'])
  })

  test('of a commit ends each output operation once', async () => {
    const here = world()
    appendNumbers(here.source, 0, 2)
    const store = new Proxy(here.store, {
      get(target, key) {
        if (key === 'commit') return () => Promise.reject(new Error('the store is broken'))
        const value = Reflect.get(target, key)
        return typeof value === 'function' ? value.bind(target) : value
      },
    })
    await expect((await declare({ ...here, store }).start({ until: 'latest' })).done).rejects.toThrow('the store is broken')
    expect(here.events.filter(event => event.type === 'outputOperationCompleted')).toHaveLength(1)
  })

  test('at start, where nothing answers, is told at once', async () => {
    const here = world()
    here.source.failNext('latestOffsets', new ConnectionError('no broker there'))
    await expect(declare(here).start()).rejects.toMatchObject({ code: 'CONNECTION', message: 'no broker there' })
    expect(await here.store.acquire('orders', 'someone else', 1000)).toMatchObject({ epoch: 2 })
  })

  test('of planning, once running, is waited out with health red', async () => {
    const here = world()
    const run = await declare(here).start()
    await seen(here.events, event => event.type === 'partitionsStarted')
    here.source.failNext('awaitRecords', new ConnectionError('gone'), { times: 2 })
    here.source.failNext('latestOffsets', new ConnectionError('gone'), { times: 1 })
    const green = seen(here.events, event => event.type === 'health' && event.status === 'green')
    here.source.append('orders', 0, { value: '1' })
    await green
    here.source.append('orders', 0, { value: '2' })
    await seen(here.events, () => here.sink.rows.length === 2)
    await run.stop()
    expect(here.events.find(event => event.type === 'health')).toMatchObject({ status: 'red', reason: 'gone' })
  })
})

describe('a batch that was begun and not committed', () => {
  async function crashInBatch(here: World): Promise<void> {
    here.sink.failNext(new Error('crash'), { index: 1, at: 'start' })
    // One task at a time, so that the first is in when the second fails.
    const run = await declare(here, { executor: inProcess({ concurrency: 1 }) }).start({ until: 'latest' })
    await expect(run.done).rejects.toMatchObject({ message: expect.stringContaining('crash') })
  }

  test('is run again with exactly its ranges, although more records came and the limits changed', async () => {
    const here = world()
    appendNumbers(here.source, 0, 4)
    await crashInBatch(here)
    const begun = (await here.store.read('orders')).pending
    appendNumbers(here.source, 4, 40)
    await (await declare(here, { limits: { maxRecordsPerBatch: 1000, minTasks: 8 } }).start({ until: 'latest' })).done
    const batches = (await historyOf(here.store)).filter(entry => entry.kind === 'batch')
    expect(batches[0]?.batch).toEqual(begun)
    expect(here.sink.rows.sort(ascending)).toEqual(numbers(0, 40))
    const replayed = here.events.filter(event => event.type === 'batchCompleted' && event.batch.isReplay)
    expect(replayed).toHaveLength(1)
  })

  test('does not read a task again that its output has already applied', async () => {
    const here = world()
    appendNumbers(here.source, 0, 4)
    await crashInBatch(here)
    const applied = here.sink.collected.map(({ task }) => task.index)
    const readBefore = here.source.reads.length
    await (await declare(here).start({ until: 'latest' })).done
    expect(applied).toEqual([0])
    expect(here.source.reads.slice(readBefore).map(({ partition }) => partition)).toEqual([1])
    expect(here.sink.rows.sort(ascending)).toEqual(numbers(0, 4))
  })

  test('carries the batch time and the id it was begun with into its tasks, and the epoch of the new lease', async () => {
    const here = world()
    appendNumbers(here.source, 0, 4)
    await crashInBatch(here)
    const begun = (await here.store.read('orders')).pending
    const before = here.sink.attempts.length
    await (await declare(here).start({ until: 'latest' })).done
    expect(here.sink.attempts[before]).toMatchObject({ batchId: begun?.id, batchTime: begun?.batchTime, epoch: 2 })
  })

  test('stops the start by name where its output has gone from the job', async () => {
    const here = world()
    appendNumbers(here.source, 0, 4)
    await crashInBatch(here)
    const job = declare({ ...here, sink: collectingSink<number>({ name: 'elsewhere' }) })
    await expect(job.start()).rejects.toMatchObject({ code: 'JOB', message: expect.stringMatching(/batch 1 .*output collect/i) })
  })

  test('is not given to an output that the job has gained since', async () => {
    const here = world()
    appendNumbers(here.source, 0, 4)
    await crashInBatch(here)
    appendNumbers(here.source, 4, 8)
    const added = collectingSink<number>({ name: 'added' })
    const job = stream({ name: 'orders', offsets: here.store, log: silentLog })
    const flow = job.from(here.source).map(record => Number(record.value))
    flow.to(here.sink)
    flow.to(added)
    await (await job.start({ until: 'latest' })).done
    expect(here.sink.rows.sort(ascending)).toEqual(numbers(0, 8))
    expect(added.rows.sort(ascending)).toEqual(numbers(4, 8))
  })
})

describe('two drivers of one stream', () => {
  test('the second stands by until the first releases its lease, then goes on', async () => {
    const here = world()
    appendNumbers(here.source, 0, 4)
    const first = await declare(here, { leaseTtlMs: 400 }).start()
    const events: StreamEvent[] = []
    const second = await declare({ ...here, events }, { leaseTtlMs: 400 }).start()
    const standingBy = await seen(events, event => event.type === 'standingBy')
    expect(standingBy).toMatchObject({ reason: expect.stringContaining('It runs in this very process: two jobs may be named orders') })
    await seen(here.events, event => event.type === 'batchCompleted')
    expect(events.some(event => event.type === 'streamStarted')).toBe(false)
    await first.stop()
    const started = await seen(events, event => event.type === 'streamStarted')
    expect(started).toMatchObject({ epoch: 2 })
    const next = seen(events, event => event.type === 'batchCompleted')
    appendNumbers(here.source, 4, 6)
    await next
    await second.stop()
    expect(new Set(here.sink.rows).size).toBe(here.sink.rows.length)
  })

  test('with steal the second takes over, and the first ends with FencedError and writes nothing more', async () => {
    const here = world()
    const first = await declare(here, { leaseTtlMs: 300 }).start()
    const events: StreamEvent[] = []
    const second = await declare({ ...here, events }, { leaseTtlMs: 300 }).start({ steal: true })
    await expect(first.done).rejects.toMatchObject({ code: 'FENCED' })
    const completed = seen(events, event => event.type === 'batchCompleted')
    appendNumbers(here.source, 0, 2)
    await completed
    await second.stop()
    expect(new Set(here.sink.attempts.map(({ epoch }) => epoch))).toEqual(new Set([2]))
  })

  test('one that stands by can be stopped', async () => {
    const here = world()
    const first = await declare(here).start()
    const second = await declare({ ...here, events: [] }).start()
    await second.stop()
    expect(await second.done).toMatchObject({ reason: 'stopped', batches: 0, records: 0 })
    await first.stop()
  })
})

describe('stopping', () => {
  test('finishes and commits the batch in hand', async () => {
    const here = world()
    appendNumbers(here.source, 0, 4)
    const gate = Promise.withResolvers<void>()
    const rows: number[] = []
    const job = stream({ name: 'orders', offsets: here.store, log: silentLog, listeners: [event => here.events.push(event)] })
      .from(here.source)
      .forEachRange(async arrays => {
        await gate.promise
        for await (const array of arrays) rows.push(...array.map(record => Number(record.value)))
      })
    const run = await job.start()
    await seen(here.events, event => event.type === 'batchStarted')
    const stopped = run.stop()
    gate.resolve()
    await stopped
    expect(await run.done).toMatchObject({ reason: 'stopped', batches: 1 })
    expect(rows.sort(ascending)).toEqual(numbers(0, 4))
    expect((await here.store.read('orders')).pending).toBeUndefined()
  })

  test('at once commits nothing, and the batch stays begun', async () => {
    const here = world()
    appendNumbers(here.source, 0, 4)
    const job = stream({ name: 'orders', offsets: here.store, log: silentLog, listeners: [event => here.events.push(event)] })
      .from(here.source)
      .to({
        name: 'slow',
        guarantee: 'at-least-once',
        ordering: 'none',
        write: (_task, _rows, { signal }) => new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason))),
      })
    const run = await job.start()
    await seen(here.events, event => event.type === 'batchStarted')
    await run.stop({ now: true })
    expect(await run.done).toMatchObject({ reason: 'stopped', batches: 0 })
    const state = await here.store.read('orders')
    expect(state.pending?.id).toBe(1)
    expect(here.events.at(-1)).toMatchObject({ type: 'streamStopped', reason: 'aborted' })
  })

  test('a paused run begins no batch until it is resumed', async () => {
    const here = world()
    const run = await declare(here).start()
    await seen(here.events, event => event.type === 'partitionsStarted')
    run.pause()
    appendNumbers(here.source, 0, 3)
    for (let turn = 0; turn < 100; turn++) await setImmediate()
    expect(here.events.some(event => event.type === 'batchSubmitted')).toBe(false)
    run.resume()
    await seen(here.events, () => here.sink.rows.length === 3)
    await run.stop()
    expect(here.sink.rows.sort(ascending)).toEqual([0, 1, 2])
  })
})

describe('outputs', () => {
  test('of one range share its read and the stages they have in common', async () => {
    const here = world()
    appendNumbers(here.source, 0, 6)
    let parsed = 0
    const evens = collectingSink<number>({ name: 'evens' })
    const odds = collectingSink<string>({ name: 'odds' })
    const job = stream({ name: 'orders', offsets: here.store, log: silentLog })
    const all = job.from(here.source).map(record => {
      parsed += 1
      return Number(record.value)
    })
    all.filter(id => id % 2 === 0).to(evens)
    all
      .filter(id => id % 2 === 1)
      .map(String)
      .to(odds)
    await (await job.start({ until: 'latest' })).done
    expect(evens.rows).toEqual([0, 2, 4])
    expect(odds.rows).toEqual(['1', '3', '5'])
    expect(parsed).toBe(6)
    expect(here.source.reads).toHaveLength(2)
  })

  test('commit only when every one of them has every task', async () => {
    const here = world()
    appendNumbers(here.source, 0, 4)
    const broken = collectingSink<number>({ name: 'broken' })
    broken.failNext(new Error('no'), { index: 0 })
    const make = () => {
      const job = stream({ name: 'orders', offsets: here.store, log: silentLog })
      const flow = job.from(here.source).map(record => Number(record.value))
      flow.to(here.sink)
      return flow.to(broken)
    }
    await expect((await make().start({ until: 'latest' })).done).rejects.toMatchObject({ code: 'TASK_FAILED' })
    expect((await here.store.read('orders')).pending?.id).toBe(1)
    await (await make().start({ until: 'latest' })).done
    expect(here.sink.rows.sort(ascending)).toEqual(numbers(0, 4))
    expect(broken.rows.sort(ascending)).toEqual(numbers(0, 4))
  })

  test('gather a batch on the driver in the order of its ranges', async () => {
    const here = world()
    appendNumbers(here.source, 0, 8)
    const batches: { id: number; rows: number[]; ranges: number }[] = []
    const job = stream({ name: 'orders', offsets: here.store, log: silentLog, limits: { maxRecordsPerTask: 2 } })
      .from(here.source)
      .map(async record => Number(record.value))
      .forEachBatch((rows, batch) => {
        batches.push({ id: batch.id, rows: [...rows], ranges: batch.ranges.length })
      })
    await (await job.start({ until: 'latest' })).done
    expect(batches).toEqual([{ id: 1, rows: [0, 2, 4, 6, 1, 3, 5, 7], ranges: 4 }])
  })

  test('gather no more rows than they say', async () => {
    const here = world()
    appendNumbers(here.source, 0, 8)
    const job = stream({ name: 'orders', offsets: here.store, log: silentLog })
      .from(here.source)
      .forEachBatch(() => {}, { maxRows: 3 })
    await expect((await job.start({ until: 'latest' })).done).rejects.toMatchObject({
      code: 'CONFIG',
      message: expect.stringContaining('at most 3'),
    })
  })

  test('gather no more rows over all ranges of a batch than they say', async () => {
    const here = world()
    appendNumbers(here.source, 0, 8)
    const job = stream({ name: 'orders', offsets: here.store, log: silentLog })
      .from(here.source)
      .forEachBatch(() => {}, { maxRows: 6 })
    await expect((await job.start({ until: 'latest' })).done).rejects.toMatchObject({
      code: 'CONFIG',
      message: expect.stringMatching(/at most 6; batch 1 has more/),
    })
  })

  test('that need order get the slices of a partition one after another', async () => {
    const here = world()
    for (let id = 0; id < 40; id++) here.source.append('orders', 0, { value: String(id) })
    const ordered = collectingSink<number>({ ordering: 'partition' })
    await (await declare({ ...here, sink: ordered as never }, { limits: { maxRecordsPerTask: 5 } }).start({ until: 'latest' })).done
    expect(ordered.rows).toEqual(numbers(0, 40))
  })

  test('get the records of their own source only', async () => {
    const here = world()
    appendNumbers(here.source, 0, 4)
    const other = memorySource({ topics: { payments: 1 }, name: 'other' })
    other.append('payments', 0, { value: 'paid' })
    const payments = collectingSink<string>({ name: 'payments' })
    const make = () => {
      const job = stream({ name: 'orders', offsets: here.store, log: silentLog, batchIntervalMs: 0 })
      job
        .from(here.source)
        .map(record => Number(record.value))
        .to(here.sink)
      return job
        .from(other)
        .map(record => String(record.value))
        .to(payments)
    }
    payments.failNext(new Error('crash'))
    await expect((await make().start({ until: 'latest' })).done).rejects.toThrow('crash')
    await (await make().start({ until: 'latest' })).done
    expect(here.sink.rows.sort(ascending)).toEqual(numbers(0, 4))
    expect(payments.rows).toEqual(['paid'])
  })

  test('of one name are refused', () => {
    const here = world()
    const job = stream({ name: 'orders', offsets: here.store })
    const flow = job.from(here.source)
    flow.to(collectingSink())
    expect(() => flow.to(collectingSink())).toThrow(/two outputs named collect/)
  })

  test('weaker than the stream demands are refused, by name', async () => {
    const here = world()
    const job = stream({ name: 'orders', offsets: here.store, guarantee: 'exactly-once' })
      .from(here.source)
      .to(collectingSink({ name: 'weak', guarantee: 'idempotent' }))
    await expect(job.start()).rejects.toMatchObject({ code: 'CONFIG', message: expect.stringContaining("weak is 'idempotent'") })
  })
})

describe('lost data', () => {
  test('a topic that was deleted and made again stops the stream', async () => {
    const here = world()
    appendNumbers(here.source, 0, 4)
    await (await declare(here).start({ until: 'latest' })).done
    here.source.createTopic('orders', 2)
    appendNumbers(here.source, 0, 8)
    await expect((await declare(here).start()).done).rejects.toMatchObject({ code: 'DATA_LOSS', lossCause: 'recreated' })
  })

  test('a log that was cut below what is committed and has grown again stops the stream', async () => {
    const here = world()
    appendNumbers(here.source, 0, 8)
    await (await declare(here).start({ until: 'latest' })).done
    here.source.truncate('orders', 0, 2)
    for (let id = 100; id < 106; id++) here.source.append('orders', 0, { value: String(id) })
    await expect((await declare(here).start()).done).rejects.toMatchObject({
      code: 'DATA_LOSS',
      lossCause: 'truncation',
      missing: [{ topic: 'orders', partition: 0, fromOffset: 2, untilOffset: 4 }],
    })
  })

  test('a leader that changed without a loss is asked once and the stream goes on', async () => {
    const here = world()
    appendNumbers(here.source, 0, 8)
    await (await declare(here).start({ until: 'latest' })).done
    here.source.electLeader('orders', 0)
    appendNumbers(here.source, 8, 12)
    await (await declare(here).start({ until: 'latest' })).done
    expect(here.sink.rows.sort(ascending)).toEqual(numbers(0, 12))
    expect(here.source.calls.epochEndOffsets).toBe(1)
  })

  test('a topic that is gone stops the stream', async () => {
    const here = world()
    appendNumbers(here.source, 0, 4)
    await (await declare(here).start({ until: 'latest' })).done
    here.source.removeTopic('orders')
    await expect((await declare(here).start()).done).rejects.toMatchObject({ code: 'DATA_LOSS', lossCause: 'removed' })
  })
})

test('a listener that throws changes nothing', async () => {
  const here = world()
  appendNumbers(here.source, 0, 4)
  const broken = () => {
    throw new Error('a listener')
  }
  await (await declare(here, { listeners: [broken] }).start({ until: 'latest' })).done
  expect(here.sink.rows.sort(ascending)).toEqual(numbers(0, 4))
})

test('events come in the order of a batch, with the fields Spark has', async () => {
  const here = world()
  appendNumbers(here.source, 0, 4)
  await (await declare(here).start({ until: 'latest' })).done
  expect(here.events.map(({ type }) => type)).toEqual([
    'streamStarted',
    'partitionsStarted',
    'batchSubmitted',
    'batchStarted',
    'outputOperationStarted',
    'taskEnded',
    'taskEnded',
    'outputOperationCompleted',
    'batchCompleted',
    'streamStopped',
  ])
  const completed = here.events.find(event => event.type === 'batchCompleted')
  expect(completed).toMatchObject({ batch: { id: 1, numRecords: 4, lag: 0, isReplay: false } })
  const { submissionTime = 0, processingStartTime = 0, processingEndTime = 0, ...delays } = completed?.batch ?? {}
  expect(delays).toMatchObject({
    schedulingDelay: processingStartTime - submissionTime,
    processingDelay: processingEndTime - processingStartTime,
    totalDelay: processingEndTime - submissionTime,
  })
})

test('a job without an offset store says what line to add', async () => {
  const job = stream({ name: 'orders' }).from(memorySource()).to(collectingSink())
  await expect(job.start()).rejects.toMatchObject({
    code: 'CONFIG',
    message: expect.stringContaining("sqliteOffsets({ path: 'orders.offsets.db' })"),
  })
})
