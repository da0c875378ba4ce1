import { describe, expect, test } from 'vitest'
import { json } from '../../../connectors/kafka/values.ts'
import { memoryOffsets } from '../../../offsets/memory/index.ts'
import { ConnectionError } from '../../../src/core/errors.ts'
import type { StreamEvent } from '../../../src/core/events.ts'
import { silentLog } from '../../../src/core/log.ts'
import { type DeadLetter, deadLetter, type Sink, type StreamJob, type StreamOptions, stream } from '../../../src/index.ts'
import { collectingSink, type MemoryRecord, memorySource } from '../../../src/testing/index.ts'

type Order = { id: number }

function world(values: readonly (string | Buffer | null)[]) {
  const source = memorySource({ topics: { orders: 1 } })
  source.append('orders', 0, ...values.map((value, at) => ({ value, key: `k${at}`, timestamp: 1_000 + at, headers: headersOf(at) })))
  return { source, store: memoryOffsets(), letters: collectingSink<DeadLetter>({ name: 'letters' }), events: [] as StreamEvent[] }
}

const headersOf = (at: number): [string, Buffer | null][] => [
  ['at', Buffer.from([at])],
  ['none', null],
]

type World = ReturnType<typeof world>

function options({ store, letters, events }: World, more: Partial<StreamOptions> = {}): StreamOptions {
  return {
    ...{ name: 'orders', offsets: store, batchIntervalMs: 0, log: silentLog, onRecordError: deadLetter(letters) },
    listeners: [event => events.push(event)],
    ...more,
  }
}

async function runOf(job: StreamJob) {
  return (await job.start({ until: 'latest' })).done
}

async function batchTimeOf({ store }: World): Promise<number | undefined> {
  for await (const entry of store.history('orders')) if (entry.kind === 'batch') return entry.batch.batchTime
  return undefined
}

/** What a test asks of a letter: where it is from, what failed and who lost it. */
function summaryOf({ record_offset, stage, outputs }: DeadLetter) {
  return [record_offset, stage, JSON.parse(outputs)]
}

const good = (id: number) => JSON.stringify({ id })

