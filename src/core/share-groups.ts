import type { TaskGroup } from './executor.ts'
import { countOffsets } from './values.ts'

/** Who can take groups: a thread pool or one of many executors. */
export type Place = { readonly id: string; readonly slots: number }

/** Groups that go to one place as one piece of work. */
export type Pack = { readonly place: string; readonly groups: readonly TaskGroup[] }

export type ShareOptions = {
  /** The place that last read this group's partition, whose connections are warm. @default any place is as good */
  readonly lastPlaceOf?: (group: TaskGroup) => string | undefined
  /** How many packs a slot gets: more balance better, fewer cost less. @default 3 */
  readonly packsPerSlot?: number
  /** No pack has more groups than this. @default no limit */
  readonly maxGroups?: number
}

/** What a range costs beside its bytes, as bytes: two requests and a transaction. Ten thousand tiny ranges are then shared by their number. */
const GROUP_COST_BYTES = 16_384
/** What an offset is taken to weigh where nobody has weighed it yet. */
const UNKNOWN_OFFSET_BYTES = 100
/** How far beyond its share a place may be filled so that a partition stays where it was. */
const STICKY_SLACK = 1.2

/**
 * Shares groups among places and packs them: worst-fit decreasing by estimated bytes, each place by its slots, and a partition stays where it was read
 * last unless that place has its share. The same input gives the same packs; every group is in exactly one. No places, no packs.
 */
export function shareGroups(groups: readonly TaskGroup[], places: readonly Place[], options: ShareOptions = {}): Pack[] {
  const { lastPlaceOf = () => undefined, packsPerSlot = 3, maxGroups = Number.POSITIVE_INFINITY } = options
  const bins = places.filter(({ slots }) => slots > 0).map(({ id, slots }) => new Bin(id, slots))
  if (bins.length === 0) return []
  const weighed = groups.map(group => ({ group, weight: weightOf(group) })).sort((a, b) => b.weight - a.weight)
  const total = weighed.reduce((sum, { weight }) => sum + weight, 0)
  const slots = bins.reduce((sum, bin) => sum + bin.slots, 0)
  const byId = new Map(bins.map(bin => [bin.id, bin]))
  const moving: Weighed[] = []
  for (const item of weighed) {
    const last = lastPlaceOf(item.group)
    const bin = last === undefined ? undefined : byId.get(last)
    // An empty place keeps the heaviest of its own whatever it weighs: with fewer partitions than slots each is beyond its share, nowhere would it
    // weigh less, and they would change places with every batch.
    const fits = bin !== undefined && (bin.items.length === 0 || (bin.weight + item.weight) / bin.slots <= (total / slots) * STICKY_SLACK)
    if (fits) bin.add(item)
    else moving.push(item)
  }
  for (const item of moving) emptiest(bins).add(item)
  return bins.flatMap(bin => packBin(bin, packsPerSlot, maxGroups))
}

type Weighed = { readonly group: TaskGroup; readonly weight: number }

class Bin {
  readonly id: string
  readonly slots: number
  readonly items: Weighed[] = []
  weight = 0

  constructor(id: string, slots: number) {
    this.id = id
    this.slots = slots
  }

  add(item: Weighed): void {
    this.items.push(item)
    this.weight += item.weight
  }
}

function weightOf(group: TaskGroup): number {
  return (group.estimatedBytes ?? countOffsets(group.range) * UNKNOWN_OFFSET_BYTES) + GROUP_COST_BYTES
}

/** The first of those with the least a slot. */
function emptiest(bins: readonly Bin[]): Bin {
  return bins.reduce((least, bin) => (bin.weight / bin.slots < least.weight / least.slots ? bin : least))
}

/** Heavy packs first, so that what is left at the end is small; within one, ranges in the order of the batch. */
function packBin(bin: Bin, packsPerSlot: number, maxGroups: number): Pack[] {
  const count = Math.min(bin.items.length, Math.max(bin.slots * packsPerSlot, Math.ceil(bin.items.length / maxGroups)))
  const packs = Array.from({ length: count }, () => new Bin(bin.id, 1))
  for (const item of bin.items.sort((a, b) => b.weight - a.weight)) {
    emptiest(packs.filter(({ items }) => items.length < maxGroups)).add(item)
  }
  return packs
    .filter(({ items }) => items.length > 0)
    .sort((a, b) => b.weight - a.weight)
    .map(({ items }) => ({ place: bin.id, groups: items.map(({ group }) => group).sort((a, b) => indexOf(a) - indexOf(b)) }))
}

function indexOf({ tasks: [first] }: TaskGroup): number {
  return first?.index ?? 0
}
