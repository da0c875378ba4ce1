import { describe, expect, test } from 'vitest'
import type { TaskGroup } from '../../../src/core/executor.ts'
import { type Pack, shareGroups } from '../../../src/core/share-groups.ts'

function group(partition: number, rest: { readonly bytes?: number; readonly offsets?: number } = {}): TaskGroup {
  const range = { topic: 'orders', partition, fromOffset: 0, untilOffset: rest.offsets ?? 10 }
  const task = { stream: 's', batchId: 1, epoch: 1, index: partition, range, batchTime: 0, output: 'out', attempt: String(partition) }
  const onDataLoss = { retention: 'fail', truncation: 'fail', recreated: 'fail', removed: 'fail' } as const
  const weighed = rest.bytes !== undefined && { estimatedBytes: rest.bytes }
  return { range, ...weighed, isolation: 'read_committed', timeoutMs: 1, onDataLoss, onRecordError: 'fail', tasks: [task] }
}

const partitionsOf = (packs: readonly Pack[], place?: string) =>
  packs.filter(pack => place === undefined || pack.place === place).map(({ groups }) => groups.map(({ range }) => range.partition))
const spread = (count: number, bytes = 1_000_000) => Array.from({ length: count }, (_, at) => group(at, { bytes }))

test('a batch of ten thousand small ranges is a few packs a slot', () => {
  const packs = shareGroups(spread(10_000, 500), [
    { id: 'a', slots: 4 },
    { id: 'b', slots: 4 },
  ])
  expect(packs).toHaveLength(24)
  for (const { groups } of packs) expect(groups.length).toBeGreaterThan(380)
})

test('fewer groups than packs go one by one', () => {
  const packs = shareGroups(spread(5), [{ id: 'a', slots: 4 }])
  expect(partitionsOf(packs)).toEqual([[0], [1], [2], [3], [4]])
})

test('a place gets by its slots', () => {
  const packs = shareGroups(spread(40), [
    { id: 'small', slots: 1 },
    { id: 'large', slots: 3 },
  ])
  expect([partitionsOf(packs, 'small').flat().length, partitionsOf(packs, 'large').flat().length]).toEqual([10, 30])
})

test('the heaviest ranges go out first, and each to where the least is', () => {
  const packs = shareGroups(
    [group(0, { bytes: 1_000 }), group(1, { bytes: 9_000_000 }), group(2, { bytes: 3_000_000 }), group(3, { bytes: 5_000_000 })],
    [
      { id: 'a', slots: 1 },
      { id: 'b', slots: 1 },
    ],
  )
  expect([partitionsOf(packs, 'a'), partitionsOf(packs, 'b')]).toEqual([[[1]], [[3], [2], [0]]])
})

test('groups of a pack are in the order of the batch', () => {
  const weights = [3, 9, 1, 7, 5, 8].map((size, at) => group(at, { bytes: size * 1_000_000 }))
  const [pack] = shareGroups(weights, [{ id: 'a', slots: 1 }], { packsPerSlot: 1 })
  expect(pack?.groups.map(({ range }) => range.partition)).toEqual([0, 1, 2, 3, 4, 5])
})

test('a range that nobody has weighed weighs by its offsets', () => {
  const packs = shareGroups(
    [group(0, { offsets: 10 }), group(1, { offsets: 1_000_000 }), group(2, { offsets: 10 })],
    [
      { id: 'a', slots: 1 },
      { id: 'b', slots: 1 },
    ],
  )
  expect([partitionsOf(packs, 'a').flat(), partitionsOf(packs, 'b').flat()]).toEqual([[1], [0, 2]])
})

test('no pack has more groups than may be, though it takes more packs than slots want', () => {
  const packs = shareGroups(spread(100), [{ id: 'a', slots: 1 }], { maxGroups: 7 })
  expect(packs).toHaveLength(15)
  expect(Math.max(...packs.map(({ groups }) => groups.length))).toBe(7)
})

test('without a place, or with places that have no slot, there are no packs', () => {
  expect(shareGroups(spread(3), [])).toEqual([])
  expect(shareGroups(spread(3), [{ id: 'a', slots: 0 }])).toEqual([])
  expect(shareGroups([], [{ id: 'a', slots: 1 }])).toEqual([])
})

describe('a partition', () => {
  const places = [
    { id: 'a', slots: 2 },
    { id: 'b', slots: 2 },
    { id: 'c', slots: 2 },
  ]

  test('stays where it was read last, batch after batch, though weights change', () => {
    const homes = new Map<number, string>()
    const read = (sizes: readonly number[]) => {
      const packs = shareGroups(
        sizes.map((bytes, at) => group(at, { bytes })),
        places,
        { lastPlaceOf: ({ range }) => homes.get(range.partition) },
      )
      for (const { place, groups } of packs) for (const { range } of groups) homes.set(range.partition, place)
      return new Map(homes)
    }
    const sizes = Array.from({ length: 30 }, (_, at) => 1_000_000 + at * 1_000)
    const first = read(sizes)
    expect(read(sizes.map((bytes, at) => bytes + ((at * 7_919) % 50_000)))).toEqual(first)
    expect(read(sizes.toReversed())).toEqual(first)
  })

  test('stays also where there are fewer partitions than slots, each of which is more than a share', () => {
    const homes = ['c', 'b']
    for (const sizes of [
      [5, 9],
      [9, 5],
    ]) {
      const packs = shareGroups(
        sizes.map((size, at) => group(at, { bytes: size * 1_000_000 })),
        places,
        { lastPlaceOf: ({ range }) => homes[range.partition] },
      )
      expect([partitionsOf(packs, 'c'), partitionsOf(packs, 'b')]).toEqual([[[0]], [[1]]])
    }
  })

  test('moves from a place that has its share to one that came later', () => {
    const packs = shareGroups(spread(40), [...places, { id: 'new', slots: 2 }], {
      lastPlaceOf: ({ range }) => ['a', 'b', 'c'][range.partition % 3],
    })
    expect(partitionsOf(packs, 'new').flat().length).toBeGreaterThan(0)
    for (const { id } of places) {
      const kept = partitionsOf(packs, id)
        .flat()
        .filter(partition => ['a', 'b', 'c'][partition % 3] === id)
      expect(kept.length).toBeGreaterThanOrEqual(10)
    }
  })

  test('of a place that has gone goes to another', () => {
    const packs = shareGroups(spread(6), places, { lastPlaceOf: () => 'gone' })
    expect(partitionsOf(packs).flat().sort()).toEqual([0, 1, 2, 3, 4, 5])
  })
})