describe('a record that a function fails on', () => {
  test('goes out as a letter with its bytes, its place, the error and the batch, and the rest as rows', async () => {
    const raw = Buffer.from([0xff, 0x00, 0x7b])
    const here = world([good(0), raw, good(2), null])
    const rows = collectingSink<Order>({ name: 'rows' })
    const summary = await runOf(
      stream(options(here))
        .from(here.source)
        .map(json<Order>() as (record: MemoryRecord) => Order)
        .to(rows),
    )
    expect(rows.rows).toEqual([{ id: 0 }, { id: 2 }])
    expect(here.letters.rows).toMatchObject([
      {
        ...{ stream: 'orders', batch: 1, topic: 'orders', partition: 0, record_offset: 1, record_time: 1_001 },
        ...{ key_text: 'k1', key_base64: Buffer.from('k1').toString('base64'), value_text: null, value_base64: raw.toString('base64') },
        ...{ stage: 'map (json)', outputs: '["rows"]', error_name: 'RecordError', error_code: 'RECORD' },
      },
      { record_offset: 3, value_text: null, value_base64: null },
    ])
    const [first] = here.letters.rows
    expect(JSON.parse(first?.headers ?? '')).toEqual([
      ['at', Buffer.from([1]).toString('base64')],
      ['none', null],
    ])
    expect(first?.error_message).toMatch(/the value is not JSON/)
    expect(first?.batch_time).toBe(await batchTimeOf(here))
    expect(summary).toMatchObject({ deadLetters: 2, skipped: 0, rowsByOutput: { rows: 2, 'deadletters:letters': 2 } })
    expect(here.events.find(event => event.type === 'batchCompleted')?.batch).toMatchObject({ numDeadLetters: 2, numRecords: 4 })
    expect(here.events.some(({ type }) => type === 'recordsSkipped')).toBe(false)
  })

  test('is one letter where a stage of several outputs fails on it, and one an output where each fails for itself', async () => {
    const here = world([good(0), 'bad', good(2), good(3), good(4)])
    const job = stream(options(here))
    const orders = job.from(here.source).map(json<Order>() as (record: MemoryRecord) => Order)
    const named = (name: string) => collectingSink<number>({ name })
    orders
      .map(function even({ id }) {
        if (id === 3) throw new RangeError('odd')
        return id
      })
      .to(named('even'))
    orders
      .filter(async function small({ id }) {
        if (id >= 3) throw new TypeError('large')
        return true
      })
      .map(({ id }) => id)
      .to(named('small'))
    orders
      .flatMap(function* twice({ id }) {
        yield id
        if (id === 4) throw new Error('halfway')
        yield id
      })
      .to(named('twice'))
    await runOf(job)
    expect(here.letters.rows.map(summaryOf)).toEqual([
      [1, 'map (json)', ['even', 'small', 'twice']],
      [3, 'map (even)', ['even']],
      [3, 'filter (small)', ['small']],
      [4, 'filter (small)', ['small']],
      [4, 'flatMap (twice)', ['twice']],
    ])
    expect(here.source.reads).toHaveLength(1)
  })

  test('of several sources goes to the same letters, each as a task of its own range', async () => {
    const here = world(['bad'])
    const returns = memorySource({ topics: { returns: 1 }, name: 'returns' })
    returns.append('returns', 0, { value: 'worse' })
    const job = stream(options(here))
    const parse = json<Order>() as (record: MemoryRecord) => Order
    job
      .from(here.source)
      .map(parse)
      .to(collectingSink<Order>({ name: 'orders' }))
    job
      .from(returns)
      .map(parse)
      .to(collectingSink<Order>({ name: 'returns' }))
    await runOf(job)
    expect(here.letters.rows.map(({ topic, outputs }) => [topic, outputs]).sort()).toEqual([
      ['orders', '["orders"]'],
      ['returns', '["returns"]'],
    ])
  })

  test('behind a mapRange fails the batch, for it is of no one record, and says what to do', async () => {
    const here = world([good(0)])
    const job = stream(options(here))
      .from(here.source)
      .mapRange(async function* whole(rows) {
        for await (const array of rows) yield array
      })
      .map(() => {
        throw new Error('too late')
      })
      .to(collectingSink<unknown>({ name: 'rows' }))
    await expect(runOf(job)).rejects.toMatchObject({ code: 'RECORD', message: /too late.*It cannot be a dead letter/ })
  })

  test('text that a database would refuse is made one that it takes', async () => {
    const here = world(['x'])
    const job = stream(options(here))
      .from(here.source)
      .map(() => {
        throw Object.assign(new Error('NUL \0 and half \uD800'), { code: 7 })
      })
      .to(collectingSink<unknown>({ name: 'rows' }))
    await runOf(job)
    expect(here.letters.rows[0]).toMatchObject({ error_message: 'NUL \uFFFD and half \uFFFD', error_code: '7', stage: 'map' })
  })
})

