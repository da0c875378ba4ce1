import { seededRandom } from '../../src/testing/index.ts'

/** What the walk does to the world, and when. Targets are drivers by number (`stream` × 2 + `which`), or servers by name. */
export type WalkStep = { readonly atMs: number } & (
  | { readonly kind: 'kill driver'; readonly driver: number }
  /** Longer than the lease as often as not: then another has taken over when it wakes. */
  | { readonly kind: 'pause driver'; readonly driver: number; readonly forMs: number }
  | { readonly kind: 'stop driver'; readonly driver: number }
  | { readonly kind: 'restart server'; readonly server: WalkServer; readonly downMs: number }
  | { readonly kind: 'leave a transaction open'; readonly records: number }
  | { readonly kind: 'abort a transaction'; readonly records: number }
)

export type WalkServer = 'postgres' | 'redis' | 'zookeeper' | 'broker'

const SERVERS: readonly WalkServer[] = ['postgres', 'redis', 'zookeeper', 'broker']
const MEAN_GAP_MS = 1_200

/** The walk of a seed: the same seed gives the same steps, however long each takes to be done. */
export function planWalk(seed: number, forMs: number, world: { readonly drivers: number; readonly leaseTtlMs: number }): WalkStep[] {
  const random = seededRandom(seed)
  const below = (limit: number) => Math.floor(random.number() * limit)
  const steps: WalkStep[] = []
  for (let atMs = 3_000; ; atMs += Math.round(-Math.log(1 - random.number()) * MEAN_GAP_MS)) {
    if (atMs >= forMs) return steps
    const driver = below(world.drivers)
    const choice = below(100)
    if (choice < 35) steps.push({ atMs, kind: 'kill driver', driver })
    else if (choice < 60) steps.push({ atMs, kind: 'pause driver', driver, forMs: below(world.leaseTtlMs * 2) })
    else if (choice < 65) steps.push({ atMs, kind: 'stop driver', driver })
    else if (choice < 75)
      steps.push({ atMs, kind: 'restart server', server: SERVERS[below(SERVERS.length)] ?? 'redis', downMs: below(3_000) })
    else if (choice < 80) steps.push({ atMs, kind: 'leave a transaction open', records: 1 + below(20) })
    else steps.push({ atMs, kind: 'abort a transaction', records: 1 + below(20) })
  }
}
