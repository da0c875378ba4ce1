import { isTidemarkError } from '../core/errors.ts'
import type { OffsetStore } from '../core/offset-store.ts'
import type { FenceMark } from '../core/sink.ts'
import type { Batch } from '../core/values.ts'
import { type BatchFacts, readFacts } from './batch-facts.ts'

/** How far back to look: behind the last batch lie only resets and starts, and an output that has been away for longer is as good as new. */
const RECENT_ENTRIES = 100

/** What a stream did last, by its history. */
export type RecentBatches = {
  /** The last batch, committed or discarded. */
  readonly last: Batch | undefined
  /** By output: the last committed batch that had tasks for it, which its destination must know of. */
  readonly lastWritten: ReadonlyMap<string, NonNullable<FenceMark['lastWritten']>>
}

/** Looks at the newest entries of the history, no further back than until each output has been found. */
export async function readRecentBatches(
  store: OffsetStore,
  stream: string,
  outputs: Iterable<string>,
  signal: AbortSignal,
): Promise<RecentBatches> {
  const sought = new Set(outputs)
  const lastWritten = new Map<string, NonNullable<FenceMark['lastWritten']>>()
  let last: Batch | undefined
  for await (const entry of store.history(stream, { limit: RECENT_ENTRIES, signal })) {
    if (entry.kind !== 'batch' && entry.kind !== 'discard') continue
    last ??= entry.batch
    // Of a discarded batch nobody expects any rows.
    const facts = entry.kind === 'batch' ? factsOf(entry.batch) : undefined
    for (const output of facts?.outputs ?? []) {
      if (!sought.delete(output)) continue
      lastWritten.set(output, { batchId: entry.batch.id, tasks: facts?.tasks?.[output] })
    }
    if (sought.size === 0) break
  }
  return { last, lastWritten }
}

/** A committed batch of a version that is not known here says nothing; only a begun one must be understood. */
function factsOf(batch: Batch): BatchFacts | undefined {
  try {
    return readFacts(batch)
  } catch (error) {
    if (isTidemarkError(error, 'CONFIG')) return undefined
    throw error
  }
}
