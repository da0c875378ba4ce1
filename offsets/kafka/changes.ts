import type { Lease, StreamSnapshot } from '../../src/core/offset-store.ts'
import { isKeptForEver, positionsAfter, type ResetPlan, resetEntries, type StreamHead, trimBelow } from '../../src/core/store-rules.ts'
import { type Batch, type PartitionOffset, partitionKey } from '../../src/core/values.ts'
import type { Change } from './stream-log.ts'
import type { StreamKey } from './stream-records.ts'
import type { PlacedEntry, StreamView } from './stream-view.ts'

/** The lease is granted or kept from the moment the broker appends this. */
export function grant(view: StreamView, head: StreamHead, { epoch, owner, ttlMs }: Lease): Change {
  return { head: { ...headOf(head, view.hasPending), epoch, lease: { owner, ttlMs } } }
}

export function endLease(view: StreamView, head: StreamHead, retired: string | null = null): Change {
  return { head: { ...headOf(head, view.hasPending), lease: null, retired } }
}

export function beginBatch(head: StreamHead, pending: Batch): Change {
  return { head: headOf(head, true), pending }
}

/** The batch becomes an entry and its ends the positions; the begun batch's own record is overwritten by the next. */
export function commitBatch(view: StreamView, head: StreamHead, { epoch }: Lease, batch: Batch): Change {
  const moved = positionsAfter(batch.ranges)
  const seq = head.lastSeq + 1
  return {
    head: { ...headOf(head, false), lastBatchId: batch.id, lastCommittedId: batch.id, lastSeq: seq },
    positions: withMoved(view.positions, moved),
    moved,
    entries: [{ seq, kind: 'batch', value: { epoch, batch } }],
    gone: trimmed(view, head, seq),
  }
}

export function resetOffsets(view: StreamView, head: StreamHead, { epoch }: Lease, plan: ResetPlan): Change {
  const positions = withMoved(view.positions, plan.offsets)
  for (const at of plan.forget) positions.delete(partitionKey(at))
  const entries = resetEntries(plan, { seq: head.lastSeq + 1, at: 0, epoch }).map(({ seq, kind, at: _, ...value }) => ({
    seq,
    kind,
    value,
  }))
  const lastSeq = head.lastSeq + entries.length
  return {
    head: { ...headOf(head, false), lastBatchId: plan.discarded?.id ?? head.lastBatchId, lastSeq },
    positions,
    moved: plan.offsets,
    entries,
    gone: trimmed(view, head, lastSeq),
  }
}

/** The first head of a stream that no lease was granted for yet. */
export function firstHead(streamId: string): StreamHead {
  return { streamId, epoch: 0, lease: undefined, lastBatchId: 0, lastCommittedId: 0, lastSeq: 0, retired: undefined }
}

export function restoreStream({ streamId, epoch, lastBatchId, lastCommittedId, offsets, pending, history }: StreamSnapshot): Change {
  const head = { ...firstHead(streamId), epoch, lastBatchId, lastCommittedId, lastSeq: history.at(-1)?.seq ?? 0 }
  return {
    head: headOf(head, pending !== null),
    positions: withMoved(new Map(), offsets),
    entries: history.map(({ seq, kind, ...value }) => ({ seq, kind, value })),
    ...(pending !== null && { pending }),
  }
}

/** All that is of this life of the stream goes; the head stays and says so. */
export function removeStream(view: StreamView, head: StreamHead): Change {
  const { stream, parts } = view
  const values = (['offsets', 'pending'] as const).flatMap(kind =>
    Array.from({ length: parts[kind] }, (_, part): StreamKey => [stream, kind, head.streamId, part]),
  )
  return {
    head: { ...headOf(head, false), lease: null, isRemoved: true },
    gone: [...values, ...[...view.entries.values()].flatMap(entry => entryKeys(stream, head, entry))],
  }
}

function headOf(head: StreamHead, hasPending: boolean): Change['head'] {
  const { lease, retired, ...rest } = head
  return { ...rest, lease: lease ?? null, retired: retired ?? null, hasPending, isRemoved: false }
}

function withMoved(positions: ReadonlyMap<string, PartitionOffset>, moved: readonly PartitionOffset[]): Map<string, PartitionOffset> {
  const all = new Map(positions)
  for (const position of moved) all.set(partitionKey(position), position)
  return all
}

function trimmed({ stream, entries }: StreamView, head: StreamHead, lastSeq: number): StreamKey[] {
  const below = trimBelow(head.lastSeq, lastSeq)
  if (below === undefined) return []
  const old = [...entries.values()].filter(entry => entry.seq < below && !isKeptForEver(entry))
  return old.flatMap(entry => entryKeys(stream, head, entry))
}

function entryKeys(stream: string, { streamId }: StreamHead, { seq, kind, parts }: PlacedEntry): StreamKey[] {
  return Array.from({ length: parts }, (_, part): StreamKey => [stream, 'entry', streamId, seq, kind, part])
}
