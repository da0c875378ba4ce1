import { setImmediate } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { shareRows } from '../../../src/core/share-rows.ts'
import { ManualClock } from '../../../src/testing/index.ts'

function counted(arrays: number) {
  const state = { given: 0, closed: false }
  async function* rows(): AsyncGenerator<readonly number[]> {
    try {
      while (state.given < arrays) {
        state.given += 1
        yield [state.given]
      }
    } finally {
      state.closed = true
    }
  }
  return { state, rows: rows() }
}

async function drain(rows: AsyncIterable<readonly unknown[]>): Promise<unknown[]> {
  return (await Array.fromAsync(rows)).flat()
}

test('every reader gets every array from one read', async () => {
  const { state, rows } = counted(5)
  const { branches } = shareRows(rows, 3)
  expect(await Promise.all(branches.map(drain))).toEqual([
    [1, 2, 3, 4, 5],
    [1, 2, 3, 4, 5],
    [1, 2, 3, 4, 5],
  ])
  expect(state.given).toBe(5)
})

test('a slow reader holds the others back, so that nothing is buffered', async () => {
  const { state, rows } = counted(10)
  const { branches } = shareRows(rows, 2)
  const [quick, slow] = branches.map(branch => branch[Symbol.asyncIterator]())
  await Promise.all([quick?.next(), slow?.next()])
  const ahead = quick?.next()
  for (let turn = 0; turn < 20; turn++) await setImmediate()
  expect(state.given).toBe(1)
  await slow?.next()
  expect((await ahead)?.value).toEqual([2])
})

test('a reader that leaves, even before it began, does not hold the others up', async () => {
  const { rows } = counted(3)
  const { branches, leave } = shareRows(rows, 3)
  const all = Promise.all([drain(branches[0] as never), drain(branches[1] as never)])
  leave(2)
  expect(await all).toEqual([
    [1, 2, 3],
    [1, 2, 3],
  ])
})

test('the read is closed when the last reader has left', async () => {
  const { state, rows } = counted(10)
  const { branches, leave } = shareRows(rows, 2)
  const first = (branches[0] as AsyncIterable<unknown>)[Symbol.asyncIterator]()
  leave(1)
  await first.next()
  expect(state.closed).toBe(false)
  await first.return?.()
  for (let turn = 0; turn < 5; turn++) await setImmediate()
  expect(state.closed).toBe(true)
})

test('an error of the read reaches every reader', async () => {
  async function* broken(): AsyncGenerator<readonly number[]> {
    yield [1]
    throw new Error('the broker is gone')
  }
  const { branches } = shareRows(broken(), 2)
  const outcomes = await Promise.allSettled(branches.map(drain))
  expect(outcomes.map(outcome => outcome.status === 'rejected' && outcome.reason.message)).toEqual([
    'the broker is gone',
    'the broker is gone',
  ])
})

