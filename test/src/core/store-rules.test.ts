import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Lease } from '../../../src/core/offset-store.ts'
import {
  checkAcquire,
  checkBegin,
  checkCommit,
  checkLive,
  checkReset,
  HISTORY_KEPT,
  isLive,
  positionsAfter,
  resetEntries,
  type StreamHead,
  trimBelow,
} from '../../../src/core/store-rules.ts'
import type { Batch, OffsetRange } from '../../../src/core/values.ts'

const head: StreamHead = {
  streamId: 'a1',
  epoch: 8,
  lease: { owner: 'first', renewedAtMs: 1_000, ttlMs: 100 },
  lastBatchId: 6,
  lastCommittedId: 5,
  lastSeq: 20,
  retired: undefined,
}
const lease: Lease = { stream: 'orders', owner: 'first', epoch: 8, streamId: 'a1', ttlMs: 100 }
const range = (partition: number, fromOffset: number, untilOffset: number): OffsetRange => ({
  topic: 'orders',
  partition,
  fromOffset,
  untilOffset,
})
const batch = (ranges: readonly OffsetRange[], id = 7): Batch => ({ id, batchTime: 1, epoch: 8, ranges })

/** The message and the code of what `call` throws. */
function refusal(call: () => unknown): { readonly code: unknown; readonly message: string } {
  try {
    call()
  } catch (error) {
    const { code, message } = error as Error & { code?: unknown }
    return { code, message }
  }
  return expect.fail('it was accepted')
}

describe('a lease', () => {
  const acquire = (nowMs: number, owner = 'second', steal = false, of = head) => checkAcquire(of, { stream: 'orders', owner, nowMs, steal })

  test('keeps others away until it ends, and its own owner and a thief never', () => {
    expect(refusal(() => acquire(1_099))).toEqual({
      code: 'LEASE_HELD',
      message:
        'orders is driven by first (epoch 8), whose lease ends in 1 ms unless it is renewed. ' +
        'Wait for that, stop it, or take the stream over (steal, or --steal).',
    })
    expect(acquire(1_100)).toBe(9)
    expect(acquire(1_000, 'first')).toBe(9)
    expect(acquire(1_000, 'second', true)).toBe(9)
    expect(acquire(1_000, 'second', false, { ...head, lease: undefined })).toBe(9)
    expect(checkAcquire(undefined, { stream: 'orders', owner: 'second', nowMs: 1_000, steal: false })).toBe(1)
  })

  test('that was renewed in the future by more than its length has lapsed', () => {
    expect(refusal(() => acquire(901)).code).toBe('LEASE_HELD')
    expect(acquire(900)).toBe(9)
  })

  test('of a retired stream is never granted', () => {
    const retired = { ...head, lease: undefined, retired: 'moved to postgres' }
    expect(refusal(() => acquire(9_999, 'second', true, retired))).toEqual({
      code: 'CONFLICT',
      message: 'orders was retired and can only be read: moved to postgres',
    })
  })

  test('that is dead says why', () => {
    const dead = (of: StreamHead | undefined, held: Partial<Lease> = {}) => {
      expect(isLive(of, { ...lease, ...held })).toBe(false)
      const { code, message } = refusal(() => checkLive(of, { ...lease, ...held }, 'Commit of batch 7'))
      expect(code).toBe('FENCED')
      return message
    }
    expect(dead(head, { epoch: 7 })).toBe(
      'Commit of batch 7 of orders refused: it carries epoch 7, the store is at 8. Another driver took over; this one stops.',
    )
    expect(dead(head, { epoch: 9 })).toContain('The store was rolled back or replaced')
    expect(dead(head, { owner: 'second' })).toContain('epoch 8 was granted to first, not to second')
    expect(dead(head, { streamId: 'b2' })).toContain('removed and made again')
    expect(dead({ ...head, lease: undefined })).toContain('was released')
    expect(dead({ ...head, lease: undefined, retired: 'moved' })).toContain('retired: moved')
    expect(dead(undefined)).toContain('has no stream of this name')
  })

  test('that lapsed is alive as long as nobody took it', () => {
    expect(checkLive(head, lease, 'Renewal')).toBe(head)
    expect(isLive(head, lease)).toBe(true)
  })
})

