import { ConflictError, FencedError, LeaseHeldError } from './errors.ts'
import type { HistoryEntry, Lease, ResetOptions } from './offset-store.ts'
import { checkDistinct, checkPartition, checkPosition, checkRange, sameBatch } from './store-values.ts'
import { type Batch, type OffsetRange, type PartitionOffset, partitionKey, showRange, type TopicPartition } from './values.ts'

/**
 * The rules of an offset store as pure functions, so that every store that can hold a lock or a version decides by the same code. A store loads a
 * stream's head inside its own transaction, asks here, and writes what it was told; nothing a client read before takes part.
 */

/** A stream without its offsets, its begun batch and its history, which a store loads only where a rule asks for them. */
export type StreamHead = {
  readonly streamId: string
  readonly epoch: number
  /** The newest lease, alive or lapsed; undefined once it was released. */
  readonly lease: { readonly owner: string; readonly renewedAtMs: number; readonly ttlMs: number } | undefined
  readonly lastBatchId: number
  readonly lastCommittedId: number
  /** The `seq` of the newest history entry; 0 before the first. */
  readonly lastSeq: number
  readonly retired: string | undefined
}

/** Entries of kind `batch` and `discard` that a stream keeps. */
export const HISTORY_KEPT = 100_000

const TRIM_EVERY = 1_000

/** Decides an `acquire` and returns the epoch to grant. Throws `LeaseHeldError`, or `ConflictError` for a retired stream. */
export function checkAcquire(
  head: StreamHead | undefined,
  asked: { readonly stream: string; readonly owner: string; readonly nowMs: number; readonly steal: boolean },
): number {
  if (head === undefined) return 1
  const { stream, owner, nowMs, steal } = asked
  if (head.retired !== undefined) {
    throw new ConflictError(`${stream} was retired and can only be read: ${head.retired}`, { details: { stream, note: head.retired } })
  }
  const endsInMs = leaseEndsInMs(head, nowMs)
  if (head.lease !== undefined && endsInMs > 0 && head.lease.owner !== owner && !steal) {
    throw new LeaseHeldError(
      `${stream} is driven by ${head.lease.owner} (epoch ${head.epoch}), whose lease ends in ${Math.ceil(endsInMs)} ms unless it is renewed. ` +
        'Wait for that, stop it, or take the stream over (steal, or --steal).',
      { details: { stream, owner: head.lease.owner, epoch: head.epoch, endsInMs } },
    )
  }
  return head.epoch + 1
}

/**
 * How long the newest lease still keeps others away, in ms; 0 where it does not. `nowMs` and `renewedAtMs` are of one clock, which may jump: after a
 * jump back, a renewal that lies further ahead than the lease is long counts as lapsed, so that no lease lives longer than twice its time. A lease
 * taken too early costs its holder a restart and never a record, for only the epoch decides who may write.
 */
function leaseEndsInMs(head: StreamHead, nowMs: number): number {
  if (head.lease === undefined) return 0
  const ageMs = nowMs - head.lease.renewedAtMs
  return Math.abs(ageMs) < head.lease.ttlMs ? head.lease.ttlMs - ageMs : 0
}

/**
 * Refuses a dead lease with `FencedError`. Every write asks this first, `action` being what is refused (`Commit of batch 7`).
 *
 * The sequence it prevents: a driver plans batch 7 and stops for a while (a long collection, a suspended machine). Its lease lapses, a second driver
 * acquires epoch 8, runs and commits its own batch 7. The first wakes up and commits: the offsets go back and the records run again as batch 8.
 */
export function checkLive<Head extends StreamHead>(head: Head | undefined, lease: Lease, action: string): Head {
  const { stream, epoch } = lease
  const why = head === undefined ? `the store has no stream of this name. It was removed; this driver stops.` : whyDead(head, lease)
  if (head !== undefined && why === undefined) return head
  throw new FencedError(`${action} of ${stream} refused: ${why}`, { details: { stream, epoch, storeEpoch: head?.epoch ?? 0 } })
}

/** Whether a lease may still write; what a closing store asks before it releases. */
export function isLive(head: StreamHead | undefined, lease: Lease): boolean {
  return head !== undefined && whyDead(head, lease) === undefined
}

