import { describe, expect, test } from 'vitest'
import { memoryOffsets } from '../../../offsets/memory/index.ts'
import { ConnectionError } from '../../../src/core/errors.ts'
import type { StreamEvent } from '../../../src/core/events.ts'
import { silentLog } from '../../../src/core/log.ts'
import type { PartitionOffset } from '../../../src/core/values.ts'
import { inProcess, type StreamOptions, stream } from '../../../src/index.ts'
import { collectingSink, ManualClock, memorySource } from '../../../src/testing/index.ts'
import {
  appendIds,
  declareOrders,
  driveOrders,
  existing,
  historyOf,
  inspectOrders,
  type LossyWorld,
  lossyWorld,
  seen,
  toldLosses,
} from './lossy-world.ts'

const ascending = (a: number, b: number) => a - b
const health = (events: readonly StreamEvent[]) => events.flatMap(event => (event.type === 'health' ? [event.status] : []))
const redReason = (events: readonly StreamEvent[]) => events.find(event => event.type === 'health' && event.status === 'red')

/** A stream that has read ids 0 to 9. */
async function readTen(): Promise<LossyWorld> {
  const here = lossyWorld()
  appendIds(here.source, 0, 10)
  await (await declareOrders(here).start({ until: 'latest' })).done
  here.events.length = 0
  return here
}

describe('slices of one partition', () => {
  const sliced: Partial<StreamOptions> = { limits: { maxRecordsPerBatch: 100, maxRecordsPerTask: 2 }, onDataLoss: 'skip' }

  test.each([
    ['retention that ends inside of one', 3],
    ['retention that ends at the end of one', 4],
    ['retention that takes several', 7],
  ])('%s: what is left is read once, and the partition does not go back', async (_what, first) => {
    const here = lossyWorld()
    appendIds(here.source, 0, 20)
    here.onEvent = event => {
      if (event.type === 'batchStarted') here.source.deleteBefore('orders', 0, first)
    }
    await (await declareOrders(here, sliced).start({ until: 'latest' })).done
    expect(here.sink.rows.toSorted(ascending)).toEqual(await existing(here.source))
    expect((await here.store.read('orders')).offsets.map(({ offset }) => offset)).toEqual([10, 10])
    const missing = here.events.flatMap(event => (event.type === 'dataLoss' ? event.missing : []))
    expect(missing.reduce((sum, range) => sum + range.untilOffset - range.fromOffset, 0)).toBe(first)
  })

  test('a log that is cut inside of one: those behind it read nothing, and the partition goes on at the cut', async () => {
    const here = lossyWorld()
    appendIds(here.source, 0, 20)
    let isCut = false
    here.onEvent = event => {
      if (event.type !== 'batchStarted' || isCut) return
      isCut = true
      here.source.truncate('orders', 0, 5)
      for (let id = 100; id < 110; id++) here.source.append('orders', 0, { value: String(id) })
    }
    await (await declareOrders(here, sliced).start({ until: 'latest' })).done
    await (await declareOrders(here, sliced).start({ until: 'latest' })).done
    expect(here.sink.rows.toSorted(ascending)).toEqual(await existing(here.source))
    expect(toldLosses(here.events)).toEqual(['truncation orders/0 [5, 6)', 'truncation orders/0 [6, 8)', 'truncation orders/0 [8, 10)'])
  })
})