describe('begin', () => {
  const begin = (begun: Batch, pending?: Batch) => checkBegin(head, pending, 'orders', begun, at => (at.partition === 3 ? 120 : undefined))

  test('says what was expected and what came', () => {
    expect(refusal(() => begin(batch([range(3, 130, 180)])))).toEqual({
      code: 'CONFLICT',
      message:
        'Begin of batch 7 of orders refused: orders/3 [130, 180) must go on at 120, for the committed offset is 120. Read the stream and plan again.',
    })
    expect(refusal(() => begin(batch([range(3, 120, 150), range(3, 151, 180)]))).message).toContain(
      'orders/3 [151, 180) must go on at 150, for the range before it ends at 150',
    )
    expect(refusal(() => begin(batch([], 9))).message).toBe(
      'Begin of batch 9 of orders refused: the next batch is 7. Read the stream again.',
    )
    expect(refusal(() => begin(batch([range(0, 5, 5)]))).message).toContain('orders/0 [5, 5) holds no offset')
  })

  test('looks at a pending batch before the id, and at the id before the ranges', () => {
    const pending = batch([range(3, 120, 130)])
    expect(refusal(() => begin(batch([range(3, 1, 1)], 99), pending)).message).toContain('batch 7 was begun and is not committed')
    expect(refusal(() => begin(batch([range(3, 1, 2)]), pending)).message).toContain('batch 7 was begun with other ranges, time or facts')
    expect(refusal(() => begin(batch([range(3, 1, 1)], 99))).message).toContain('the next batch is 7')
  })

  test('accepts any split that tiles, and refuses it once a boundary is moved', () => {
    const cuts = fc.uniqueArray(fc.integer({ min: 121, max: 1_000 }), { minLength: 2, maxLength: 20 }).map(at => at.sort((a, b) => a - b))
    const tile = (ends: readonly number[]) => ends.map((end, n) => range(3, ends[n - 1] ?? 120, end))
    fc.assert(
      fc.property(cuts, fc.nat(), (ends, pick) => {
        const tiles = tile(ends)
        expect(begin(batch(tiles))).toBe('begin')
        expect(positionsAfter(tiles)).toEqual([{ topic: 'orders', partition: 3, offset: ends.at(-1) }])
        const moved = tiles.map((one, n) => (n === pick % tiles.length ? { ...one, fromOffset: one.fromOffset - 1 } : one))
        expect(refusal(() => begin(batch(moved))).code).toBe('CONFLICT')
      }),
    )
  })

  test('finds the very batch again whatever the order of keys in its facts', () => {
    const pending = { ...batch([range(3, 120, 130)]), facts: { a: { x: 1, y: [1, 2] }, b: null } }
    expect(begin({ ...pending, epoch: 99, facts: { b: null, a: { y: [1, 2], x: 1 } } }, pending)).toBe('begun')
    expect(refusal(() => begin({ ...pending, facts: { a: { x: 1, y: [2, 1] }, b: null } }, pending)).code).toBe('CONFLICT')
  })
})

describe('commit', () => {
  test('gives the pending batch, nothing for the last committed one, and refuses any other', () => {
    const pending = batch([range(3, 120, 130)])
    expect(checkCommit(head, pending, 'orders', 7)).toBe(pending)
    expect(checkCommit(head, pending, 'orders', 5)).toBeUndefined()
    expect(checkCommit(head, undefined, 'orders', 5)).toBeUndefined()
    expect(refusal(() => checkCommit(head, pending, 'orders', 6)).message).toBe(
      'Commit of batch 6 of orders refused: batch 7 is the one begun. Read the stream again.',
    )
    expect(refusal(() => checkCommit(head, undefined, 'orders', 7)).message).toContain('none is begun, and the last committed is 5')
    expect(refusal(() => checkCommit({ ...head, lastCommittedId: 0 }, undefined, 'orders', 0)).code).toBe('CONFLICT')
  })
})

describe('reset', () => {
  const stamp = { seq: 21, at: 5, epoch: 8 }
  const offsets = [{ topic: 'orders', partition: 0, offset: 9 }]
  const forget = [{ topic: 'orders', partition: 1 }]
  const pending = batch([range(3, 120, 130)])

  test('writes the discarded batch first and the new positions after it', () => {
    const plan = checkReset(pending, 'orders', offsets, { reason: 'retention', discard: true, forget })
    expect(resetEntries(plan, stamp)).toEqual([
      { ...stamp, kind: 'discard', reason: 'retention', batch: pending },
      { ...stamp, seq: 22, kind: 'reset', reason: 'retention', offsets, forgotten: forget },
    ])
  })

  test('is a start where the reason says so, unless it forgets, which only a reset can say', () => {
    expect(resetEntries(checkReset(undefined, 'orders', offsets, { reason: 'start' }), stamp)).toEqual([
      { ...stamp, kind: 'start', offsets },
    ])
    expect(resetEntries(checkReset(undefined, 'orders', offsets, { reason: 'start', forget }), stamp)).toEqual([
      { ...stamp, kind: 'reset', reason: 'start', offsets, forgotten: forget },
    ])
    expect(resetEntries(checkReset(undefined, 'orders', [], { reason: 'start' }), stamp)).toEqual([])
  })

  test('names the batch that is in its way', () => {
    expect(refusal(() => checkReset(pending, 'orders', offsets, {})).message).toBe(
      'Reset of orders refused: batch 7 is begun and not committed. Finish it, or discard it.',
    )
  })
})

test('the history is trimmed once in a thousand entries, and only beyond what is kept', () => {
  expect(trimBelow(HISTORY_KEPT - 1, HISTORY_KEPT)).toBeUndefined()
  expect(trimBelow(HISTORY_KEPT + 998, HISTORY_KEPT + 999)).toBeUndefined()
  expect(trimBelow(HISTORY_KEPT + 999, HISTORY_KEPT + 1_000)).toBe(1_001)
  // A reset with a discard writes two entries and may step over the boundary.
  expect(trimBelow(HISTORY_KEPT + 999, HISTORY_KEPT + 1_001)).toBe(1_002)
  expect(trimBelow(HISTORY_KEPT + 1_000, HISTORY_KEPT + 1_001)).toBeUndefined()
})
