import { describe, expect, test } from 'vitest'
import { json } from '../../../connectors/kafka/index.ts'
import { memoryOffsets } from '../../../offsets/memory/index.ts'
import type { StreamEvent } from '../../../src/core/events.ts'
import { silentLog } from '../../../src/core/log.ts'
import { type Flow, type StreamJob, type StreamOptions, stream } from '../../../src/index.ts'
import { collectingSink, type MemoryRecord, memorySource } from '../../../src/testing/index.ts'

type Skipped = Extract<StreamEvent, { type: 'recordsSkipped' }>
type Records = Flow<MemoryRecord, StreamJob>

/** A stream of one partition over `values`, its flow declared by `declare`. */
function skipping(values: readonly string[], declare: (flow: Records) => StreamJob, options: Partial<StreamOptions> = {}) {
  const source = memorySource({ topics: { orders: 1 } })
  source.append('orders', 0, ...values.map(value => ({ value })))
  const events: StreamEvent[] = []
  const store = memoryOffsets()
  const run = async () => {
    const job = stream({
      name: 'orders',
      offsets: store,
      batchIntervalMs: 0,
      log: silentLog,
      onRecordError: 'skip',
      listeners: [event => events.push(event)],
      ...options,
    })
    return (await declare(job.from(source)).start({ until: 'latest' })).done
  }
  const skipped = () => events.filter((event): event is Skipped => event.type === 'recordsSkipped')
  return { run, events, skipped, source, store }
}

const refuseOdd = (id: number) => {
  if (id % 2 === 1) throw new RangeError(`odd: ${id}`)
  return id
}

describe("onRecordError: 'skip'", () => {
  test.each([
    ['a function', (id: number) => refuseOdd(id)],
    ['an asynchronous function', async (id: number) => refuseOdd(id)],
    ['a function that is asynchronous for some', (id: number) => (id > 3 ? Promise.resolve(id).then(refuseOdd) : refuseOdd(id))],
  ])('leaves out the records that %s fails on, keeps the order, counts and reports them', async (_what, apply) => {
    const sink = collectingSink<number>()
    const values = Array.from({ length: 30 }, (_, id) => String(id))
    const here = skipping(values, flow =>
      flow
        .map(record => Number(record.value))
        .map(apply)
        .to(sink),
    )
    await here.run()
    expect(sink.rows).toEqual(values.map(Number).filter(id => id % 2 === 0))
    expect(here.skipped()).toHaveLength(1)
    const [{ count, samples, output, range } = {} as Skipped] = here.skipped()
    expect({ count, output, range }).toMatchObject({ count: 15, output: 'collect', range: { fromOffset: 0, untilOffset: 30 } })
    expect(samples.map(({ offset }) => offset)).toEqual([1, 3, 5, 7, 9, 11, 13, 15, 17, 19])
    expect(samples[0]).toMatchObject({
      stage: expect.stringContaining('map'),
      message: expect.stringMatching(/orders\/0 offset 1 \(batch 1\): odd: 1/),
    })
    const completed = here.events.find(event => event.type === 'batchCompleted')
    expect(completed).toMatchObject({ batch: { numRecords: 30, numSkipped: 15 } })
    expect(here.events.find(event => event.type === 'taskEnded')).toMatchObject({ task: { records: 30, rows: 15, skipped: { count: 15 } } })
  })

  test.each(['sync', 'async'])('leaves nothing of a record that a flatMap fails on halfway (%s)', async kind => {
    const sink = collectingSink<string>()
    function* parts(value: string) {
      for (const part of value.split(',')) {
        if (part === '!') throw new Error('a bad part')
        yield part
      }
    }
    async function* asyncParts(value: string) {
      yield* parts(value)
    }
    const here = skipping(['a,b', 'c,d,!', 'e', '!', 'f,g'], flow =>
      flow
        .map(record => String(record.value))
        .flatMap(kind === 'sync' ? parts : (asyncParts as never as typeof parts))
        .to(sink),
    )
    await here.run()
    expect(sink.rows).toEqual(['a', 'b', 'e', 'f', 'g'])
    expect(here.skipped()[0]).toMatchObject({ count: 2, samples: [{ offset: 1 }, { offset: 3 }] })
  })

  test('leaves a poison record of JSON out, and a tombstone', async () => {
    const sink = collectingSink<{ id: number }>()
    const here = skipping(['{"id":1}', '{"id":', '{"id":3}'], flow => flow.map(json<{ id: number }>()).to(sink))
    here.source.append('orders', 0, { value: null })
    await here.run()
    expect(sink.rows).toEqual([{ id: 1 }, { id: 3 }])
    expect(here.skipped()[0]?.samples).toMatchObject([
      { offset: 1, stage: 'map (json)', message: expect.stringContaining('not JSON') },
      { offset: 3, message: expect.stringContaining('tombstone') },
    ])
  })

  test('counts for every output a record that a shared stage fails on, and for one what only it fails on, by the offset of the record', async () => {
    const all = collectingSink<number>({ name: 'all' })
    const small = collectingSink<number>({ name: 'small' })
    const here = skipping(['1', 'x', '30', '4'], flow => {
      const numbers = flow
        .filter(record => record.value !== null)
        .flatMap(record => {
          const id = Number(record.value)
          if (Number.isNaN(id)) throw new Error('no number')
          // An `offset` of the job's own is none of Kafka.
          return [{ id, offset: 999 }]
        })
      numbers.map(({ id }) => id).to(all)
      return numbers
        .map(({ id }) => {
          if (id > 10) throw new Error('too large')
          return id
        })
        .to(small)
    })
    await here.run()
    expect(all.rows).toEqual([1, 30, 4])
    expect(small.rows).toEqual([1, 4])
    const byOutput = Object.fromEntries(here.skipped().map(({ output, samples }) => [output, samples.map(({ offset }) => offset)]))
    expect(byOutput).toEqual({ all: [1], small: [1, 2] })
  })

  test('does the same over a replay', async () => {
    const sink = collectingSink<number>()
    const values = Array.from({ length: 12 }, (_, id) => String(id))
    const here = skipping(values, flow => flow.map(async record => refuseOdd(Number(record.value))).to(sink))
    sink.failNext(new Error('crash'), { at: 'rows' })
    await expect(here.run()).rejects.toThrow('crash')
    await here.run()
    expect(sink.rows).toEqual([0, 2, 4, 6, 8, 10])
    expect(here.skipped().map(({ count, samples }) => [count, samples.map(({ offset }) => offset)])).toEqual([[6, [1, 3, 5, 7, 9, 11]]])
  })

  test('is not for mapRange, which fails as a whole, nor for errors that are not of a record', async () => {
    const inRange = skipping(['1', '2'], flow =>
      flow
        .mapRange(async function* broken(rows) {
          for await (const array of rows) {
            if (array.length > 0) throw new Error('in the range')
            yield array
          }
        })
        .map(row => row)
        .to(collectingSink()),
    )
    await expect(inRange.run()).rejects.toMatchObject({
      code: 'RECORD',
      message: expect.stringMatching(/^mapRange .*orders\/0 \[0, 2\).*in the range/),
    })
    expect(inRange.skipped()).toEqual([])
  })
})

