import type { HistoryEntry } from '../../src/core/offset-store.ts'
import { trimBelow } from '../../src/core/store-rules.ts'
import { copyJson, writeJson } from '../../src/core/store-values.ts'
import { comparePartitions } from '../../src/core/values.ts'
import { INLINE_CHARACTERS, nodesOf, prepareBlob } from './blobs.ts'
import { appendEntries, type StoredEntry } from './history-log.ts'
import type { Operation } from './operations.ts'
import type { Session } from './session.ts'
import { pack } from './stored-text.ts'
import type { StreamPaths } from './stream-paths.ts'
import { isBlob, type PendingBatch, type StreamRecord } from './stream-record.ts'
import { type Known, type Positions, StreamView } from './stream-view.ts'

/** What a write does to a stream; what is not named stays. */
export type Change = {
  readonly record?: Partial<Pick<StreamRecord, 'epoch' | 'lease' | 'lastBatchId' | 'lastCommittedId' | 'retired'>>
  readonly positions?: Positions
  readonly pending?: PendingBatch | null
  /** Oldest first. What is pending goes into the history as it is stored, which need not be written again. */
  readonly entries?: readonly StoredEntry[]
  /** Writes the lease's node, so that its time is now: where it has `version`, or whatever that is. */
  readonly renewal?: { readonly version?: number }
}

/** One `multi` that takes a stream from one version of its head to the next, and the stream after it. */
export type Swing = {
  readonly operations: readonly Operation[]
  readonly next: StreamView
  /** Blobs that were written before it, to be removed where it is refused. */
  readonly staged: readonly string[]
}

const EMPTY = Buffer.alloc(0)

/**
 * Turns a change into its transaction. `nonce` goes into the head; `id` is for this attempt alone and names what it writes beside the head.
 *
 * The head's version is what decides; that the lease's node is there says that it is the version of the same generation. The sequence that this
 * prevents: a driver has read version 7; the stream is removed and made again, and its new head reaches version 7; the driver's write fits.
 */
export async function prepareSwing(
  session: Session,
  paths: StreamPaths,
  view: StreamView,
  change: Change,
  { nonce, id, historyEntries }: { readonly nonce: string; readonly id: string; readonly historyEntries: number },
): Promise<Swing> {
  const { record, version, paths: inside } = view
  const lease: Operation =
    change.renewal === undefined ? { do: 'check', path: inside.lease } : { do: 'set', path: inside.lease, data: EMPTY, ...change.renewal }
  const isRenewal = Object.keys(change).every(key => key === 'renewal')
  if (isRenewal) return { operations: [{ do: 'check', path: paths.head, version }, lease], next: view, staged: [] }

  const operations: Operation[] = []
  const staged: string[] = []
  const known: { -readonly [Key in keyof Known]: Known[Key] } = { ...(await view.known()) }
  const keep = async <T>(kind: string, json: string, inline: () => T) => {
    if (json.length <= INLINE_CHARACTERS) return inline()
    const name = `${kind}-${id}`
    const blob = await prepareBlob(session, inside, name, json)
    if (blob.ref.parts > 1) staged.push(name)
    operations.push(...blob.operations)
    return blob.ref
  }

  let { offsets, pending, tailFrom, trimmedBelow, lastSeq } = record
  if (change.positions !== undefined) {
    const sorted = [...change.positions.values()].sort(comparePartitions)
    if (isBlob(offsets)) operations.push(...nodesOf(inside, offsets).map((path): Operation => ({ do: 'remove', path })))
    offsets = await keep('offsets', writeJson(sorted), () => sorted)
    known.positions = change.positions
  }
  if (change.pending !== undefined) {
    known.pendingJson = change.pending === null ? undefined : writeJson(change.pending)
    const begun = change.pending
    pending = begun === null ? null : await keep('batch', known.pendingJson ?? '', () => copyJson(begun))
  }
  if (change.entries !== undefined && change.entries.length > 0) {
    const added: string[] = []
    for (const entry of change.entries) {
      const { seq, kind, at, epoch, ...rest } = entry
      const json = writeJson(rest)
      const body = await keep(`entry-${seq}`, json, () => undefined)
      added.push(writeJson(body === undefined ? entry : { seq, kind, at, epoch, body }))
      lastSeq = seq
    }
    const appended = appendEntries(inside, { tail: await view.tail(session), tailFrom }, added, lastSeq)
    operations.push(...appended.operations)
    known.tail = appended.tail
    tailFrom = appended.tailFrom
    trimmedBelow = trimBelow(record.lastSeq, lastSeq, historyEntries) ?? trimmedBelow
  }

  const next: StreamRecord = { ...record, ...change.record, nonce, offsets, pending, tailFrom, trimmedBelow, lastSeq }
  const head: Operation = { do: 'set', path: paths.head, data: pack(writeJson(next)), version }
  return { operations: [head, lease, ...operations], next: new StreamView(next, version + 1, inside, known), staged }
}

/** What was begun as the history will keep it: as it is, or where it is. */
export function pendingEntry(
  view: StreamView,
  stamp: Pick<HistoryEntry, 'seq' | 'at' | 'epoch'> & ({ readonly kind: 'batch' } | { readonly kind: 'discard'; readonly reason: string }),
): StoredEntry {
  const { pending } = view.record
  if (pending === null) throw new TypeError('no batch is begun')
  return isBlob(pending) ? { ...stamp, body: pending } : { ...stamp, ...pending }
}
