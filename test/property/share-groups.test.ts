import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { TaskGroup } from '../../src/core/executor.ts'
import { type Place, type ShareOptions, shareGroups } from '../../src/core/share-groups.ts'

/** What a range costs beside its bytes, and what an offset is taken to weigh: see the file that is tested. */
const weigh = ({ estimatedBytes, range }: TaskGroup) => (estimatedBytes ?? (range.untilOffset - range.fromOffset) * 100) + 16_384
const sum = (numbers: readonly number[]) => numbers.reduce((total, each) => total + each, 0)
const heaviest = (groups: readonly TaskGroup[]) => Math.max(0, ...groups.map(weigh))

const groups: fc.Arbitrary<TaskGroup[]> = fc
  .array(
    fc.record(
      { records: fc.nat(100_000), bytes: fc.oneof(fc.nat(1_000), fc.nat(100_000_000)) },
      { requiredKeys: ['records'], noNullPrototype: true },
    ),
    { maxLength: 60 },
  )
  .map(sizes =>
    sizes.map(({ records, bytes }, index): TaskGroup => {
      const range = { topic: 'orders', partition: index, fromOffset: 0, untilOffset: records }
      const task = { stream: 's', batchId: 1, epoch: 1, index, range, batchTime: 0, output: 'out', attempt: String(index) }
      const onDataLoss = { retention: 'fail', truncation: 'fail', recreated: 'fail', removed: 'fail' } as const
      const weighed = bytes !== undefined && { estimatedBytes: bytes }
      return { range, ...weighed, isolation: 'read_committed', timeoutMs: 1, onDataLoss, onRecordError: 'fail', tasks: [task] }
    }),
  )

const places: fc.Arbitrary<Place[]> = fc
  .array(fc.nat(5), { maxLength: 6 })
  .map(slots => slots.map((count, at): Place => ({ id: `place ${at}`, slots: count })))

const options = fc.record(
  { packsPerSlot: fc.integer({ min: 1, max: 4 }), maxGroups: fc.integer({ min: 1, max: 20 }) },
  { requiredKeys: [], noNullPrototype: true },
)

/** Where partitions were read last: nowhere, somewhere, or at a place that has gone. */
const homes = fc.array(fc.nat(8), { minLength: 60, maxLength: 60 })
const lastPlaceOf = (homes: readonly number[]) => (group: TaskGroup) => {
  const home = homes[group.range.partition] ?? 0
  return home === 0 ? undefined : `place ${home - 1}`
}

function check(run: (groups: TaskGroup[], places: Place[], options: ShareOptions) => void): void {
  fc.assert(
    fc.property(groups, places, options, homes, (all, where, how, last) => run(all, where, { ...how, lastPlaceOf: lastPlaceOf(last) })),
    { numRuns: 400 },
  )
}

test('every group is in exactly one pack, where there is a slot at all; no pack is empty, and none too large', () => {
  check((all, where, how) => {
    const packs = shareGroups(all, where, how)
    const slots = sum(where.map(place => place.slots))
    expect(packs.flatMap(pack => pack.groups.map(({ range }) => range.partition)).sort((a, b) => a - b)).toEqual(
      slots === 0 ? [] : all.map((_, at) => at),
    )
    for (const pack of packs) {
      expect(pack.groups.length).toBeGreaterThan(0)
      expect(pack.groups.length).toBeLessThanOrEqual(how.maxGroups ?? Number.POSITIVE_INFINITY)
      expect(where.find(({ id }) => id === pack.place)?.slots).toBeGreaterThan(0)
      const order = pack.groups.map(({ range }) => range.partition)
      expect(order).toEqual(order.toSorted((a, b) => a - b))
    }
  })
})

test('the same groups at the same places give the same packs', () => {
  check((all, where, how) => {
    expect(shareGroups(structuredClone(all), where, how)).toEqual(shareGroups(all, where, how))
  })
})

test('no place has more for a slot than the mean and the heaviest range, or the slack that keeps partitions where they are', () => {
  check((all, where, how) => {
    const mean = sum(all.map(weigh)) / sum(where.map(({ slots }) => slots))
    const packs = shareGroups(all, where, how)
    for (const { id, slots } of where) {
      const own = sum(packs.filter(({ place }) => place === id).flatMap(pack => pack.groups.map(weigh)))
      if (slots > 0) expect(own / slots).toBeLessThanOrEqual(Math.max(mean * 1.2, mean + heaviest(all) / slots) + 1)
    }
  })
})

test('no pack of a place is heavier than the mean of its packs and the heaviest range, where groups are not limited', () => {
  check((all, where, { maxGroups: _, ...how }) => {
    for (const packs of Map.groupBy(shareGroups(all, where, how), ({ place }) => place).values()) {
      const weights = packs.map(pack => sum(pack.groups.map(weigh)))
      expect(Math.max(...weights)).toBeLessThanOrEqual(sum(weights) / packs.length + heaviest(packs.flatMap(pack => pack.groups)) + 1)
      expect(weights).toEqual(weights.toSorted((a, b) => b - a))
    }
  })
})

test('there are as many packs as the slots of a place want, unless it has fewer groups or its packs would be too large', () => {
  check((all, where, how) => {
    const { packsPerSlot = 3, maxGroups = Number.POSITIVE_INFINITY } = how
    const byPlace = Map.groupBy(shareGroups(all, where, how), ({ place }) => place)
    for (const { id, slots } of where) {
      const packs = byPlace.get(id) ?? []
      const count = sum(packs.map(pack => pack.groups.length))
      expect(packs.length).toBe(Math.min(count, Math.max(slots * packsPerSlot, Math.ceil(count / maxGroups))))
    }
  })
})

test('where no place has more than its share by what it read last, every partition stays', () => {
  check((all, where, how) => {
    const own = Map.groupBy(all, group => how.lastPlaceOf?.(group))
    const mean = sum(all.map(weigh)) / sum(where.map(({ slots }) => slots))
    const isWithin = where.every(({ id, slots }) => slots === 0 || sum((own.get(id) ?? []).map(weigh)) / slots <= mean * 1.2)
    if (!isWithin) return
    const at = new Map(shareGroups(all, where, how).flatMap(pack => pack.groups.map(({ range }) => [range.partition, pack.place])))
    for (const { id, slots } of where) {
      if (slots > 0) for (const group of own.get(id) ?? []) expect(at.get(group.range.partition)).toBe(id)
    }
  })
})

test('a place keeps the heaviest of what it read last, whatever it weighs', () => {
  check((all, where, how) => {
    const packs = shareGroups(all, where, how)
    for (const { id, slots } of where) {
      const own = all.filter(group => how.lastPlaceOf?.(group) === id)
      if (slots === 0 || own.length === 0) continue
      const top = own.reduce((most, group) => (weigh(group) > weigh(most) ? group : most))
      expect(packs.find(pack => pack.groups.some(({ range }) => range.partition === top.range.partition))?.place).toBe(id)
    }
  })
})
