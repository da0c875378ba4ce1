import { ConfigError, ConflictError } from '../../core/errors.ts'
import type { HistoryEntry, Lease, OffsetStore, StreamState } from '../../core/offset-store.ts'
import { type OffsetRange, type PartitionOffset, partitionKey, type TopicPartition } from '../../core/values.ts'
import type { Asked } from './asked.ts'

/** What makes a reset in a history the settling of a backfill; behind it stands JSON. */
const MARK = 'backfill '

/** A backfill as its store has it: settled once, at its first start. */
export type SavedBackfill = {
  /** The live stream whose past it is. */
  readonly of: string
  readonly asked: Asked
  /** What it reads, partition by partition; a partition with nothing to read has an empty range. */
  readonly ranges: readonly OffsetRange[]
}

/** A stream that is a backfill, and how far it has come. */
export type FoundBackfill = SavedBackfill & {
  readonly state: StreamState
  /** Where its partitions end: before what was lost with a log that was cut or made again since. */
  readonly ends: readonly PartitionOffset[]
}

/** Saved, so it carries a version. The beginnings are the positions of the reset itself. */
type SavedText = {
  readonly v: 1
  readonly of: string
  readonly asked: Asked
  /** By topic, partitions with their ends. */
  readonly ends: { readonly [topic: string]: readonly (readonly [partition: number, untilOffset: number])[] }
}

/**
 * Writes what a backfill reads into its own stream: one reset, whose positions are the beginnings and whose reason is the rest. History keeps resets
 * for ever, and a reset is all or nothing in every store, so there is no backfill with beginnings and no ends.
 *
 * It is read back: a store of somebody's own that cuts long reasons would lose the ends, and the next start would take them for those of another.
 */
export async function saveBackfill(store: OffsetStore, lease: Lease, backfill: SavedBackfill, signal: AbortSignal): Promise<FoundBackfill> {
  const { of, asked, ranges } = backfill
  const ends: Record<string, [number, number][]> = {}
  for (const { topic, partition, untilOffset } of ranges) {
    ends[topic] ??= []
    ends[topic].push([partition, untilOffset])
  }
  const text: SavedText = { v: 1, of, asked, ends }
  const positions = ranges.map(({ fromOffset, untilOffset: _, ...at }): PartitionOffset => ({ ...at, offset: fromOffset }))
  await store.reset(lease, positions, { reason: MARK + JSON.stringify(text), signal })
  const found = await findBackfill(store, lease.stream, signal)
  if (found.kind === 'backfill') return found.backfill
  throw new ConflictError(
    `The offset store did not keep what backfill ${lease.stream} is to read: the reason of a reset, ${MARK.length + JSON.stringify(text).length} characters, ` +
      'came back as something else. A store must keep reasons whole.',
  )
}

export type Found =
  | { readonly kind: 'none' }
  /** There, and nothing was ever done in it: a start that ended before it settled. */
  | { readonly kind: 'empty' }
  | { readonly kind: 'other' }
  | { readonly kind: 'backfill'; readonly backfill: FoundBackfill }

/** Looks what the stream of a name is. Throws `ConfigError` for a backfill that a newer version settled. */
export async function findBackfill(store: OffsetStore, name: string, signal: AbortSignal): Promise<Found> {
  const state = await store.read(name, { signal })
  if (state.streamId === undefined) return { kind: 'none' }
  if (state.retired !== undefined) return { kind: 'other' }
  /** Where the log that was to be read ended, of partitions that lost it. */
  const cuts = new Map<string, number>()
  let isEmpty = true
  for await (const entry of store.history(name, { signal })) {
    isEmpty = false
    if (entry.kind !== 'reset') continue
    const saved = readSaved(entry, name)
    if (saved !== undefined) return { kind: 'backfill', backfill: { ...saved, state, ends: endsOf(saved, cuts) } }
    for (const at of entry.forgotten) cut(cuts, at, Number.NEGATIVE_INFINITY)
    // What stands behind such a place now was written later, and is not what was asked for.
    if (entry.reason === 'truncation' || entry.reason === 'recreated') for (const at of entry.offsets) cut(cuts, at, at.offset)
  }
  return { kind: isEmpty && state.lastBatchId === 0 ? 'empty' : 'other' }
}

/** Whether everything it was to read is committed. */
export function isComplete({ ends, state }: FoundBackfill): boolean {
  const committed = new Map(state.offsets.map(at => [partitionKey(at), at.offset]))
  return state.pending === undefined && ends.every(at => (committed.get(partitionKey(at)) ?? -1) >= at.offset)
}

/** What a history entry settles, if it is the settling of a backfill; for whoever shows histories too. */
export function readSaved(entry: Extract<HistoryEntry, { kind: 'reset' }>, name: string): SavedBackfill | undefined {
  if (!entry.reason.startsWith(`${MARK}{`)) return undefined
  let text: SavedText
  try {
    text = JSON.parse(entry.reason.slice(MARK.length))
  } catch {
    return undefined
  }
  if (text.v !== 1) {
    throw new ConfigError(
      `Backfill ${name} was settled by a newer version of tidemark (format ${String(text.v)}; this one knows 1). Go on with that version.`,
    )
  }
  const ends = new Map(
    Object.entries(text.ends).flatMap(([topic, own]) => own.map(([partition, end]) => [partitionKey({ topic, partition }), end])),
  )
  const ranges = entry.offsets.map(
    ({ offset, ...at }): OffsetRange => ({ ...at, fromOffset: offset, untilOffset: ends.get(partitionKey(at)) ?? offset }),
  )
  return { of: text.of, asked: text.asked, ranges }
}

function endsOf({ ranges }: SavedBackfill, cuts: ReadonlyMap<string, number>): PartitionOffset[] {
  return ranges.flatMap(({ fromOffset: _, untilOffset, ...at }) => {
    const offset = Math.min(untilOffset, cuts.get(partitionKey(at)) ?? untilOffset)
    return offset < 0 ? [] : [{ ...at, offset }]
  })
}

function cut(cuts: Map<string, number>, at: TopicPartition, offset: number): void {
  cuts.set(partitionKey(at), Math.min(offset, cuts.get(partitionKey(at)) ?? offset))
}
