import { once } from 'node:events'
import { setImmediate } from 'node:timers/promises'
import { describe, expect, onTestFinished, test } from 'vitest'
import { memoryOffsets } from '../../../offsets/memory/index.ts'
import { ConfigError, ConnectionError } from '../../../src/core/errors.ts'
import type { StreamEvent } from '../../../src/core/events.ts'
import { silentLog } from '../../../src/core/log.ts'
import type { Task } from '../../../src/core/values.ts'
import { type Sink, type StreamJob, type StreamOptions, stream } from '../../../src/index.ts'
import { type CollectingSink, collectingSink, memorySource } from '../../../src/testing/index.ts'

function world() {
  const source = memorySource({ topics: { orders: 2 } })
  for (let id = 0; id < 8; id++) source.append('orders', id % 2, { value: String(id) })
  return { source, store: memoryOffsets(), events: [] as StreamEvent[] }
}

type World = ReturnType<typeof world>

function declare({ source, store, events }: World, sinks: readonly Sink<number>[], options: Partial<StreamOptions> = {}): StreamJob {
  const job = stream({
    ...{ name: 'orders', offsets: store, batchIntervalMs: 0, log: silentLog },
    listeners: [event => events.push(event)],
    ...options,
  })
  const flow = job.from(source).map(record => Number(record.value))
  for (const sink of sinks) flow.to(sink)
  return job
}

const ids = [0, 1, 2, 3, 4, 5, 6, 7]
const sorted = (sink: CollectingSink<number>) => sink.rows.toSorted((a, b) => a - b)
const away = () => new ConnectionError('the server is away')

describe('an output that fails in a way that may pass', () => {
  test('is tried again alone: what the others have stays in, also where nobody remembers it', async () => {
    const here = world()
    const broken = collectingSink<number>({ name: 'broken' })
    const forgetful = collectingSink<number>({ name: 'forgetful', guarantee: 'at-least-once' })
    broken.failNext(away(), { at: 'rows', times: 6 })
    await (await declare(here, [broken, forgetful]).start({ until: 'latest' })).done
    expect(sorted(broken)).toEqual(ids)
    expect(sorted(forgetful)).toEqual(ids)
    expect(forgetful.attempts).toHaveLength(2)
    expect(broken.attempts).toHaveLength(8)
    expect(new Set(broken.attempts.map(({ attempt }) => attempt)).size).toBe(8)
  })

  test('does not keep outputs of other ranges waiting, and the batch commits when all are in', async () => {
    const here = world()
    const broken = collectingSink<number>({ name: 'broken' })
    const fine = collectingSink<number>({ name: 'fine' })
    broken.failNext(away(), { index: 0, times: 3 })
    await (await declare(here, [broken, fine]).start({ until: 'latest' })).done
    const types = here.events.flatMap(event => {
      if (event.type === 'outputOperationCompleted') return [`${event.operation.name} ended`]
      return event.type === 'batchCompleted' ? ['committed'] : []
    })
    expect(types).toEqual(['fine ended', 'broken ended', 'committed'])
    const batch = here.events.find(event => event.type === 'batchCompleted')?.batch
    expect(batch?.outputOperations).toMatchObject([
      { name: 'broken', rows: 8, numTasks: 2, numCompletedTasks: 2, numFailedAttempts: 3 },
      { name: 'fine', rows: 8, numTasks: 2, numCompletedTasks: 2 },
    ])
    expect(batch?.numRecords).toBe(8)
  })

  test('is told as a failure of its own tasks only', async () => {
    const here = world()
    const broken = collectingSink<number>({ name: 'broken' })
    const fine = collectingSink<number>({ name: 'fine' })
    broken.failNext(away(), { times: 2 })
    await (await declare(here, [fine, broken]).start({ until: 'latest' })).done
    const failed = here.events.flatMap(event => (event.type === 'taskEnded' && event.task.status === 'failed' ? [event.task] : []))
    expect(failed.map(({ task, willRetry }) => [task.output, willRetry])).toEqual([
      ['broken', true],
      ['broken', true],
    ])
  })

  test('keeps the slices behind it waiting, and the other outputs go through theirs', async () => {
    const here = world()
    const order: string[] = []
    const noting = (name: string): CollectingSink<number> => {
      const sink = collectingSink<number>({ name, ordering: 'partition' })
      const write = sink.write.bind(sink)
      return Object.assign(sink, {
        write: async (...[task, ...rest]: Parameters<typeof write>) => {
          await write(task, ...rest)
          order.push(`${name} ${task.range.partition}@${task.range.fromOffset}`)
        },
      })
    }
    const broken = noting('broken')
    const fine = noting('fine')
    broken.failNext(away(), { index: 0, times: 2 })
    await (await declare(here, [broken, fine], { limits: { maxRecordsPerTask: 2 } }).start({ until: 'latest' })).done
    expect(order.filter(line => line.startsWith('fine 0'))).toEqual(['fine 0@0', 'fine 0@2'])
    expect(order.filter(line => line.startsWith('broken 0'))).toEqual(['broken 0@0', 'broken 0@2'])
    // The second slice of the one was in before the first of the other.
    expect(order.indexOf('fine 0@2')).toBeLessThan(order.indexOf('broken 0@0'))
    expect(sorted(broken)).toEqual(ids)
  })

  test('ends the batch while a slice behind it is still under way: the run fails, and not the process', async () => {
    const here = world()
    const broken = collectingSink<number>({ name: 'broken', ordering: 'partition' })
    const listening = collectingSink<number>({ name: 'listening', ordering: 'partition' })
    const isUnderWay = Promise.withResolvers<void>()
    const write = listening.write.bind(listening)
    const refused: Sink<number> = Object.assign(broken, {
      applied: async (task: Task) => {
        // Refused for good, but only when the others are at their second slice.
        if (task.attempt.split('-')[3] !== '2') throw away()
        await isUnderWay.promise
        throw new ConfigError('the table is gone')
      },
    })
    const slow: Sink<number> = Object.assign(listening, {
      write: async (...[task, rows, context]: Parameters<typeof write>) => {
        if (task.range.fromOffset === 0) return write(task, rows, context)
        isUnderWay.resolve()
        // It ends when it is told to, and not at once.
        await once(context.signal, 'abort')
        await setImmediate()
        await setImmediate()
        throw context.signal.reason
      },
    })
    const unhandled: unknown[] = []
    const note = (reason: unknown) => unhandled.push(reason)
    process.on('unhandledRejection', note)
    onTestFinished(() => void process.off('unhandledRejection', note))
    const job = declare(here, [refused, slow], { limits: { maxRecordsPerTask: 2 } })
    await expect((await job.start({ until: 'latest' })).done).rejects.toThrow('the table is gone')
    await setImmediate()
    expect(unhandled).toEqual([])
  })

  test('ends the batch when it has failed for as long as it is tried, with what the others have in', async () => {
    const here = world()
    const broken = collectingSink<number>({ name: 'broken' })
    const fine = collectingSink<number>({ name: 'fine' })
    broken.failNext(away(), { index: 0, times: 1_000 })
    const job = declare(here, [broken, fine], { retry: { forMs: 0 } })
    await expect((await job.start({ until: 'latest' })).done).rejects.toThrow('the server is away')
    const failed = here.events.find(event => event.type === 'batchFailed')?.batch
    expect(failed?.outputOperations.find(({ name }) => name === 'broken')?.failureReason).toBe('the server is away')
    // The next driver finds what is in, and runs only the rest.
    broken.failNothing()
    const held = new Set(fine.collected.map(({ task }) => task.index))
    const before = fine.attempts.length
    await (await declare(here, [broken, fine]).start({ until: 'latest' })).done
    expect(sorted(fine)).toEqual(ids)
    expect(sorted(broken)).toEqual(ids)
    expect(fine.attempts.slice(before).filter(({ index }) => held.has(index))).toEqual([])
  })
})