describe('a loss in the middle of a read', () => {
  /** Enough for the source to give them in two arrays; whatever happens, happens when the first is there. */
  const COUNT = 5_000
  const GIVEN = 4_096

  function largeRange(damage: (source: LossyWorld['source']) => void) {
    const here = lossyWorld(memorySource({ topics: { orders: 1 } }))
    here.source.append('orders', 0, ...Array.from({ length: COUNT }, (_, id) => ({ value: String(id) })))
    let isDone = false
    const job = () =>
      stream({
        name: 'orders',
        offsets: here.store,
        log: silentLog,
        batchIntervalMs: 0,
        onDataLoss: 'skip',
        listeners: [e => here.events.push(e)],
      })
        .from(here.source)
        .map(record => {
          if (!isDone) {
            isDone = true
            damage(here.source)
          }
          return Number(record.value)
        })
        .to(here.sink)
    return { here, job }
  }

  test('a log that is cut behind what was read: the rest is told, and what has taken its place is read', async () => {
    const { here, job } = largeRange(source => {
      source.truncate('orders', 0, 4_500)
      for (let id = 6_000; id < 6_010; id++) source.append('orders', 0, { value: String(id) })
    })
    await (await job().start({ until: 'latest' })).done
    await (await job().start({ until: 'latest' })).done
    expect(here.sink.rows).toEqual(await existing(here.source))
    expect(toldLosses(here.events)).toEqual([`truncation orders/0 [4500, ${COUNT})`])
  })

  test('retention that passes what was read: exactly what lies between is told', async () => {
    const { here, job } = largeRange(source => source.deleteBefore('orders', 0, 4_800))
    await (await job().start({ until: 'latest' })).done
    expect(here.sink.rows.length).toBe(GIVEN + COUNT - 4_800)
    expect(toldLosses(here.events)).toEqual([`retention orders/0 [${GIVEN}, 4800)`])
  })

  test('a topic that is made again: what was read of the old stays, the new is read from its beginning', async () => {
    const { here, job } = largeRange(source => {
      source.createTopic('orders', 1)
      source.append('orders', 0, { value: '7000' })
    })
    await (await job().start({ until: 'latest' })).done
    await (await job().start({ until: 'latest' })).done
    expect(here.sink.rows.at(-1)).toBe(7000)
    expect(here.sink.rows.length).toBe(GIVEN + 1)
    expect(toldLosses(here.events)).toEqual([`recreated orders/0 [${GIVEN}, ${COUNT})`])
  })
})

describe('policies', () => {
  test('of one cause leave the others failing', async () => {
    const here = await readTen()
    here.source.truncate('orders', 0, 2)
    const run = await declareOrders(here, { onDataLoss: { retention: 'skip', recreated: 'skip', removed: 'skip' } }).start()
    await expect(run.done).rejects.toMatchObject({ lossCause: 'truncation' })
    await (await declareOrders(here, { onDataLoss: { truncation: 'skip' } }).start({ until: 'latest' })).done
    expect(toldLosses(here.events)).toEqual(['truncation orders/0 [2, 5)'])
  })

  test('where one loss fails, nothing of the others is moved', async () => {
    const here = await readTen()
    here.source.truncate('orders', 0, 2)
    appendIds(here.source, 10, 16)
    here.source.deleteBefore('orders', 1, 7)
    const run = await declareOrders(here, { onDataLoss: { truncation: 'skip' } }).start()
    await expect(run.done).rejects.toMatchObject({
      lossCause: 'retention',
      missing: [{ topic: 'orders', partition: 1, fromOffset: 5, untilOffset: 7 }],
    })
    expect((await here.store.read('orders')).offsets.map(({ offset }) => offset)).toEqual([5, 5])
    expect(toldLosses(here.events)).toEqual([])
  })

  test('a reset by a loss is in the history in front of the batch that goes on', async () => {
    const here = await readTen()
    appendIds(here.source, 10, 20)
    here.source.deleteBefore('orders', 0, 8)
    await (await declareOrders(here, { onDataLoss: 'skip' }).start({ until: 'latest' })).done
    const history = await historyOf(here.store)
    const at = history.findIndex(entry => entry.kind === 'reset')
    expect(history[at]).toMatchObject({ reason: 'retention', offsets: [{ topic: 'orders', partition: 0, offset: 8 }] })
    expect(history.slice(at + 1).map(({ kind }) => kind)).not.toContain('reset')
    expect(history[at + 1]).toMatchObject({ kind: 'batch' })
  })

  test('a plan shows what a run would do: the loss where it fails, the batch behind it where it is skipped', async () => {
    const here = await readTen()
    appendIds(here.source, 10, 20)
    here.source.deleteBefore('orders', 0, 8)
    expect(await inspectOrders(here)).toMatchObject({ problem: expect.stringContaining('orders/0 [5, 8) is gone'), next: { ranges: [] } })
    const skipping = await inspectOrders(here, { onDataLoss: 'skip' })
    expect(skipping.problem).toBeUndefined()
    expect(skipping.next.ranges[0]).toMatchObject({ partition: 0, fromOffset: 8 })
  })
})

