import { setImmediate } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { shareRows } from '../../../src/core/share-rows.ts'

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
