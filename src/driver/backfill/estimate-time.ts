import type { StreamTrace } from './stream-trace.ts'

/** How long a backfill may take, and what that rests on. */
export type Estimate = {
  readonly ms: number
  readonly rests: 'max-rate' | 'own-pace' | 'live-pace'
  readonly offsetsPerSecond: number
}

/** Fewer offsets say nothing about how fast a stream can be. */
const LEAST_OFFSETS = 1_000

/**
 * Estimates how long so many offsets take: as long as the rate says, if the job can keep up with it, else as fast as this backfill has been, or as the live
 * stream was in its larger batches. Undefined where neither has done enough to tell; how long outputs take nobody can say by reading alone.
 */
export function estimateTime(
  offsets: number,
  { maxRate, own, live }: { readonly maxRate: number | undefined; readonly own: StreamTrace['pace']; readonly live: StreamTrace['pace'] },
): Estimate | undefined {
  const measured = paceOf(own, 'own-pace') ?? paceOf(live, 'live-pace')
  const pace = maxRate !== undefined && maxRate < (measured?.offsetsPerSecond ?? Number.POSITIVE_INFINITY) ? atRate(maxRate) : measured
  return pace && { ...pace, ms: Math.round((offsets / pace.offsetsPerSecond) * 1_000) }
}

type Pace = Omit<Estimate, 'ms'>

function atRate(offsetsPerSecond: number): Pace {
  return { offsetsPerSecond, rests: 'max-rate' }
}

/** By the larger half of the batches: small ones are of a stream that waited for records. */
function paceOf(batches: StreamTrace['pace'], rests: 'own-pace' | 'live-pace'): Pace | undefined {
  // The begin is by the driver's clock and the commit by the store's: where the two differ, nothing can be said.
  const sound = batches.filter(({ ms }) => ms > 0)
  const larger = sound.toSorted((a, b) => b.offsets - a.offsets).slice(0, Math.ceil(sound.length / 2))
  const offsets = larger.reduce((sum, batch) => sum + batch.offsets, 0)
  const ms = larger.reduce((sum, batch) => sum + batch.ms, 0)
  return offsets < LEAST_OFFSETS ? undefined : { offsetsPerSecond: (offsets / ms) * 1_000, rests }
}
