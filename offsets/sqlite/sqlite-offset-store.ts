import { type Clock, systemClock } from '../../src/core/clock.ts'
import type {
  AcquireOptions,
  HistoryEntry,
  HistoryOptions,
  Lease,
  OffsetStore,
  ResetOptions,
  StreamSnapshot,
  StreamState,
} from '../../src/core/offset-store.ts'
import { type Random, systemRandom } from '../../src/core/random.ts'
import type { CallOptions } from '../../src/core/source.ts'
import {
  checkAcquire,
  checkBegin,
  checkCommit,
  checkExists,
  checkLive,
  checkReset,
  checkRestore,
  isLive,
  positionsAfter,
  resetEntries,
  trimBelow,
} from '../../src/core/store-rules.ts'
import { checkLeaseRequest, checkNote, checkSnapshot, checkStreamName, completeHistoryOptions } from '../../src/core/store-values.ts'
import { type Batch, comparePartitions, type PartitionOffset } from '../../src/core/values.ts'
import { SqliteConnection } from './sqlite-connection.ts'
import type { Statements, StoredHead } from './statements.ts'

const HISTORY_PAGE = 64

/**
 * Offsets in an SQLite file. Each write is one `begin immediate` transaction that loads the stream's head, asks the rules, and writes. Leases live by
 * the machine's wall clock, which every process that uses the file shares; what a jump of it does is said at the rule.
 */
export class SqliteOffsetStore implements OffsetStore, AsyncDisposable {
  readonly #connection: SqliteConnection
  readonly #clock: Clock
  readonly #random: Random
  readonly #held = new Map<string, Lease>()

  constructor(path: string, seams: { readonly clock?: Clock; readonly random?: Random } = {}) {
    this.#clock = seams.clock ?? systemClock
    this.#random = seams.random ?? systemRandom
    this.#connection = new SqliteConnection(path, this.#clock)
  }

