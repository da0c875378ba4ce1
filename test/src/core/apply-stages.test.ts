import { setImmediate } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { applyStages } from '../../../src/core/apply-stages.ts'
import { ConnectionError } from '../../../src/core/errors.ts'
import type { RangeContext, Stage } from '../../../src/core/runnable-job.ts'

const RANGE: RangeContext = {
  stream: 'orders',
  batchId: 7,
  epoch: 1,
  index: 0,
  range: { topic: 'orders', partition: 3, fromOffset: 100, untilOffset: 200 },
  batchTime: 0,
}

type Row = { readonly offset: number }

async function* arraysOf(count: number, size: number): AsyncGenerator<readonly Row[]> {
  for (let first = 0; first < count; first += size) {
    yield Array.from({ length: Math.min(size, count - first) }, (_, at) => ({ offset: 100 + first + at }))
  }
}

function stage(kind: 'map' | 'filter' | 'flatMap', apply: (row: never) => unknown, concurrency = 16): Stage {
  return { kind, apply, concurrency, label: `${kind} (${apply.name})` }
}

async function collect(stages: readonly Stage[], rows: AsyncIterable<readonly unknown[]> = arraysOf(10, 4)): Promise<unknown[]> {
  return (await Array.fromAsync(applyStages(rows, stages, RANGE))).flat()
}

const offsetOf = stage('map', ({ offset }: Row) => offset)

test('stages without a promise run in order, each row through all of them', async () => {
  const stages = [offsetOf, stage('filter', (offset: number) => offset % 2 === 0), stage('flatMap', (offset: number) => [offset, -offset])]
  expect(await collect(stages)).toEqual([100, -100, 102, -102, 104, -104, 106, -106, 108, -108])
})

test('an array of which nothing is left is not given on', async () => {
  const given = await Array.fromAsync(applyStages(arraysOf(8, 4), [stage('filter', ({ offset }: Row) => offset >= 104)], RANGE))
  expect(given).toHaveLength(1)
})

describe('an asynchronous function', () => {
  test('keeps the order of rows, however long each takes', async () => {
    const slow = stage('map', async (offset: number) => {
      for (let turn = 0; turn < (offset * 7) % 5; turn++) await setImmediate()
      return offset
    })
    expect(await collect([offsetOf, slow])).toEqual(Array.from({ length: 10 }, (_, at) => 100 + at))
  })

  test('works on no more rows at a time than its concurrency', async () => {
    let running = 0
    let most = 0
    const counted = stage(
      'map',
      async (offset: number) => {
        running += 1
        most = Math.max(most, running)
        await setImmediate()
        running -= 1
        return offset
      },
      3,
    )
    await collect([offsetOf, counted], arraysOf(50, 25))
    expect(most).toBe(3)
  })

  test('may stand anywhere between others, and give promises for some rows only', async () => {
    const stages = [
      offsetOf,
      stage('filter', (offset: number) => (offset % 2 === 0 ? Promise.resolve(true) : offset === 105)),
      stage('flatMap', (offset: number) => (offset === 104 ? Promise.resolve([offset, offset]) : [offset])),
      stage('map', (offset: number) => (offset === 102 ? Promise.resolve('two') : offset)),
    ]
    expect(await collect(stages)).toEqual([100, 'two', 104, 104, 105, 106, 108])
  })

  test('may expand a row into an async iterable', async () => {
    const expand = stage('flatMap', async function* (offset: number) {
      yield offset
      await setImmediate()
      yield -offset
    })
    expect(await collect([offsetOf, expand], arraysOf(2, 2))).toEqual([100, -100, 101, -101])
  })
})

describe('an error of the job', () => {
  const broken = (at: number) =>
    function broken(offset: number): number {
      if (offset === at) throw new Error('no')
      return offset
    }

  test('names the record, the stage and the batch', async () => {
    await expect(collect([offsetOf, stage('map', broken(105))])).rejects.toMatchObject({
      code: 'RECORD',
      message: 'map (broken) failed on the record at orders/3 offset 105 (batch 7): no',
      details: { topic: 'orders', partition: 3, offset: 105, stage: 'map (broken)', batchId: 7 },
    })
  })

  test('names the stage of its own record where many are under way', async () => {
    const wait = stage('map', async (offset: number) => {
      await setImmediate()
      return offset
    })
    const late = stage('map', async function late(offset: number) {
      await setImmediate()
      if (offset === 103) throw new Error('late')
      return offset
    })
    await expect(collect([offsetOf, wait, stage('map', broken(-1)), late])).rejects.toMatchObject({
      message: expect.stringContaining('map (late) failed on the record at orders/3 offset 103'),
    })
  })

  test('in an iterable that a row became names the stage that made it', async () => {
    const expand = stage('flatMap', function* expand(offset: number) {
      yield offset
      if (offset === 102) throw new Error('midway')
    })
    await expect(collect([offsetOf, expand])).rejects.toMatchObject({ message: expect.stringContaining('offset 102') })
  })

  test('that is one of ours and not about a record passes as it is', async () => {
    const fails = stage('map', () => {
      throw new ConnectionError('the lookup service is away')
    })
    await expect(collect([fails])).rejects.toMatchObject({ code: 'CONNECTION', retryable: true })
  })

  test('in mapRange names the range', async () => {
    const whole: Stage = {
      kind: 'mapRange',
      label: 'mapRange (whole)',
      apply: async function* (rows) {
        for await (const array of rows) yield array
        throw new Error('at the end')
      },
    }
    await expect(collect([whole])).rejects.toMatchObject({
      code: 'RECORD',
      message: 'mapRange (whole) failed in orders/3 [100, 200) of batch 7: at the end',
    })
  })
})

test('mapRange sees the whole range, its context, and may change how many rows there are', async () => {
  const contexts: RangeContext[] = []
  const sum: Stage = {
    kind: 'mapRange',
    label: 'mapRange',
    apply: async function* (rows: AsyncIterable<readonly number[]>, range: RangeContext) {
      contexts.push(range)
      let total = 0
      for await (const array of rows) for (const offset of array) total += offset
      yield [total]
    } as never,
  }
  expect(await collect([offsetOf, sum, stage('map', (total: number) => total * 2)])).toEqual([2090])
  expect(contexts).toEqual([RANGE])
})
