import { hostname } from 'node:os'
import { systemClock } from '../core/clock.ts'
import type { Lease, OffsetStore } from '../core/offset-store.ts'
import { systemRandom } from '../core/random.ts'
import { LeaseKeeper } from './lease-keeper.ts'

/** Long enough to outlast a hiccup, short enough that a killed command does not keep a driver waiting (ms). */
const TTL_MS = 10_000

/** Names one start of one command, as a driver is named. */
export function surgeryOwner(): string {
  return `${hostname()}:${process.pid}:${systemRandom.id(8)}`
}

/**
 * Holds a stream's lease while `work` runs, however long a person takes to answer; `signal` aborts when it is lost. Refused with `LeaseHeldError` while
 * another owner's lease is alive, unless `steal`; its driver then ends with `FencedError`.
 */
export async function withLease<T>(
  store: OffsetStore,
  stream: string,
  { steal }: { readonly steal: boolean },
  work: (lease: Lease, signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const lost = new AbortController()
  const lease = await store.acquire(stream, surgeryOwner(), TTL_MS, { steal })
  const keeper = new LeaseKeeper(
    store,
    lease,
    { clock: systemClock, random: systemRandom },
    {
      onLost: error => lost.abort(error),
      // The lease may be lost by it or not; the write that comes is what finds out.
      onTrouble: () => {},
    },
  )
  try {
    return await work(lease, lost.signal)
  } finally {
    await keeper.end()
  }
}
