import { seededRandom } from '../../src/testing/index.ts'

/** What the walk does to the world, and when. Targets are drivers by number (`stream` × 2 + `which`), executors by number, or servers by name. */
export type WalkStep = { readonly atMs: number } & (
  | { readonly kind: 'kill driver'; readonly driver: number }
  /** Longer than the lease as often as not: then another has taken over when it wakes. */
  | { readonly kind: 'pause driver'; readonly driver: number; readonly forMs: number }
  | { readonly kind: 'stop driver'; readonly driver: number }
  | { readonly kind: 'kill executor'; readonly executor: number }
  /** Longer than the lock of its packs as often as not: then others have them when it wakes. */
  | { readonly kind: 'pause executor'; readonly executor: number; readonly forMs: number }
  /** It ends what it has in hand, and comes again. */
  | { readonly kind: 'drain executor'; readonly executor: number }
  /** The Redis over which driver and executors find each other, and which keeps no truth. */
  | { readonly kind: 'empty the executors’ redis' }
  | { readonly kind: 'restart server'; readonly server: WalkServer; readonly downMs: number }
  | { readonly kind: 'leave a transaction open'; readonly records: number }
  | { readonly kind: 'abort a transaction'; readonly records: number }
)

export type WalkServer = 'postgres' | 'redis' | 'zookeeper' | 'broker' | 'executors’ redis'

export type WalkWorld = {
  readonly drivers: number
  readonly leaseTtlMs: number
  readonly executors: number
  /** How long a pack stays an executor's that is not heard of any more, ms. */
  readonly lockMs: number
}

const SERVERS: readonly WalkServer[] = ['postgres', 'redis', 'zookeeper', 'broker', 'executors’ redis', 'executors’ redis']
const MEAN_GAP_MS = 900

/** The walk of a seed: the same seed gives the same steps, however long each takes to be done. */
export function planWalk(seed: number, forMs: number, world: WalkWorld): WalkStep[] {
  const random = seededRandom(seed)
  const below = (limit: number) => Math.floor(random.number() * limit)
  const steps: WalkStep[] = []
  for (let atMs = 3_000; ; atMs += Math.round(-Math.log(1 - random.number()) * MEAN_GAP_MS)) {
    if (atMs >= forMs) return steps
    const driver = below(world.drivers)
    const executor = below(world.executors)
    const choice = below(100)
    if (choice < 26) steps.push({ atMs, kind: 'kill driver', driver })
    else if (choice < 45) steps.push({ atMs, kind: 'pause driver', driver, forMs: below(world.leaseTtlMs * 2) })
    else if (choice < 49) steps.push({ atMs, kind: 'stop driver', driver })
    else if (choice < 59) steps.push({ atMs, kind: 'kill executor', executor })
    else if (choice < 67) steps.push({ atMs, kind: 'pause executor', executor, forMs: below(world.lockMs * 2) })
    else if (choice < 71) steps.push({ atMs, kind: 'drain executor', executor })
    else if (choice < 72) steps.push({ atMs, kind: 'empty the executors’ redis' })
    else if (choice < 81)
      steps.push({ atMs, kind: 'restart server', server: SERVERS[below(SERVERS.length)] ?? 'redis', downMs: below(3_000) })
    else if (choice < 85) steps.push({ atMs, kind: 'leave a transaction open', records: 1 + below(20) })
    else steps.push({ atMs, kind: 'abort a transaction', records: 1 + below(20) })
  }
}
