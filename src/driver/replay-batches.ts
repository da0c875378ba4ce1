import { ConfigError, JobError } from '../core/errors.ts'
import type { HistoryEntry, OffsetStore } from '../core/offset-store.ts'
import { type Batch, sameRange } from '../core/values.ts'
import { readFacts } from './batch-facts.ts'

/**
 * Finds committed batches of a stream's history by their ids, in the order of the ids asked for. Throws `ConfigError` for one that cannot be found, with why;
 * `use` is what it was to be used for.
 */
export async function findBatches(
  store: OffsetStore,
  stream: string,
  ids: readonly number[],
  signal: AbortSignal,
  use = 'be replayed',
): Promise<Batch[]> {
  const state = await store.read(stream, { signal })
  const wanted = new Set(ids)
  const found = new Map<number, Extract<HistoryEntry, { kind: 'batch' | 'discard' }>>()
  for await (const entry of store.history(stream, { signal })) {
    if (found.size === wanted.size) break
    if ((entry.kind === 'batch' || entry.kind === 'discard') && wanted.has(entry.batch.id)) found.set(entry.batch.id, entry)
    // Ids only grow: what is older is no longer asked for.
    if (entry.kind === 'batch' && entry.batch.id < Math.min(...ids)) break
  }
  return ids.map(id => {
    const entry = found.get(id)
    if (entry?.kind === 'batch') return entry.batch
    throw new ConfigError(`Batch ${id} of ${stream} cannot ${use}: ${whyNot(id, entry, state)}`, { details: { stream, batchId: id } })
  })
}

function whyNot(
  id: number,
  entry: HistoryEntry | undefined,
  { lastBatchId, pending }: { readonly lastBatchId: number; readonly pending: Batch | undefined },
): string {
  if (entry?.kind === 'discard')
    return `it was begun and discarded (${entry.reason}), so it was never complete. Its records came in later batches.`
  if (pending?.id === id) return 'it is begun and not committed. The next run finishes it; `tidemark run --finish` does only that.'
  if (id > lastBatchId) return `the last batch is ${lastBatchId}. \`tidemark offsets history\` lists them.`
  return 'the history no longer has it, for it keeps the newest batches and this one is trimmed. Its records can be read once more with `offsets reset`.'
}

/** What a replay is of: batches, in order, and the outputs they go to. */
export type ReplayOf = {
  readonly batches: readonly Batch[]
  readonly outputs: readonly string[]
  /** The job's output of dead letters, which comes beside whatever outputs a run has: it does not tell one replay from another. */
  readonly letters?: string | undefined
}

/**
 * Which outputs a replay goes to where nobody says: those that its batches went to. Throws `JobError` where the job lacks one, and `ConfigError` where
 * the batches went to different ones.
 */
export function outputsOfBatches(
  batches: readonly Batch[],
  { stream, has, letters }: { readonly stream: string; readonly has: (output: string) => boolean; readonly letters: string | undefined },
): readonly string[] {
  const [first, ...others] = batches.map(batch => outputsBut(letters, batch))
  const outputs = first ?? []
  if (others.some(names => !isSameSet(names, outputs))) {
    throw new ConfigError(
      `The batches of ${stream} did not all go to the same outputs. Replay them one by one, or say with --output which outputs they are to go to.`,
    )
  }
  const gone = outputs.filter(output => !has(output))
  if (gone.length === 0) return outputs
  throw new JobError(
    `Batch ${batches[0]?.id} of ${stream} went to ${gone.join(', ')}, which the job no longer has. Put ${gone.length === 1 ? 'it' : 'them'} back, or say ` +
      'with --output which outputs the batch is to go to.',
    { details: { batchId: batches[0]?.id, outputs: gone } },
  )
}

/** How far a stream has come as this replay: undefined where it is something else. */
export async function progressOf(
  store: OffsetStore,
  name: string,
  { batches, outputs, letters }: ReplayOf,
  signal: AbortSignal,
): Promise<{ readonly done: number; readonly hasBegun: boolean } | undefined> {
  const { lastBatchId, pending, retired } = await store.read(name, { signal })
  const begun = lastBatchId + (pending === undefined ? 0 : 1)
  if (retired !== undefined || begun > batches.length) return undefined
  const own: Batch[] = pending === undefined ? [] : [pending]
  for await (const entry of store.history(name, { signal })) {
    // Whoever discarded one of its batches has taken it into their own hands.
    if (entry.kind === 'discard') return undefined
    if (entry.kind === 'batch') own.push(entry.batch)
  }
  const isThis = own.every(batch => isSameWork(batch, batches[batch.id - 1]) && isSameSet(outputsBut(letters, batch), outputs))
  return isThis ? { done: lastBatchId, hasBegun: begun > 0 } : undefined
}

function outputsBut(letters: string | undefined, batch: Batch): string[] {
  return readFacts(batch).outputs.filter(output => output !== letters)
}

function isSameSet(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every(name => b.includes(name))
}

function isSameWork({ ranges, batchTime }: Batch, batch: Batch | undefined): boolean {
  if (batch === undefined || batchTime !== batch.batchTime || ranges.length !== batch.ranges.length) return false
  return ranges.every((range, index) => {
    const other = batch.ranges[index]
    return other !== undefined && sameRange(range, other)
  })
}
