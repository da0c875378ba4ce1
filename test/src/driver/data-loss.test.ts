import { describe, expect, test } from 'vitest'
import type { DataLossCause } from '../../../src/core/errors.ts'
import type { StreamEvent } from '../../../src/core/events.ts'
import type { MemorySource } from '../../../src/testing/index.ts'
import { appendIds, declareOrders, existing, historyOf, type LossyWorld, lossyWorld, showMissing, toldLosses } from './lossy-world.ts'

type Damage = {
  readonly what: string
  /** What must be allowed for the stream to go on; the first is what a stream that fails names. */
  readonly causes: readonly DataLossCause[]
  readonly inflict: (source: MemorySource) => void
}

/** Damage to `orders` of ids 0 to 9, five a partition; what is there afterwards has other ids. */
const DAMAGES = {
  retention: { what: 'retention took its beginning', causes: ['retention'], inflict: source => source.deleteBefore('orders', 0, 3) },
  cut: { what: 'its log was cut', causes: ['truncation'], inflict: source => source.truncate('orders', 0, 1) },
  grown: {
    what: 'its log was cut and has grown again',
    causes: ['truncation'],
    inflict: source => {
      source.truncate('orders', 0, 1)
      for (let id = 100; id < 108; id += 1) source.append('orders', 0, { value: String(id) })
    },
  },
  recreated: {
    what: 'it was made again',
    causes: ['recreated'],
    inflict: source => {
      source.createTopic('orders', 2)
      appendIds(source, 200, 216)
    },
  },
  fewer: {
    what: 'it was made again with fewer partitions',
    causes: ['recreated', 'removed'],
    inflict: source => {
      source.createTopic('orders', 1)
      for (let id = 300; id < 303; id++) source.append('orders', 0, { value: String(id) })
    },
  },
  removed: { what: 'it is gone', causes: ['removed'], inflict: source => source.removeTopic('orders') },
} satisfies Record<string, Damage>
type DamageName = keyof typeof DAMAGES

/** Where a loss is met. Each gives a world in which the next start, or the run under way, meets the damage. */
const PLACES = {
  /** Two of five records are read; the stream is down while it happens. */
  'while it was down': async (here: LossyWorld, damage: Damage) => {
    const offsets = [0, 1].map(partition => ({ topic: 'orders', partition, offset: 2 }))
    await (await declareOrders(here).start({ until: { at: 'exact', offsets } })).done
    damage.inflict(here.source)
  },
  /** Two of five records are read; the planner has seen all five. */
  'between two batches': async (here: LossyWorld, damage: Damage) => {
    here.onEvent = once('batchCompleted', () => damage.inflict(here.source))
  },
  /** The first batch is [0, 2) of each partition, and nothing of it is read yet. */
  'before its tasks read': async (here: LossyWorld, damage: Damage) => {
    here.onEvent = once('batchStarted', () => damage.inflict(here.source))
  },
  /** The first batch is begun, its first task failed, and its records are gone before the next start. */
  'while a batch of it was begun': async (here: LossyWorld, damage: Damage) => {
    here.sink.failNext(new Error('crash'), { index: 0 })
    await expect((await declareOrders(here).start({ until: 'latest' })).done).rejects.toThrow('crash')
    damage.inflict(here.source)
  },
} satisfies Record<string, (here: LossyWorld, damage: Damage) => Promise<void>>
type Place = keyof typeof PLACES

function once(type: StreamEvent['type'], call: () => void): (event: StreamEvent) => void {
  let isDone = false
  return event => {
    if (isDone || event.type !== type) return
    isDone = true
    call()
  }
}

/** What is missing, by damage and place: of `fail` the first, in the order found; of `skip` all that is told, each once. */
const MISSING: Record<Place, Record<DamageName, readonly string[]>> = {
  'while it was down': {
    retention: ['retention orders/0 [2, 3)'],
    cut: ['truncation orders/0 [1, 2)'],
    grown: ['truncation orders/0 [1, 2)'],
    // Of a log that is gone nobody knows how long it was.
    recreated: [],
    fewer: [],
    removed: [],
  },
  'between two batches': {
    // By a task: first offsets are not asked for at each planning.
    retention: ['retention orders/0 [2, 3)'],
    cut: ['truncation orders/0 [1, 5)'],
    grown: ['truncation orders/0 [1, 5)'],
    recreated: ['recreated orders/0 [2, 5)', 'recreated orders/1 [2, 5)'],
    fewer: ['recreated orders/0 [2, 5)', 'removed orders/1 [2, 5)'],
    removed: ['removed orders/0 [2, 5)', 'removed orders/1 [2, 5)'],
  },
  'before its tasks read': {
    retention: ['retention orders/0 [0, 2)', 'retention orders/0 [2, 3)'],
    cut: ['truncation orders/0 [1, 2)', 'truncation orders/0 [2, 5)'],
    grown: ['truncation orders/0 [1, 2)', 'truncation orders/0 [2, 5)'],
    recreated: ['recreated orders/0 [0, 2)', 'recreated orders/0 [2, 5)', 'recreated orders/1 [0, 2)', 'recreated orders/1 [2, 5)'],
    fewer: ['recreated orders/0 [0, 2)', 'recreated orders/0 [2, 5)', 'removed orders/1 [0, 2)', 'removed orders/1 [2, 5)'],
    removed: ['removed orders/0 [0, 2)', 'removed orders/0 [2, 5)', 'removed orders/1 [0, 2)', 'removed orders/1 [2, 5)'],
  },
  'while a batch of it was begun': {
    retention: ['retention orders/0 [0, 2)', 'retention orders/0 [2, 3)'],
    cut: ['truncation orders/0 [1, 2)'],
    grown: ['truncation orders/0 [1, 2)'],
    recreated: ['recreated orders/0 [0, 2)', 'recreated orders/1 [0, 2)'],
    fewer: ['recreated orders/0 [0, 2)', 'removed orders/1 [0, 2)'],
    removed: ['removed orders/0 [0, 2)', 'removed orders/1 [0, 2)'],
  },
}

