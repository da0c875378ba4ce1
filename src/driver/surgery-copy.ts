import { ConflictError } from '../core/errors.ts'
import type { OffsetStore, StreamState } from '../core/offset-store.ts'
import { surgeryOwner } from './surgery-lease.ts'

/** Between the grant and the retiring, which ends it (ms). */
const TTL_MS = 10_000

/** How far the move of a stream to another store has come: nothing yet, retired in the source and not yet in the target, or both. */
export type CopyStanding = { readonly step: 'begin' | 'restore' | 'done'; readonly state: StreamState }

/**
 * Looks how far a move has come, and so what is left of one that was cut short. Throws `ConflictError` where the stream cannot be moved: it is not there, it
 * was retired for another reason, or the target has another stream of its name.
 */
export async function lookAtCopy(
  source: OffsetStore,
  target: OffsetStore,
  stream: string,
  shown: string,
  signal: AbortSignal,
): Promise<CopyStanding> {
  const state = await source.read(stream, { signal })
  if (state.streamId === undefined) throw new ConflictError(`The store has no stream ${stream}. \`tidemark streams\` lists those it has.`)
  const isOurs = state.retired === noteFor(shown)
  if (state.retired !== undefined && !isOurs) throw new ConflictError(`${stream} was retired and can only be read: ${state.retired}`)
  const there = await target.read(stream, { signal })
  if (there.streamId === undefined) return { step: isOurs ? 'restore' : 'begin', state }
  if (isOurs && there.streamId === state.streamId) return { step: 'done', state }
  throw new ConflictError(
    `${shown} has a stream ${stream} already, at epoch ${there.epoch} with last batch ${there.lastBatchId}` +
      `${there.streamId === state.streamId ? '; it has the same id, so it was imported there by hand or is this very store' : ''}. ` +
      'Two histories cannot be one: remove it there first if it is not needed.',
  )
}

/**
 * Moves a stream, or goes on with a move. It is retired in the source before it is in the target. The other way round: both stores would grant the next
 * epoch, a driver of each would begin the next batch, and destinations could not tell the two apart. Read after it was retired, it is all there is:
 * nobody can write to it any more.
 */
export async function finishCopy(
  source: OffsetStore,
  target: OffsetStore,
  stream: string,
  shown: string,
  signal: AbortSignal,
): Promise<void> {
  const { step } = await lookAtCopy(source, target, stream, shown, signal)
  if (step === 'done') return
  if (step === 'begin') {
    const lease = await source.acquire(stream, surgeryOwner(), TTL_MS, { steal: true, signal })
    await source.retire(lease, noteFor(shown), { signal })
  }
  await target.restore(await source.snapshot(stream, { signal }), { signal })
}

/** It says which move a retired stream belongs to, so that the same command can go on with it. */
function noteFor(target: string): string {
  return `moved to ${target}`
}
