import { ConfigError } from '../../core/errors.ts'
import type { OffsetStore } from '../../core/offset-store.ts'
import { numbersAfter } from '../numbered-streams.ts'
import { type Asked, isSameAsked } from './asked.ts'
import { type FoundBackfill, findBackfill, isComplete } from './saved-backfill.ts'

/** Which stream a backfill runs as, and the one that is there already, which it goes on with. */
export type BackfillName = { readonly name: string; readonly found: FoundBackfill | undefined }

/**
 * Names a backfill: `orders~backfill-1`, with the next number that is free. One that was asked the same and has not come to its end is gone on with, for its
 * outputs know by its name what they have of it; under another name they would take those rows once more.
 */
export async function nameBackfill(store: OffsetStore, stream: string, asked: Asked, signal: AbortSignal): Promise<BackfillName> {
  const prefix = `${stream}~backfill-`
  const numbers = await numbersAfter(store, prefix, signal)
  for (const number of numbers) {
    const name = `${prefix}${number}`
    const found = await findBackfill(store, name, signal)
    // Outputs may know its name together with its stream's id, so it is better used than left and removed.
    if (found.kind === 'empty') return { name, found: undefined }
    if (found.kind === 'backfill' && isSame(found.backfill, stream, asked) && !isComplete(found.backfill))
      return { name, found: found.backfill }
  }
  return { name: `${prefix}${(numbers[0] ?? 0) + 1}`, found: undefined }
}

/** Looks at a name that was asked for. Throws `ConfigError` where a stream of this name is something else than this backfill. */
export async function checkBackfillName(
  store: OffsetStore,
  stream: string,
  name: string,
  asked: Asked,
  signal: AbortSignal,
): Promise<BackfillName> {
  if (name === stream) throw new ConfigError(`--name ${stream} is the stream itself, which a backfill leaves alone. Choose another.`)
  const found = await findBackfill(store, name, signal)
  if (found.kind === 'none' || found.kind === 'empty') return { name, found: undefined }
  if (found.kind === 'backfill' && isSame(found.backfill, stream, asked)) return { name, found: found.backfill }
  throw new ConfigError(
    `The store has a stream ${name} that is ${found.kind === 'backfill' ? 'another backfill: its bounds or outputs are other ones' : 'no backfill'}. ` +
      'Choose another --name.',
  )
}

function isSame(found: FoundBackfill, stream: string, asked: Asked): boolean {
  return found.of === stream && isSameAsked(found.asked, asked)
}