describe('with patience', () => {
  function patient(readers: number, maxWaitMs = 1_000) {
    const clock = new ManualClock()
    const { state, rows } = counted(6)
    const resumed: number[] = []
    const resume = (reader: number): AsyncIterable<readonly unknown[]> => {
      resumed.push(reader)
      const from = state.given
      return (async function* () {
        for (let at = from + 1; at <= 6; at++) yield [at]
      })()
    }
    return { clock, state, resumed, ...shareRows(rows, readers, { clock, maxWaitMs, resume }) }
  }

  test('a reader that keeps the others waiting for too long goes on alone, with every row once', async () => {
    const { clock, branches, resumed } = patient(3)
    const slow = branches[2]?.[Symbol.asyncIterator]()
    const others = Promise.all([drain(branches[0] as never), drain(branches[1] as never)])
    const first = await slow?.next()
    await clock.untilSleeping()
    await clock.advance(999)
    expect(resumed).toEqual([])
    await clock.advance(1)
    expect(await others).toEqual([
      [1, 2, 3, 4, 5, 6],
      [1, 2, 3, 4, 5, 6],
    ])
    const rest = await drain({ [Symbol.asyncIterator]: () => slow as AsyncIterator<readonly unknown[]> })
    expect([...(first?.value ?? []), ...rest]).toEqual([1, 2, 3, 4, 5, 6])
    expect(resumed).toEqual([2])
    expect(clock.sleeping).toBe(0)
  })

  test('one that never began is left behind too, and has its rows when it begins', async () => {
    const { clock, branches } = patient(2)
    const quick = drain(branches[0] as never)
    await clock.untilSleeping()
    await clock.advance(1_000)
    expect(await quick).toHaveLength(6)
    expect(await drain(branches[1] as never)).toEqual([1, 2, 3, 4, 5, 6])
  })

  test('many short waits count like a long one', async () => {
    const { clock, branches, resumed } = patient(2)
    const quick = drain(branches[0] as never)
    const slow = branches[1]?.[Symbol.asyncIterator]()
    for (let turn = 0; turn < 3; turn++) {
      await clock.untilSleeping()
      await clock.advance(300)
      await slow?.next()
    }
    expect(resumed).toEqual([])
    await clock.advance(100)
    expect(resumed).toEqual([1])
    expect(await quick).toHaveLength(6)
  })

  test('one whose rows cannot be had again is waited for', async () => {
    const clock = new ManualClock()
    const { rows } = counted(3)
    const { branches } = shareRows(rows, 2, { clock, maxWaitMs: 1_000, resume: () => undefined })
    const quick = drain(branches[0] as never)
    await clock.untilSleeping()
    await clock.advance(5_000)
    expect(await drain(branches[1] as never)).toEqual([1, 2, 3])
    expect(await quick).toEqual([1, 2, 3])
    expect(clock.sleeping).toBe(0)
  })

  test.for([
    ['one whose rows cannot be had again', undefined],
    ['one beside another that has used up most of its time', 900],
  ] as const)('nobody looks again and again at %s', async ([, usedUpMs]) => {
    const clock = new ManualClock()
    let timers = 0
    const counting = Object.assign(Object.create(clock) as ManualClock, {
      monotonic: () => clock.monotonic(),
      after: (...args: Parameters<typeof clock.after>) => {
        timers += 1
        return clock.after(...args)
      },
    })
    const { rows } = counted(4)
    const { branches } = shareRows(rows, 3, { clock: counting, maxWaitMs: 1_000, resume: () => undefined })
    const [quick, late, slow] = branches.map(branch => branch[Symbol.asyncIterator]())
    const others = [quick?.next(), slow?.next()]
    if (usedUpMs !== undefined) await clock.advance(usedUpMs)
    await Promise.all([...others, late?.next()])
    const waiting = [quick?.next(), late?.next()]
    for (let ms = 0; ms < 5_000; ms++) await clock.advance(1)
    expect((await Promise.all([...waiting, slow?.next()])).map(result => result?.value)).toEqual([[2], [2], [2]])
    expect(timers).toBeLessThan(10)
    for (const reader of [quick, late, slow]) await reader?.return?.()
    expect(clock.sleeping).toBe(0)
  })

  test('one that has waited long beside a slower one is still left behind when its own time is over', async () => {
    const { clock, branches, resumed } = patient(3)
    const [quick, late, slow] = branches.map(branch => branch[Symbol.asyncIterator]())
    const first = [quick?.next(), slow?.next()]
    await clock.advance(900)
    await Promise.all([...first, late?.next()])
    // Now the other is waited for, so far that a look at it alone would come much later.
    const second = [quick?.next(), late?.next()]
    await clock.advance(150)
    await Promise.all([...second, slow?.next()])
    void quick?.next()
    void slow?.next()
    await clock.advance(99)
    expect(resumed).toEqual([])
    await clock.advance(1)
    expect(resumed).toEqual([1])
    for (const reader of [quick, late, slow]) await reader?.return?.()
    expect(clock.sleeping).toBe(0)
  })

  test('readers in step are never left behind, however long the read takes', async () => {
    const { clock, branches, resumed } = patient(2, 10)
    const readers = branches.map(branch => branch[Symbol.asyncIterator]())
    for (let at = 1; at <= 6; at++) {
      expect((await Promise.all(readers.map(reader => reader.next()))).map(({ value }) => value)).toEqual([[at], [at]])
      await clock.advance(100)
    }
    expect(resumed).toEqual([])
  })
})