describe('an error of the job’s own code in one output', () => {
  test('ends the batch at once, and the other output of its range has come to its end', async () => {
    const here = world()
    const broken = collectingSink<number>({ name: 'broken' })
    const fine = collectingSink<number>({ name: 'fine' })
    broken.failNext(new TypeError('no such column'), { index: 0 })
    const run = await declare(here, [broken, fine]).start({ until: 'latest' })
    await expect(run.done).rejects.toMatchObject({ code: 'TASK_FAILED', message: /into broken failed: no such column/ })
    expect(fine.collected.some(({ task }) => task.index === 0)).toBe(true)
    expect((await here.store.read('orders')).pending?.id).toBe(1)
    await (await declare(here, [broken, fine]).start({ until: 'latest' })).done
    expect(sorted(broken)).toEqual(ids)
    expect(sorted(fine)).toEqual(ids)
    // What was in was not run again.
    expect(fine.attempts.filter(({ index }) => index === 0)).toHaveLength(1)
  })

  test('in a function that only it goes through, too', async () => {
    const here = world()
    const fine = collectingSink<number>({ name: 'fine' })
    const picky = collectingSink<number>({ name: 'picky' })
    const job = stream({ name: 'orders', offsets: here.store, batchIntervalMs: 0, log: silentLog })
    const flow = job.from(here.source).map(record => Number(record.value))
    flow.to(fine)
    flow
      .map(id => {
        if (id === 4) throw new Error('four')
        return id
      })
      .to(picky)
    await expect((await job.start({ until: 'latest' })).done).rejects.toMatchObject({ code: 'RECORD', details: { offset: 2 } })
    await setImmediate()
    expect(fine.collected.find(({ task }) => task.range.partition === 0)?.rows).toEqual([0, 2, 4, 6])
  })
})