function whyDead(head: StreamHead, lease: Lease): string | undefined {
  if (head.streamId !== lease.streamId) {
    return `it was removed and made again (stream id ${lease.streamId} is now ${head.streamId}). This driver stops.`
  }
  if (lease.epoch < head.epoch)
    return `it carries epoch ${lease.epoch}, the store is at ${head.epoch}. Another driver took over; this one stops.`
  if (lease.epoch > head.epoch) {
    return `it carries epoch ${lease.epoch}, the store is at ${head.epoch}. The store was rolled back or replaced: look at it before starting again.`
  }
  if (head.retired !== undefined) return `the stream was retired: ${head.retired}`
  if (head.lease === undefined) return `the lease of epoch ${lease.epoch} was released. Acquire a new one.`
  if (head.lease.owner !== lease.owner)
    return `epoch ${lease.epoch} was granted to ${head.lease.owner}, not to ${lease.owner}. This driver stops.`
  return undefined
}

/**
 * Decides a `begin` under a live lease: `begin` says to keep the batch, `begun` that this very batch is pending already. `committedOf` gives the
 * committed offset of a partition, undefined where the store has never seen it. Throws `ConflictError`.
 */
export function checkBegin(
  head: StreamHead,
  pending: Batch | undefined,
  stream: string,
  batch: Batch,
  committedOf: (at: TopicPartition) => number | undefined,
): 'begin' | 'begun' {
  const refused = `Begin of batch ${batch.id} of ${stream} refused`
  if (pending !== undefined) {
    if (sameBatch(pending, batch)) return 'begun'
    const same = pending.id === batch.id ? 'with other ranges, time or facts ' : ''
    throw new ConflictError(
      `${refused}: batch ${pending.id} was begun ${same}and is not committed. Run it again as it was begun, or discard it.`,
      {
        details: { stream, expected: pending.id, came: batch.id },
      },
    )
  }
  if (batch.id !== head.lastBatchId + 1) {
    throw new ConflictError(`${refused}: the next batch is ${head.lastBatchId + 1}. Read the stream again.`, {
      details: { stream, expected: head.lastBatchId + 1, came: batch.id },
    })
  }
  for (const [name, value] of Object.entries({ batchTime: batch.batchTime, epoch: batch.epoch })) {
    if (!Number.isSafeInteger(value))
      throw new ConflictError(`${refused}: its ${name} is ${value}, not a whole number.`, { details: { stream } })
  }
  checkTiling(batch.ranges, committedOf, refused)
  return 'begin'
}

/**
 * Ranges tile when each goes on where the one before it of its partition ended, and the first where the committed offset ends. A gap would lose
 * records, an overlap double them, and both would be committed without a trace.
 */
function checkTiling(ranges: readonly OffsetRange[], committedOf: (at: TopicPartition) => number | undefined, refused: string): void {
  const reached = new Map<string, number>()
  for (const range of ranges) {
    checkRange(range, refused)
    const key = partitionKey(range)
    const slice = reached.get(key)
    const expected = slice ?? committedOf(range)
    if (expected !== undefined && expected !== range.fromOffset) {
      const before = slice === undefined ? 'the committed offset is' : 'the range before it ends at'
      throw new ConflictError(
        `${refused}: ${showRange(range)} must go on at ${expected}, for ${before} ${expected}. Read the stream and plan again.`,
        {
          details: { topic: range.topic, partition: range.partition, expected, came: range.fromOffset },
        },
      )
    }
    reached.set(key, range.untilOffset)
  }
}

/**
 * Decides a `commit` under a live lease. Returns the batch to commit, or undefined where it was the last one committed: the caller whose answer got
 * lost sends it again. Throws `ConflictError`.
 */
export function checkCommit<Pending extends Pick<Batch, 'id'>>(
  head: StreamHead,
  pending: Pending | undefined,
  stream: string,
  batchId: number,
): Pending | undefined {
  if (pending?.id === batchId) return pending
  if (batchId > 0 && batchId === head.lastCommittedId) return undefined
  const now =
    pending === undefined ? `none is begun, and the last committed is ${head.lastCommittedId}` : `batch ${pending.id} is the one begun`
  throw new ConflictError(`Commit of batch ${batchId} of ${stream} refused: ${now}. Read the stream again.`, {
    details: { stream, expected: pending?.id, came: batchId, lastCommittedId: head.lastCommittedId },
  })
}