describe("onRecordError: 'fail'", () => {
  test.each([
    ['map', (flow: Records) => flow.map(refuse).to(collectingSink())],
    ['filter', (flow: Records) => flow.filter(refuse).to(collectingSink())],
    ['flatMap', (flow: Records) => flow.flatMap(refuse).to(collectingSink())],
    ['map', (flow: Records) => flow.map(async record => refuse(record)).to(collectingSink())],
  ])('names topic, partition, offset and stage of a %s, and commits nothing', async (stage, declare) => {
    const here = skipping(['1', '2', 'bad', '4'], declare, { onRecordError: 'fail' })
    await expect(here.run()).rejects.toMatchObject({
      code: 'RECORD',
      message: expect.stringMatching(new RegExp(`^${stage}.* failed on the record at orders/0 offset 2 \\(batch 1\\): bad value`)),
      details: { topic: 'orders', partition: 0, offset: 2, stage: expect.stringContaining(stage) },
    })
    expect((await here.store.read('orders')).offsets).toMatchObject([{ offset: 0 }])
  })

  test('names the offset also behind a stage that several outputs share', async () => {
    const here = skipping(
      ['1', '2', '3'],
      flow => {
        const numbers = flow.map(record => Number(record.value))
        numbers.to(collectingSink({ name: 'first' }))
        return numbers
          .map(id => {
            if (id === 3) throw new Error('three')
            return id
          })
          .to(collectingSink({ name: 'second' }))
      },
      { onRecordError: 'fail' },
    )
    await expect(here.run()).rejects.toMatchObject({ code: 'RECORD', details: { offset: 2 } })
  })
})

function refuse(record: MemoryRecord): never[] {
  if (String(record.value) === 'bad') throw new Error('bad value')
  return []
}
