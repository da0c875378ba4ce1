import { ConfigError, isTidemarkError } from '../core/errors.ts'
import type { OffsetStore } from '../core/offset-store.ts'
import { numbersAfter } from './numbered-streams.ts'
import { progressOf, type ReplayOf } from './replay-batches.ts'
import { surgeryOwner } from './surgery-lease.ts'

/** Only to look whether somebody else's lease is alive; given back at once (ms). */
const PROBE_TTL_MS = 5_000

/** Which stream a replay runs under. */
export type ReplayName = {
  readonly name: string
  /** How many of its batches it has committed already; 0 for one that begins. */
  readonly done: number
  /** Whether it was begun before and did not come to its end. */
  readonly isResumed: boolean
}

/**
 * Names a replay: `orders~replay-1`, with the next number that is free. One of the same batches that has not come to its end is gone on with, for its
 * outputs know by its name what they have of it; under another name they would take those rows once more. So is one that never began a batch: outputs
 * know its name together with its stream's id, so it is better used than removed and made again.
 *
 * Throws `LeaseHeldError` where this very replay is under way.
 */
export async function nameReplay(
  store: OffsetStore,
  stream: string,
  replay: ReplayOf,
  { isDryRun, signal }: { readonly isDryRun: boolean; readonly signal: AbortSignal },
): Promise<ReplayName> {
  const prefix = `${stream}~replay-`
  const numbers = await numbersAfter(store, prefix, signal)
  for (const number of numbers) {
    const name = `${prefix}${number}`
    const progress = await progressOf(store, name, replay, signal)
    if (progress === undefined || progress.done === replay.batches.length) continue
    if (!isDryRun && (await isRunning(store, name, progress.hasBegun, signal))) continue
    return { name, done: progress.done, isResumed: progress.hasBegun }
  }
  return { name: `${prefix}${(numbers[0] ?? 0) + 1}`, done: 0, isResumed: false }
}

/** Checks a name that was asked for. Throws `ConfigError` where a stream of this name is something else than this replay. */
export async function checkReplayName(store: OffsetStore, name: string, replay: ReplayOf, signal: AbortSignal): Promise<ReplayName> {
  const progress = await progressOf(store, name, replay, signal)
  if (progress !== undefined) return { name, done: progress.done, isResumed: progress.hasBegun }
  throw new ConfigError(`The store has a stream ${name} that is no replay of these batches into these outputs. Choose another --name.`)
}

/** Whether somebody runs it at this moment. Of one that has begun, that is an error: it is these very batches. */
async function isRunning(store: OffsetStore, name: string, hasBegun: boolean, signal: AbortSignal): Promise<boolean> {
  try {
    await store.release(await store.acquire(name, surgeryOwner(), PROBE_TTL_MS, { signal }))
    return false
  } catch (error) {
    if (!isTidemarkError(error, 'LEASE_HELD') || hasBegun) throw error
    return true
  }
}
