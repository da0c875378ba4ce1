import { seededRandom } from '../../../src/testing/index.ts'

/** What a walk does to a fleet. */
export type FleetStrike =
  | { readonly kind: 'kill executor'; readonly executor: number }
  /** Longer than its lock on a pack: another has taken the pack when it wakes. */
  | { readonly kind: 'pause executor'; readonly executor: number; readonly forMs: number }
  /** By SIGTERM: it ends what it has in hand, takes nothing more, and comes again. */
  | { readonly kind: 'drain executor'; readonly executor: number }
  | { readonly kind: 'kill driver' }
  /** Longer than its lease. */
  | { readonly kind: 'pause driver'; readonly forMs: number }
  /** SIGKILL, and started again with what it had kept. */
  | { readonly kind: 'restart redis'; readonly downMs: number }
  | { readonly kind: 'empty redis' }

/** A strike so many batches after the one before, and then a moment into the next batch. */
export type FleetStep = { readonly afterBatches: number; readonly delayMs: number } & FleetStrike

export type FleetTimes = {
  /** How long the lock of a pack outlives its executor, ms. */
  readonly lockMs: number
  readonly leaseTtlMs: number
}

/** How long a batch takes while all is well, about, ms: strikes fall anywhere in it. */
const BATCH_MS = 300

/** The walk of a seed: so many strikes of each kind in a random order, against random executors, at random moments. */
export function planFleetWalk(
  seed: number,
  counts: Readonly<Record<FleetStrike['kind'], number>>,
  executors: number,
  times: FleetTimes,
): FleetStep[] {
  const random = seededRandom(seed)
  const below = (limit: number) => Math.floor(random.number() * limit)
  const kinds = (Object.keys(counts) as FleetStrike['kind'][]).flatMap(kind => Array.from({ length: counts[kind] }, () => kind))
  for (let at = kinds.length - 1; at > 0; at--) {
    const other = below(at + 1)
    const kind = kinds[at] as FleetStrike['kind']
    kinds[at] = kinds[other] as FleetStrike['kind']
    kinds[other] = kind
  }
  return kinds.map(kind => ({ afterBatches: 1 + below(2), delayMs: below(BATCH_MS), ...strikeOf(kind, below, executors, times) }))
}

function strikeOf(
  kind: FleetStrike['kind'],
  below: (limit: number) => number,
  executors: number,
  { lockMs, leaseTtlMs }: FleetTimes,
): FleetStrike {
  switch (kind) {
    case 'kill executor':
    case 'drain executor':
      return { kind, executor: below(executors) }
    case 'pause executor':
      return { kind, executor: below(executors), forMs: Math.round(lockMs * (1.3 + random01(below))) }
    case 'pause driver':
      return { kind, forMs: Math.round(leaseTtlMs * 1.5) + below(1_000) }
    case 'restart redis':
      return { kind, downMs: 200 + below(1_500) }
    case 'kill driver':
    case 'empty redis':
      return { kind }
    default:
      return kind satisfies never
  }
}

function random01(below: (limit: number) => number): number {
  return below(1_000) / 1_000
}