  async acquire(stream: string, owner: string, ttlMs: number, options: AcquireOptions = {}): Promise<Lease> {
    const lease = await this.#connection.write(options, statements => {
      checkLeaseRequest(stream, owner, ttlMs)
      const nowMs = this.#clock.now()
      const head = statements.head(stream)
      const epoch = checkAcquire(head, { stream, owner, nowMs, steal: options.steal ?? false })
      const streamId = head?.streamId ?? this.#random.id()
      if (head === undefined) statements.insertHead(stream, { streamId, epoch, lastBatchId: 0, lastCommittedId: 0, lastSeq: 0 })
      const granted: Lease = { stream, owner, epoch, streamId, ttlMs }
      statements.grant(granted, nowMs)
      return granted
    })
    this.#held.set(stream, lease)
    return { ...lease }
  }

  renew(lease: Lease, options: CallOptions = {}): Promise<void> {
    return this.#write(lease, 'Renewal of the lease', options, statements => statements.grant(lease, this.#clock.now()))
  }

  async release(lease: Lease, options: CallOptions = {}): Promise<void> {
    await this.#write(lease, 'Release of the lease', options, (statements, { key }) => statements.endLease(key, null))
    this.#held.delete(lease.stream)
  }

  async read(stream: string, options: CallOptions = {}): Promise<StreamState> {
    return this.#connection.read(options, statements => {
      checkStreamName(stream)
      const head = statements?.head(stream)
      if (statements === undefined || head === undefined) {
        return { streamId: undefined, epoch: 0, offsets: [], lastBatchId: 0, pending: undefined }
      }
      const { streamId, epoch, lastBatchId, retired } = head
      const offsets = statements.offsets(head.key).sort(comparePartitions)
      const pending = statements.pending(head.key)?.batch
      return { streamId, epoch, offsets, lastBatchId, pending, ...(retired !== undefined && { retired }) }
    })
  }

  begin(lease: Lease, batch: Batch, options: CallOptions = {}): Promise<void> {
    return this.#write(lease, `Begin of batch ${batch.id}`, options, (statements, head) => {
      const pending = statements.pending(head.key)?.batch
      const decided = checkBegin(head, pending, lease.stream, batch, at => statements.committed(head.key, at))
      if (decided === 'begin') statements.insertPending(head.key, batch)
    })
  }

  commit(lease: Lease, batchId: number, options: CallOptions = {}): Promise<void> {
    return this.#write(lease, `Commit of batch ${batchId}`, options, (statements, head) => {
      const pending = statements.pending(head.key)
      const batch = checkCommit(head, pending?.batch, lease.stream, batchId)
      if (batch === undefined || pending === undefined) return
      for (const position of positionsAfter(batch.ranges)) statements.putOffset(head.key, position)
      statements.removePending(head.key)
      const entry: HistoryEntry = { kind: 'batch', seq: head.lastSeq + 1, at: this.#clock.now(), epoch: lease.epoch, batch }
      statements.insertEntry(head.key, entry, `{"batch":${pending.text}}`)
      advance(statements, head, { lastBatchId: batchId, lastCommittedId: batchId, lastSeq: entry.seq })
    })
  }

  reset(lease: Lease, offsets: readonly PartitionOffset[], options: ResetOptions = {}): Promise<void> {
    return this.#write(lease, 'Reset', options, (statements, head) => {
      const plan = checkReset(statements.pending(head.key)?.batch, lease.stream, offsets, options)
      for (const at of plan.forget) statements.removeOffset(head.key, at)
      for (const position of plan.offsets) statements.putOffset(head.key, position)
      if (plan.discarded !== undefined) statements.removePending(head.key)
      const entries = resetEntries(plan, { seq: head.lastSeq + 1, at: this.#clock.now(), epoch: lease.epoch })
      for (const entry of entries) statements.insertEntry(head.key, entry)
      advance(statements, head, { lastBatchId: plan.discarded?.id ?? head.lastBatchId, lastSeq: head.lastSeq + entries.length })
    })
  }

  async *history(stream: string, options: HistoryOptions = {}): AsyncGenerator<HistoryEntry> {
    checkStreamName(stream)
    let { before, limit } = completeHistoryOptions(options)
    // By pages, each a transaction of its own: one that stayed open between two entries would keep SQLite from ever shortening its log.
    for (;;) {
      const page = await this.#connection.read(options, statements => {
        const head = statements?.head(stream)
        return statements === undefined || head === undefined ? [] : statements.entries(head.key, before, Math.min(limit, HISTORY_PAGE))
      })
      yield* page
      limit -= page.length
      before = page.at(-1)?.seq ?? 0
      if (page.length < HISTORY_PAGE || limit === 0) return
    }
  }

  async streams(options: CallOptions = {}): Promise<string[]> {
    return this.#connection.read(options, statements => (statements?.streams() ?? []).sort())
  }

  async snapshot(stream: string, options: CallOptions = {}): Promise<StreamSnapshot> {
    return this.#connection.read(options, statements => {
      checkStreamName(stream)
      const { key, streamId, epoch, lastBatchId, lastCommittedId } = checkExists(statements?.head(stream), stream)
      return {
        v: 1,
        stream,
        streamId,
        epoch,
        offsets: (statements?.offsets(key) ?? []).sort(comparePartitions),
        lastBatchId,
        lastCommittedId,
        pending: statements?.pending(key)?.batch ?? null,
        history: (statements?.entries(key, Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER) ?? []).reverse(),
      }
    })
  }

  async restore(snapshot: StreamSnapshot, options: CallOptions = {}): Promise<void> {
    return this.#connection.write(options, statements => {
      const { stream, pending, history, offsets } = snapshot
      checkSnapshot(snapshot)
      checkRestore(statements.head(stream), stream)
      statements.insertHead(stream, { ...snapshot, lastSeq: history.at(-1)?.seq ?? 0 })
      const { key } = checkExists(statements.head(stream), stream)
      for (const position of offsets) statements.putOffset(key, position)
      if (pending !== null) statements.insertPending(key, pending)
      for (const entry of history) statements.insertEntry(key, entry)
    })
  }

  async retire(lease: Lease, note: string, options: CallOptions = {}): Promise<void> {
    await this.#write(lease, 'Retirement', options, (statements, { key }) => {
      checkNote(note)
      statements.endLease(key, note)
    })
    this.#held.delete(lease.stream)
  }

  async remove(lease: Lease, options: CallOptions = {}): Promise<void> {
    await this.#write(lease, 'Removal', options, (statements, { key }) => statements.removeStream(key))
    this.#held.delete(lease.stream)
  }

  async close(): Promise<void> {
    const held = [...this.#held.values()]
    this.#held.clear()
    try {
      if (held.length > 0) await this.#connection.write({}, statements => endLeases(statements, held))
    } finally {
      this.#connection.close()
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  #write(lease: Lease, action: string, options: CallOptions, run: (statements: Statements, head: StoredHead) => void): Promise<void> {
    return this.#connection.write(options, statements => {
      run(statements, checkLive(statements.head(lease.stream), lease, action))
    })
  }
}

/** Those that somebody took over meanwhile are no longer ours to end. */
function endLeases(statements: Statements, held: readonly Lease[]): void {
  for (const lease of held) {
    const head = statements.head(lease.stream)
    if (head !== undefined && isLive(head, lease)) statements.endLease(head.key, null)
  }
}

function advance(statements: Statements, head: StoredHead, now: Partial<StoredHead> & { readonly lastSeq: number }): void {
  statements.advance({ ...head, ...now })
  const below = trimBelow(head.lastSeq, now.lastSeq)
  if (below !== undefined) statements.trim(head.key, below)
}
