import fc from 'fast-check'
import { expect, test } from 'vitest'
import { ByteBudget } from '../../../../connectors/kafka/source/byte-budget.ts'

test('what fits is given at once, and the rest in the order of asking', async () => {
  const budget = new ByteBudget(10)
  await budget.take(6)
  const order: string[] = []
  const large = budget.take(8).then(() => order.push('large'))
  const small = budget.take(1).then(() => order.push('small'))
  expect(budget.tryTake(1)).toBe(false)
  budget.give(6)
  await Promise.all([large, small])
  expect(order).toEqual(['large', 'small'])
  expect(budget.used).toBe(9)
})

test('what is larger than all of it fits when nothing else is held', async () => {
  const budget = new ByteBudget(10)
  await budget.take(50)
  expect(budget.tryTake(1)).toBe(false)
  budget.give(50)
  expect(budget.tryTake(1)).toBe(true)
})

test('who gives up leaves the queue, and lets those behind go', async () => {
  const budget = new ByteBudget(10)
  await budget.take(8)
  const abort = new AbortController()
  const first = budget.take(9, abort.signal)
  const second = budget.take(2)
  const reason = new Error('enough')
  abort.abort(reason)
  await expect(first).rejects.toBe(reason)
  await second
  expect(budget.used).toBe(10)
})

test('whatever is taken and given, no more than the budget is held, or one thing that is larger', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.integer({ min: 1, max: 15 }), { minLength: 1, maxLength: 30 }), async sizes => {
      const budget = new ByteBudget(10)
      const held: number[] = []
      const takes = sizes.map(async size => {
        await budget.take(size)
        held.push(size)
        expect(budget.used <= 10 || held.length === 1).toBe(true)
        // Others get a turn while this is held.
        await Promise.resolve()
        held.splice(held.indexOf(size), 1)
        budget.give(size)
      })
      await Promise.all(takes)
      expect(budget.used).toBe(0)
    }),
  )
})