/** Where a batch leaves its partitions: each at the end of its last range, in the order of their first ones. */
export function positionsAfter(ranges: readonly OffsetRange[]): PartitionOffset[] {
  const positions = new Map<string, PartitionOffset>()
  for (const { fromOffset: _, untilOffset: offset, ...at } of ranges) positions.set(partitionKey(at), { ...at, offset })
  return [...positions.values()]
}

/** What a `reset` changes. */
export type ResetPlan = {
  readonly offsets: readonly PartitionOffset[]
  readonly forget: readonly TopicPartition[]
  readonly reason: string
  /** The begun batch that goes; its id counts as used. */
  readonly discarded: Batch | undefined
}

/** Decides a `reset` under a live lease. Throws `ConflictError`. */
export function checkReset(
  pending: Batch | undefined,
  stream: string,
  offsets: readonly PartitionOffset[],
  { reason = 'reset', forget = [], discard = false }: ResetOptions,
): ResetPlan {
  const refused = `Reset of ${stream} refused`
  if (pending !== undefined && !discard) {
    throw new ConflictError(`${refused}: batch ${pending.id} is begun and not committed. Finish it, or discard it.`, {
      details: { stream, pending: pending.id },
    })
  }
  for (const at of offsets) checkPosition(at, refused)
  for (const at of forget) checkPartition(at, refused)
  checkDistinct([...offsets, ...forget], refused)
  return { offsets, forget, reason, discarded: pending }
}

/** The history entries of a reset, `first.seq` being the first one's. A start that forgets something is kept as a reset, which can say so. */
export function resetEntries(
  plan: ResetPlan,
  first: { readonly seq: number; readonly at: number; readonly epoch: number },
): HistoryEntry[] {
  const { reason, offsets, forget: forgotten, discarded } = plan
  const entries: HistoryEntry[] = []
  if (discarded !== undefined) entries.push({ ...first, kind: 'discard', reason, batch: discarded })
  const stamp = { ...first, seq: first.seq + entries.length }
  if (reason === 'start' && forgotten.length === 0 && offsets.length > 0) entries.push({ ...stamp, kind: 'start', offsets })
  else if (offsets.length + forgotten.length > 0) entries.push({ ...stamp, kind: 'reset', reason, offsets, forgotten })
  return entries
}

/** Refuses to restore onto a stream that exists: two histories cannot be one. Throws `ConflictError`. */
export function checkRestore(head: StreamHead | undefined, stream: string): void {
  if (head === undefined) return
  throw new ConflictError(`Restore of ${stream} refused: the store has a stream of this name at epoch ${head.epoch}. Remove it first.`, {
    details: { stream, epoch: head.epoch },
  })
}

/** Refuses what only a stream that exists can answer. Throws `ConflictError`. */
export function checkExists<T>(head: T | undefined, stream: string): T {
  if (head !== undefined) return head
  throw new ConflictError(`The store has no stream ${JSON.stringify(stream)}. Its streams are listed by \`streams()\`.`, {
    details: { stream },
  })
}

/**
 * The `seq` below which entries of kind `batch` and `discard` go, or undefined where it is not time: a store trims once in a thousand entries, so it
 * may hold as many more than it keeps, and an ordinary commit pays nothing.
 */
export function trimBelow(previousSeq: number, lastSeq: number, kept = HISTORY_KEPT): number | undefined {
  const isTime = Math.floor(previousSeq / TRIM_EVERY) < Math.floor(lastSeq / TRIM_EVERY)
  return isTime && lastSeq > kept ? lastSeq - kept + 1 : undefined
}

/** Whether trimming leaves an entry alone: starting points and resets say where a stream's records come from, so they stay. */
export function isKeptForEver(entry: Pick<HistoryEntry, 'kind'>): boolean {
  return entry.kind === 'start' || entry.kind === 'reset'
}