describe('what is only late', () => {
  test('a watermark that lags is never skipped, however long it does: red with the reason, no storm, green afterwards', async () => {
    const here = await readTen()
    here.source.electLeader('orders', 0)
    here.source.holdWatermark('orders', 0, 3)
    const clock = new ManualClock()
    const driver = driveOrders(here, clock, { onDataLoss: 'skip' })
    await driver.started
    await seen(here, event => event.type === 'health')
    const callsBefore = here.source.calls.latestOffsets
    for (let second = 0; second < 120; second++) await clock.advance(1_000)
    const calls = here.source.calls.latestOffsets - callsBefore
    expect(calls).toBeGreaterThan(5)
    expect(calls).toBeLessThan(240)
    expect(health(here.events)).toEqual(['red'])
    expect(redReason(here.events)).toMatchObject({
      reason: expect.stringMatching(/^orders\/0 ends at offset 3, below 5, which the stream has committed/),
    })
    expect(toldLosses(here.events)).toEqual([])
    // The other partition goes on meanwhile.
    here.source.append('orders', 1, { value: '11' })
    for (let turn = 0; turn < 20 && !here.sink.rows.includes(11); turn++) await clock.advance(1_000)
    expect(here.sink.rows).toContain(11)
    expect(health(here.events)).toEqual(['red'])

    here.source.holdWatermark('orders', 0, undefined)
    here.source.append('orders', 0, { value: '10' })
    for (let turn = 0; turn < 20 && !here.sink.rows.includes(10); turn++) await clock.advance(1_000)
    await driver.stop()
    expect(health(here.events)).toEqual(['red', 'green'])
    expect(here.sink.rows.toSorted(ascending)).toEqual([...Array(10).keys(), 10, 11])
  })

  test('a new leader that does not say whether its log is whole is not read from: a log cut and grown again would pass for the old one', async () => {
    const here = await readTen()
    here.source.truncate('orders', 0, 2)
    for (let id = 100; id < 110; id++) here.source.append('orders', 0, { value: String(id) })
    const ask = here.source.epochEndOffsets.bind(here.source)
    let refusals = 5
    here.source.epochEndOffsets = async (positions: readonly PartitionOffset[], options) => (refusals-- > 0 ? [] : ask(positions, options))
    const run = await declareOrders(here, { onDataLoss: 'skip' }).start()
    await seen(here, event => event.type === 'health' && event.status === 'green')
    await seen(here, event => event.type === 'batchCompleted')
    await run.stop()
    expect(redReason(here.events)).toMatchObject({
      reason: expect.stringMatching(/^orders\/0 has a new leader \(epoch 1\) that does not say/),
    })
    expect(toldLosses(here.events)).toEqual(['truncation orders/0 [2, 5)'])
    const rows = here.sink.rows.filter(id => id >= 100)
    expect(rows.slice(0, 2)).toEqual([100, 101])
  })

  test('a clean election loses nothing and is asked about once', async () => {
    const here = await readTen()
    here.source.electLeader('orders', 0)
    appendIds(here.source, 10, 30)
    await (await declareOrders(here).start({ until: 'latest' })).done
    expect(here.source.calls.epochEndOffsets).toBe(1)
    expect(here.sink.rows.toSorted(ascending)).toEqual([...Array(30).keys()])
  })

  test('sources that do not answer for a while turn the health red, and green when they do', async () => {
    const here = await readTen()
    const latestOffsets = here.source.latestOffsets.bind(here.source)
    const answer = Promise.withResolvers<void>()
    let calls = 0
    const clock = new ManualClock()
    here.source.latestOffsets = async options => {
      calls += 1
      if (calls > 1) await answer.promise
      return latestOffsets(options)
    }
    const driver = driveOrders(here, clock)
    await driver.started
    await clock.untilSleeping(2)
    await clock.advance(6_000)
    expect(redReason(here.events)).toMatchObject({ reason: expect.stringMatching(/a partition without a leader/) })
    answer.resolve()
    await seen(here, event => event.type === 'health' && event.status === 'green')
    await driver.stop()
    expect(calls).toBeLessThan(5)
  })
})

describe('a run with an end', () => {
  test('ends where a topic that was part of it is removed or cut while it runs', async () => {
    for (const damage of ['remove', 'cut'] as const) {
      const here = lossyWorld()
      appendIds(here.source, 0, 20)
      let isDone = false
      here.onEvent = event => {
        if (event.type !== 'batchCompleted' || isDone) return
        isDone = true
        if (damage === 'remove') here.source.removeTopic('orders')
        else here.source.truncate('orders', 0, 1)
      }
      const run = await declareOrders(here, { onDataLoss: 'skip' }).start({ until: 'latest' })
      expect(await run.done).toMatchObject({ reason: 'done' })
    }
  })

  test('does not call a stream done whose topic is shorter than what is committed', async () => {
    const here = await readTen()
    here.source.createTopic('orders', 2)
    await expect((await declareOrders(here).start({ until: 'latest' })).done).rejects.toMatchObject({ lossCause: 'recreated' })
  })
})

