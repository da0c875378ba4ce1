// What is wrong here must not compile: `npm run check` reports a `@ts-expect-error` under which nothing is wrong. What is right runs, too.
import { describe, expect, test } from 'vitest'
import { memoryOffsets } from '../../offsets/memory/index.ts'
import { silentLog } from '../../src/core/log.ts'
import type { BatchContext, Flow, OffsetRange, RangeContext, Run, Sink, StreamJob, Task } from '../../src/index.ts'
import { stream } from '../../src/index.ts'
import { collectingSink, type MemoryRecord, memorySource } from '../../src/testing/index.ts'
import { fails, holds, type Same } from './type-relations.ts'

type Order = { readonly id: string; readonly total: number }
type Rows<R> = R extends Flow<infer Row, StreamJob> ? Row : never

function declare() {
  return stream({ name: 'orders', offsets: memoryOffsets(), log: silentLog })
}

function begin() {
  return declare().from(memorySource({ topics: { orders: 1 } }))
}

const parse = (record: MemoryRecord): Order => JSON.parse(String(record.value))

describe('a flow', () => {
  test('has the rows of its source, and then what its transformations give', () => {
    const records = begin()
    holds<Same<Rows<typeof records>, MemoryRecord>>()
    const orders = records.map(parse)
    holds<Same<Rows<typeof orders>, Order>>()
    const words = orders.flatMap(order => order.id.split(' '))
    holds<Same<Rows<typeof words>, string>>()
    // @ts-expect-error an order has no price
    expect(orders.map(order => order.price)).toBeDefined()
  })

  test('unwraps what an asynchronous function gives', () => {
    const totals = begin().map(async record => (await Promise.resolve(parse(record))).total)
    holds<Same<Rows<typeof totals>, number>>()
    const ids = begin().flatMap(async record => [parse(record).id])
    holds<Same<Rows<typeof ids>, string>>()
    const streamed = begin().flatMap(async function* ids(record) {
      yield parse(record).id
    })
    holds<Same<Rows<typeof streamed>, string>>()
  })

  test('is narrowed by a type guard, and by no other function', () => {
    const hasValue = (record: MemoryRecord): record is MemoryRecord & { readonly value: Buffer } => record.value !== null
    const narrowed = begin().filter(hasValue)
    holds<Same<Rows<typeof narrowed>['value'], Buffer>>()
    narrowed.map(record => record.value.length)

    const kept = begin().filter(record => record.value !== null && record.offset > 0)
    holds<Same<Rows<typeof kept>, MemoryRecord>>()
    // @ts-expect-error the value may still be null
    kept.map(record => record.value.length)
    const slow = begin().filter(async record => record.offset > 0, { concurrency: 2 })
    holds<Same<Rows<typeof slow>, MemoryRecord>>()
  })

  test('is transformed as a whole by a generator that knows its range', () => {
    const counts = begin().mapRange(async function* count(records, range) {
      holds<Same<typeof range, RangeContext>>()
      for await (const array of records) yield [{ partition: range.range.partition, records: array.length }]
    })
    holds<Same<Rows<typeof counts>, { partition: number; records: number }>>()
    // @ts-expect-error rows come in arrays, here as everywhere
    begin().mapRange(async function* one(records) {
      for await (const array of records) yield array.length
    })
  })
})

describe('an output', () => {
  test('gives the job back, so that a chain can be the default export', async () => {
    const sink = collectingSink<Order>()
    const job = begin().map(parse).to(sink)
    holds<Same<typeof job, StreamJob>>()
    const other = begin().forEachRange(() => {})
    holds<Same<typeof other, StreamJob>>()
    const third = begin().forEachBatch(() => {}, { name: 'totals', maxRows: 10 })
    holds<Same<typeof third, StreamJob>>()
    const run = await job.start({ until: 'latest' })
    holds<Same<typeof run, Run>>()
    expect(await run.done).toMatchObject({ reason: 'done', batches: 0, records: 0 })
  })

  test('belongs to the job it was declared on, whatever it branched from', () => {
    const job = declare()
    const orders = job.from(memorySource({ topics: { orders: 1 } })).map(parse)
    expect(orders.to(collectingSink<Order>(), { name: 'all' })).toBe(job)
    expect(orders.map(order => order.total).to(collectingSink<number>(), { name: 'totals' })).toBe(job)
  })

  test('that needs a column the rows lack does not compile', () => {
    const needsOrders: Sink<Order> = collectingSink<Order>()
    begin().map(parse).to(needsOrders)
    begin()
      .map(record => ({ ...parse(record), currency: 'EUR' }))
      .to(needsOrders)
    begin()
      .map(record => ({ id: parse(record).id }))
      // @ts-expect-error the rows have no total
      .to(needsOrders)
    begin()
      .map(record => ({ id: parse(record).id, total: String(parse(record).total) }))
      // @ts-expect-error the total is text, and the sink needs a number
      .to(needsOrders)
    // @ts-expect-error records are no orders
    begin().to(needsOrders)
  })

  test('that takes anything takes anything', () => {
    const takesAnything: Sink<unknown> = collectingSink<unknown>()
    holds<Same<ReturnType<Flow<Order, StreamJob>['to']>, StreamJob>>()
    expect(begin().map(parse).to(takesAnything)).toBeDefined()
  })

  test('of the user is told whose rows it gets', () => {
    begin()
      .map(parse)
      .forEachRange(async (rows, task) => {
        holds<Same<typeof task, Task>>()
        holds<Same<typeof task.range, OffsetRange>>()
        for await (const array of rows) holds<Same<typeof array, readonly Order[]>>()
      })
    begin()
      .map(parse)
      .forEachBatch((rows, batch) => {
        holds<Same<typeof rows, readonly Order[]>>()
        holds<Same<typeof batch, BatchContext>>()
        holds<Same<typeof batch.ranges, readonly OffsetRange[]>>()
        // @ts-expect-error ranges are planned, and nobody adds one
        batch.ranges.push()
      })
    fails<Same<Parameters<Parameters<Flow<Order, StreamJob>['forEachBatch']>[0]>[0], readonly unknown[]>>()
  })
})

test('options that are unknown or of another type do not compile', () => {
  const attempts = [
    // @ts-expect-error a stream has a name
    () => stream({}),
    // @ts-expect-error the interval is a number
    () => stream({ name: 'orders', batchIntervalMs: '500' }),
    // @ts-expect-error no such option
    () => stream({ name: 'orders', batchInterval: 500 }),
    // @ts-expect-error no such limit
    () => stream({ name: 'orders', limits: { maxOffsetsPerTrigger: 1 } }),
    // @ts-expect-error 'off', or weights
    () => stream({ name: 'orders', backpressure: 'on' }),
  ]
  for (const attempt of attempts) expect(attempt).toThrow(/^stream: /)
})

test('a run ends where it is told to, in one of three ways', () => {
  type Until = NonNullable<NonNullable<Parameters<StreamJob['start']>[0]>['until']>
  const accepted: Until[] = [
    'latest',
    { at: 'timestamp', timestamp: 0 },
    { at: 'exact', offsets: [{ topic: 'orders', partition: 0, offset: 7 }] },
  ]
  expect(accepted).toHaveLength(3)
  // @ts-expect-error a bare number could be a time or an offset
  const bare: Until = 1_700_000_000_000
  expect(bare).toBeTypeOf('number')
})