describe('the letters of a batch', () => {
  const values = Array.from({ length: 40 }, (_, id) => (id % 7 === 3 ? `bad ${id}` : good(id)))
  const expected = [3, 10, 17, 24, 31, 38]

  function declare(here: World, sinks: readonly Sink<Order>[], more: Partial<StreamOptions> = {}): StreamJob {
    const job = stream(options(here, more))
    const orders = job.from(here.source).map(json<Order>() as (record: MemoryRecord) => Order)
    for (const sink of sinks) orders.to(sink)
    return job
  }

  const rowsOf = (name: string) => collectingSink<Order>({ name })
  const away = () => new ConnectionError('away')

  test('are the same when an output beside them fails, and when they fail themselves', async () => {
    const here = world(values)
    const rows = rowsOf('rows')
    rows.failNext(away(), { times: 2, at: 'rows' })
    here.letters.failNext(away(), { times: 2, at: 'rows' })
    await runOf(declare(here, [rows]))
    expect(here.letters.rows.map(({ record_offset }) => record_offset)).toEqual(expected)
    expect(rows.rows).toHaveLength(34)
  })

  test('are whole when an output takes no rows at all, for it fails at once or has its task', async () => {
    const here = world(values)
    const broken = rowsOf('broken')
    broken.failNext(away(), { times: 1, at: 'start' })
    await runOf(declare(here, [broken, rowsOf('fine')]))
    expect(here.letters.rows.map(summaryOf)).toEqual(expected.map(offset => [offset, 'map (json)', ['broken', 'fine']]))
  })

  test('are worked out again, and are the same, when the rows are in and the letters are not', async () => {
    const here = world(values)
    const rows = rowsOf('rows')
    here.letters.failNext(new Error('no such table'), { at: 'rows' })
    await expect(runOf(declare(here, [rows]))).rejects.toThrow('no such table')
    expect(rows.rows).toHaveLength(34)
    await runOf(declare(here, [rows]))
    expect(here.letters.rows.map(({ record_offset }) => record_offset)).toEqual(expected)
    expect(rows.rows).toHaveLength(34)
  })

  test('go out before its rows where it was begun before the job had letters: the record that stopped it is one', async () => {
    const here = world(values)
    const rows = rowsOf('rows')
    await expect(runOf(declare(here, [rows], { onRecordError: 'fail' }))).rejects.toMatchObject({ code: 'RECORD' })
    here.letters.failNext(new Error('no such table'))
    await expect(runOf(declare(here, [rows]))).rejects.toThrow('no such table')
    expect(rows.rows).toEqual([])
    // Without letters it stops again: nothing was left out meanwhile.
    await expect(runOf(declare(here, [rows], { onRecordError: 'fail' }))).rejects.toMatchObject({ code: 'RECORD' })
    await runOf(declare(here, [rows]))
    expect(here.letters.rows.map(({ record_offset, batch }) => [record_offset, batch])).toEqual(expected.map(offset => [offset, 1]))
    expect(rows.rows).toHaveLength(34)
  })

  test('stop a start by name where they are begun and the job has them no more', async () => {
    const here = world(values)
    here.letters.failNext(new Error('no'))
    await expect(runOf(declare(here, [rowsOf('rows')]))).rejects.toThrow('no')
    await expect(runOf(declare(here, [rowsOf('rows')], { onRecordError: 'skip' }))).rejects.toMatchObject({
      code: 'JOB',
      message: /output deadletters:letters/,
    })
  })

  test('count for the guarantee of the stream', async () => {
    const here = { ...world(values), letters: collectingSink<DeadLetter>({ name: 'letters', guarantee: 'at-least-once' }) }
    await expect(runOf(declare(here, [rowsOf('rows')], { guarantee: 'exactly-once' }))).rejects.toThrow(
      /output deadletters:letters is 'at-least-once'/,
    )
  })

  test('of no bad records are a task without rows', async () => {
    const here = world([good(0)])
    await runOf(declare(here, [rowsOf('rows')]))
    expect(here.letters.collected).toMatchObject([{ task: { output: 'deadletters:letters', batchId: 1 }, rows: [] }])
  })

  test('have a name of their own, which no other output may have', () => {
    const here = world(values)
    const job = declare(here, [rowsOf('mine')], { onRecordError: deadLetter(here.letters, { name: 'mine' }) })
    return expect(runOf(job)).rejects.toMatchObject({ code: 'JOB', message: /output named mine/ })
  })
})

test('deadLetter takes a sink, and onRecordError nothing else', () => {
  expect(() => deadLetter({} as Sink<DeadLetter>)).toThrow(/deadLetter\(\) takes a sink/)
  expect(() => stream({ name: 'x', onRecordError: 'put aside' as 'skip' })).toThrow(/'fail', 'skip' or deadLetter\(sink\)/)
})