test('a topic that comes back while the stream runs is read from its beginning, whatever the job says of beginnings', async () => {
  const here = lossyWorld(memorySource({ topics: { orders: 2, other: 1 }, startingOffsets: { at: 'latest' } }))
  const run = await declareOrders(here, { onDataLoss: 'skip' }).start()
  await seen(here, event => event.type === 'partitionsStarted')
  here.source.removeTopic('orders')
  await seen(here, event => event.type === 'dataLoss')
  here.source.createTopic('orders', 2)
  appendIds(here.source, 50, 54)
  await seen(here, event => event.type === 'batchCompleted')
  await run.stop()
  expect(here.sink.rows.toSorted(ascending)).toEqual([50, 51, 52, 53])
})

describe('two sources', () => {
  function twoSources(onDataLoss: StreamOptions['onDataLoss'] = 'fail') {
    const orders = memorySource({ topics: { orders: 1 }, name: 'first' })
    const payments = memorySource({ topics: { payments: 1 }, name: 'second' })
    for (let id = 0; id < 4; id++) {
      orders.append('orders', 0, { value: String(id) })
      payments.append('payments', 0, { value: String(id + 10) })
    }
    const store = memoryOffsets()
    const sinks = { orders: collectingSink<number>({ name: 'o' }), payments: collectingSink<number>({ name: 'p' }) }
    const events: StreamEvent[] = []
    const job = () => {
      const made = stream({
        name: 'orders',
        offsets: store,
        log: silentLog,
        batchIntervalMs: 0,
        onDataLoss,
        executor: inProcess({ concurrency: 1 }),
        listeners: [event => events.push(event)],
      })
      made
        .from(orders)
        .map(record => Number(record.value))
        .to(sinks.orders)
      return made
        .from(payments)
        .map(record => Number(record.value))
        .to(sinks.payments)
    }
    return { orders, payments, store, sinks, events, job }
  }

  test('a loss of one names its topic, and the other is read on where it is skipped', async () => {
    const here = twoSources({ removed: 'skip' })
    await (await here.job().start({ until: 'latest' })).done
    here.payments.removeTopic('payments')
    here.orders.append('orders', 0, { value: '4' })
    await (await here.job().start({ until: 'latest' })).done
    expect(here.events.flatMap(event => (event.type === 'dataLoss' ? [event.message] : []))).toEqual([
      expect.stringMatching(/^payments\/0 is gone from Kafka, and the stream has read it up to offset 4/),
    ])
    expect(here.sinks.orders.rows).toEqual([0, 1, 2, 3, 4])
    expect((await here.store.read('orders')).offsets.map(({ topic }) => topic)).toEqual(['orders'])
  })

  test('a begun batch whose topic is gone is lost data and no changed job, and its other tasks are finished', async () => {
    const failing = twoSources()
    failing.sinks.payments.failNext(new Error('crash'))
    await expect((await failing.job().start({ until: 'latest' })).done).rejects.toThrow('crash')
    failing.payments.removeTopic('payments')
    await expect((await failing.job().start({ until: 'latest' })).done).rejects.toMatchObject({
      lossCause: 'removed',
      message: expect.stringMatching(/onDataLoss: { removed: 'skip' }.* Batch 1 is begun/),
    })
    expect((await failing.store.read('orders')).pending?.id).toBe(1)

    const skipping = twoSources({ removed: 'skip' })
    skipping.sinks.payments.failNext(new Error('crash'))
    await expect((await skipping.job().start({ until: 'latest' })).done).rejects.toThrow('crash')
    skipping.payments.removeTopic('payments')
    await (await skipping.job().start({ until: 'latest' })).done
    expect(skipping.sinks.orders.rows).toEqual([0, 1, 2, 3])
    expect(skipping.sinks.payments.collected.map(({ rows }) => rows)).toEqual([[]])
    expect((await skipping.store.read('orders')).pending).toBeUndefined()
  })
})

test('a task that found a loss and is tried again tells of it once', async () => {
  const here = lossyWorld()
  appendIds(here.source, 0, 4)
  here.onEvent = event => {
    if (event.type === 'batchStarted') here.source.deleteBefore('orders', 0, 1)
  }
  here.sink.failNext(new ConnectionError('the answer got lost'), { index: 0, at: 'rows' })
  await (await declareOrders(here, { onDataLoss: 'skip' }).start({ until: 'latest' })).done
  expect(toldLosses(here.events)).toEqual(['retention orders/0 [0, 1)'])
  expect(here.sink.rows.toSorted(ascending)).toEqual([1, 2, 3])
})