const CASES = (Object.keys(PLACES) as Place[]).flatMap(place => (Object.keys(DAMAGES) as DamageName[]).map(name => ({ place, name })))

describe.each(CASES)('$name $place', ({ place, name }) => {
  const damage: Damage = DAMAGES[name]
  const expected = MISSING[place][name]
  const isByTask =
    place === 'before its tasks read' ||
    place === 'while a batch of it was begun' ||
    (place === 'between two batches' && name === 'retention')

  test('fails with its cause and what is missing, and commits nothing more', async () => {
    const here = lossyWorld()
    appendIds(here.source, 0, 10)
    await PLACES[place](here, damage)
    const error: unknown = await declareOrders(here)
      .start({ until: 'latest' })
      .then(run => run.done)
      .then(
        () => undefined,
        failure => failure,
      )
    const cause =
      isByTask && name === 'fewer' ? expect.stringMatching(/recreated|removed/) : expect.stringMatching(new RegExp(damage.causes.join('|')))
    expect(error).toMatchObject({ code: 'DATA_LOSS', lossCause: cause, details: { topic: 'orders', partition: expect.any(Number), cause } })
    const { lossCause, missing, message } = error as { lossCause: DataLossCause; missing: never[]; message: string }
    expect(message).toContain(`set onDataLoss: { ${lossCause}: 'skip' }`)
    expect(message).toContain('orders')
    if (isByTask) expect(message).toMatch(/Batch \d+ is begun and not committed/)
    const told = showMissing(lossCause, missing)
    if (expected.length > 0) expect(expected).toEqual(expect.arrayContaining(told))
    expect(told).toHaveLength(expected.length > 0 ? 1 : 0)
    const state = await here.store.read('orders')
    const committed = place === 'while it was down' || place === 'between two batches' ? 2 : 0
    expect(state.offsets.map(({ offset }) => offset)).toEqual([committed, committed])
    expect(state.pending !== undefined).toBe(isByTask)
    expect((await historyOf(here.store)).some(({ kind }) => kind === 'reset')).toBe(false)
    expect(here.events.at(-1)).toMatchObject({ type: 'streamStopped', reason: 'failed' })
  })

  test('is skipped where that is the policy for its causes: told once, written into the history, and all that is left is read once', async () => {
    const here = lossyWorld()
    appendIds(here.source, 0, 10)
    await PLACES[place](here, damage)
    const onDataLoss = Object.fromEntries(damage.causes.map(cause => [cause, 'skip']))
    const job = () => declareOrders(here, { onDataLoss })
    await (await job().start({ until: 'latest' })).done
    // A run with an end does not read on in a log that was made again while it ran.
    await (await job().start({ until: 'latest' })).done

    expect(toldLosses(here.events)).toEqual(expected)
    expect(here.events.filter(event => event.type === 'dataLoss').length).toBeGreaterThan(0)
    const there = await existing(here.source)
    const rows = here.sink.rows.toSorted((a, b) => a - b)
    expect(new Set(rows).size).toBe(rows.length)
    expect(rows).toEqual(expect.arrayContaining(there))

    const history = await historyOf(here.store)
    const reasons = new Set(history.flatMap(entry => (entry.kind === 'reset' ? [entry.reason] : [])))
    expect(reasons).toEqual(new Set(damage.causes))
    const state = await here.store.read('orders')
    expect(state.pending).toBeUndefined()
    const ends = (await here.source.latestOffsets()).map(({ partition, offset, topicId }) => ({ partition, offset, topicId }))
    expect(state.offsets.map(({ partition, offset, topicId }) => ({ partition, offset, topicId }))).toEqual(ends)
  })
})
