import { expect, test } from 'vitest'
import type { LogBatch } from '../../../offsets/kafka/record-batch.ts'
import { TransactionFilter } from '../../../offsets/kafka/transaction-filter.ts'

let offset = 0

/** A batch of one record of this key, or the marker that ends a transaction. */
function entry(
  producerId: number,
  what: { key: string; producerEpoch?: number; isTransactional?: boolean } | { marker: 'commit' | 'abort' },
): LogBatch {
  const stamp = { lastOffset: ++offset, producerId: BigInt(producerId), appendedAtMs: offset, producerEpoch: 0, isTransactional: true }
  if ('marker' in what) return { ...stamp, marker: what.marker, records: [] }
  const { key, ...rest } = what
  return { ...stamp, marker: undefined, ...rest, records: [{ offset, appendedAtMs: offset, key: Buffer.from(key), value: null, parts: 1 }] }
}

/** The keys that have come through after each batch. */
function through(batches: readonly LogBatch[], wants = (_key: Buffer) => true): string[][] {
  const filter = new TransactionFilter(wants)
  return batches.map(batch => filter.take(batch).map(({ key }) => key.toString()))
}

test('records come through at their commit, in the order of their transactions, and aborted ones never', () => {
  const told = through([
    entry(1, { key: 'a' }),
    entry(2, { key: 'b' }),
    entry(1, { key: 'c' }),
    entry(2, { marker: 'commit' }),
    entry(3, { key: 'd' }),
    entry(1, { marker: 'commit' }),
    entry(3, { marker: 'abort' }),
    entry(3, { key: 'e' }),
    entry(3, { marker: 'commit' }),
  ])
  expect(told).toEqual([[], [], [], ['b'], [], ['a', 'c'], [], [], ['e']])
})

test('records of no transaction come through at once', () => {
  expect(through([entry(-1, { key: 'a', isTransactional: false }), entry(1, { key: 'b' })])).toEqual([['a'], []])
})

test('a transaction whose marker compaction has taken is not committed by the next one of its producer', () => {
  const told = through([entry(1, { key: 'aborted' }), entry(1, { key: 'a', producerEpoch: 1 }), entry(1, { marker: 'commit' })])
  expect(told.flat()).toEqual(['a'])
})

test('what nobody wants is not kept, and an open transaction of it is none', () => {
  const filter = new TransactionFilter(key => key.toString() === 'mine')
  filter.take(entry(1, { key: 'yours' }))
  expect(filter.open).toEqual([])
  filter.take(entry(1, { key: 'mine' }))
  expect(filter.open).toMatchObject([{ key: Buffer.from('mine') }])
  expect(filter.take(entry(1, { marker: 'commit' })).map(({ key }) => key.toString())).toEqual(['mine'])
  expect(filter.open).toEqual([])
})
