import { type Clock, systemClock } from '../../src/core/clock.ts'
import { isTidemarkError } from '../../src/core/errors.ts'
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
  resetEntries,
  type StreamHead,
  trimBelow,
} from '../../src/core/store-rules.ts'
import {
  checkLeaseRequest,
  checkNote,
  checkSnapshot,
  checkStreamName,
  completeHistoryOptions,
  copyJson,
} from '../../src/core/store-values.ts'
import { type Batch, comparePartitions, type PartitionOffset, partitionKey } from '../../src/core/values.ts'
import { readHistory } from './history-pages.ts'
import type { CompleteOptions } from './options.ts'
import { PostgresConnection } from './postgres-connection.ts'
import type { Answer } from './session.ts'
import type { Sql } from './sql.ts'
import { type Advance, type Patience, type Statements, statementsOf } from './statements.ts'
import { readBatch, readEntry, readHead, readPositions, type StoredHead } from './stored-stream.ts'
import { fromColumn } from './text.ts'

/** A stream as a write sees it, its row locked: `more` answers what the write asked besides. */
type Look = { readonly head: StoredHead | undefined; readonly nowMs: number; readonly more: readonly Answer[]; readonly isResend: boolean }
/** What a write came to: what it returns, and what is sent together with the commit. The first statement touches one row, or all begins again. */
type Decision<T> = { readonly result: T; readonly write: readonly Sql[] }

/**
 * Offsets in Postgres. Each write is one transaction of two round trips: the first begins it, locks the stream's row and looks; the rules decide; the
 * second writes and commits. Leases live by the server's clock.
 *
 * A write whose connection broke is sent again, and may have been done already. `begin`, `commit` and `renew` may be done twice by their rules; every other
 * call leaves its own name in the stream's row, and who finds it there has nothing left to do.
 */
export class PostgresOffsetStore implements OffsetStore, AsyncDisposable {
  readonly #connection: PostgresConnection
  readonly #statements: Statements
  readonly #random: Random
  readonly #held = new Map<string, Lease>()

  constructor(options: CompleteOptions, seams: { readonly clock?: Clock; readonly random?: Random; readonly patience?: Patience } = {}) {
    this.#connection = new PostgresConnection(options, seams.clock ?? systemClock)
    this.#statements = statementsOf(options.schema, seams.patience)
    this.#random = seams.random ?? systemRandom
  }

  async acquire(stream: string, owner: string, ttlMs: number, options: AcquireOptions = {}): Promise<Lease> {
    checkLeaseRequest(stream, owner, ttlMs)
    const id = this.#random.id()
    const lease = await this.#write<Lease>(stream, options, [], ({ head, nowMs }) => {
      if (head?.lastWrite === id) return { result: { stream, owner, epoch: head.epoch, streamId: head.streamId, ttlMs }, write: [] }
      const epoch = checkAcquire(head, { stream, owner, nowMs, steal: options.steal ?? false })
      const granted: Lease = { stream, owner, epoch, streamId: head?.streamId ?? this.#random.id(), ttlMs }
      if (head !== undefined) return { result: granted, write: [this.#statements.grant(head.key, granted, nowMs, id)] }
      const made = { ...emptyHead(granted.streamId), epoch, lease: { owner, renewedAtMs: nowMs, ttlMs } }
      return { result: granted, write: [this.#statements.insertHead(stream, made, id)] }
    })
    this.#held.set(stream, lease)
    return { ...lease }
  }

  renew(lease: Lease, options: CallOptions = {}): Promise<void> {
    return this.#writeAs(lease, 'Renewal of the lease', options, [], (head, { nowMs }) => [this.#statements.renew(head.key, lease, nowMs)])
  }

  async release(lease: Lease, options: CallOptions = {}): Promise<void> {
    await this.#writeAs(lease, 'Release of the lease', options, [], (head, _, id) => [this.#statements.endLease(head.key, undefined, id)])
    this.#held.delete(lease.stream)
  }

  async read(stream: string, options: CallOptions = {}): Promise<StreamState> {
    checkStreamName(stream)
    const { head, pending, offsets } = await this.#read(stream, options)
    if (head === undefined) return { streamId: undefined, epoch: 0, offsets: [], lastBatchId: 0, pending: undefined }
    const { streamId, epoch, lastBatchId, retired } = head
    return { streamId, epoch, offsets, lastBatchId, pending, ...(retired !== undefined && { retired }) }
  }

  begin(lease: Lease, batch: Batch, options: CallOptions = {}): Promise<void> {
    const { stream } = lease
    const ask = [this.#statements.pending(stream), this.#statements.positionsOf(stream, batch.ranges)]
    return this.#writeAs(lease, `Begin of batch ${batch.id}`, options, ask, (head, { nowMs, more }) => {
      const committed = new Map(readPositions(more[1]?.rows[0]).map(at => [partitionKey(at), at.offset]))
      const decided = checkBegin(head, readBatch(more[0]?.rows[0]), stream, batch, at => committed.get(partitionKey(at)))
      if (decided === 'begun') return []
      const stamp = { seq: head.lastSeq + 1, at: nowMs, epoch: lease.epoch }
      return this.#statements.insertBegun(this.#statements.key(head.key), batch, stamp)
    })
  }

  commit(lease: Lease, batchId: number, options: CallOptions = {}): Promise<void> {
    const ask = [this.#statements.pendingId(lease.stream)]
    return this.#writeAs(lease, `Commit of batch ${batchId}`, options, ask, (head, { nowMs, more }, id) => {
      const begun = more[0]?.rows[0]?.batch_id
      const pending = typeof begun === 'string' ? { id: Number(begun) } : undefined
      if (checkCommit(head, pending, lease.stream, batchId) === undefined) return []
      const stamp = { seq: head.lastSeq + 1, at: nowMs, epoch: lease.epoch }
      return [
        ...this.#advance(head, { lastBatchId: batchId, lastCommittedId: batchId, lastSeq: stamp.seq }, id),
        this.#statements.moveOffsets(head.key, stamp.seq),
        this.#statements.endBegun(head.key, 'batch', stamp),
      ]
    })
  }

  reset(lease: Lease, offsets: readonly PartitionOffset[], options: ResetOptions = {}): Promise<void> {
    const ask = [this.#statements.pending(lease.stream)]
    return this.#writeAs(lease, 'Reset', options, ask, (head, { nowMs, more }, id) => {
      const plan = copyJson(checkReset(readBatch(more[0]?.rows[0]), lease.stream, offsets, options))
      const entries = resetEntries(plan, { seq: head.lastSeq + 1, at: nowMs, epoch: lease.epoch })
      const lastBatchId = plan.discarded?.id ?? head.lastBatchId
      const key = this.#statements.key(head.key)
      return [
        ...this.#advance(head, { ...head, lastBatchId, lastSeq: head.lastSeq + entries.length }, id),
        ...this.#statements.removeOffsets(head.key, plan.forget),
        ...this.#statements.putOffsets(key, plan.offsets),
        ...entries
          .filter(entry => entry.kind === 'discard')
          .map(entry => this.#statements.endBegun(head.key, 'discard', entry, entry.reason)),
        ...this.#statements.insertEntries(
          key,
          entries.filter(entry => entry.kind !== 'discard'),
        ),
      ]
    })
  }

  async *history(stream: string, options: HistoryOptions = {}): AsyncGenerator<HistoryEntry> {
    checkStreamName(stream)
    const { before, limit } = completeHistoryOptions(options)
    yield* readHistory(before, limit, async (below, count) => {
      const answers = await this.#connection.read(options, session => session.send([this.#statements.entries(stream, below, count)]))
      return answers?.[0]?.rows ?? []
    })
  }

  async streams(options: CallOptions = {}): Promise<string[]> {
    const answers = await this.#connection.read(options, session => session.send([this.#statements.names()]))
    return (answers?.[0]?.rows ?? []).map(({ name }) => fromColumn(name ?? '')).sort()
  }

  async snapshot(stream: string, options: CallOptions = {}): Promise<StreamSnapshot> {
    checkStreamName(stream)
    const everything = this.#statements.entries(stream, Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER)
    const { head, pending = null, offsets, more } = await this.#read(stream, options, [everything])
    const { streamId, epoch, lastBatchId, lastCommittedId } = checkExists(head, stream)
    const history = (more[0]?.rows ?? []).map(readEntry).reverse()
    return { v: 1, stream, streamId, epoch, offsets, lastBatchId, lastCommittedId, pending, history }
  }

  async restore(snapshot: StreamSnapshot, options: CallOptions = {}): Promise<void> {
    checkSnapshot(snapshot)
    const { stream, streamId, epoch, lastBatchId, lastCommittedId, offsets, pending, history } = copyJson(snapshot)
    const id = this.#random.id()
    await this.#write<void>(stream, options, [], ({ head, nowMs }) => {
      if (head?.lastWrite === id) return DONE
      checkRestore(head, stream)
      const lastSeq = history.at(-1)?.seq ?? 0
      const made = { ...emptyHead(streamId), epoch, lastBatchId, lastCommittedId, lastSeq }
      // Where somebody made the stream in between, nobody's row bears this call's name, and nothing of this goes in.
      const key = this.#statements.keyWrittenBy(stream, id)
      const begun = pending === null ? [] : this.#statements.insertBegun(key, pending, { seq: lastSeq + 1, at: nowMs, epoch })
      return {
        result: undefined,
        write: [
          this.#statements.insertHead(stream, made, id),
          ...this.#statements.putOffsets(key, offsets),
          ...this.#statements.insertEntries(key, history),
          ...begun,
        ],
      }
    })
  }

  async retire(lease: Lease, note: string, options: CallOptions = {}): Promise<void> {
    await this.#writeAs(lease, 'Retirement', options, [], (head, _, id) => {
      checkNote(note)
      return [this.#statements.endLease(head.key, note, id)]
    })
    this.#held.delete(lease.stream)
  }

  async remove(lease: Lease, options: CallOptions = {}): Promise<void> {
    await this.#write<void>(lease.stream, options, [], ({ head, isResend }) => {
      if (isResend && head?.streamId !== lease.streamId) return DONE
      return { result: undefined, write: this.#statements.remove(checkLive(head, lease, 'Removal').key) }
    })
    this.#held.delete(lease.stream)
  }

  async close(): Promise<void> {
    const held = [...this.#held.values()]
    this.#held.clear()
    try {
      for (const lease of held) await this.release(lease).catch(ignoreFenced)
    } finally {
      await this.#connection.close()
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  /** One write under a lease, by what it does to the stream's row; an empty list says that there is nothing to do. */
  #writeAs(
    lease: Lease,
    action: string,
    options: CallOptions,
    ask: readonly Sql[],
    decide: (head: StoredHead, look: Look, id: string) => readonly Sql[],
  ): Promise<void> {
    const id = this.#random.id()
    return this.#write(lease.stream, options, ask, look => {
      if (look.head?.lastWrite === id) return DONE
      return { result: undefined, write: decide(checkLive(look.head, lease, action), look, id) }
    })
  }

  #write<T>(stream: string, options: CallOptions, ask: readonly Sql[], decide: (look: Look) => Decision<T>): Promise<T> {
    const { beginWrite, lockHead, clock, commit } = this.#statements
    const begin = [...beginWrite(), lockHead(stream), clock(), ...ask]
    return this.#connection.write(options, async (session, isResend) => {
      for (;;) {
        const [, , locked, time, ...more] = await session.send(begin)
        const look = { head: readHead(locked?.rows[0]), nowMs: Number(time?.rows[0]?.now_ms), more, isResend }
        const { result, write } = decide(look)
        const [first] = await session.sendAll([...write, commit()])
        // Two made the stream at once, and the other was first. Its row is there to be locked now.
        if (write.length === 0 || first?.rowCount === 1) return result
        options.signal?.throwIfAborted()
      }
    })
  }

  /** A look at one moment: a transaction of one round trip. */
  async #read(
    stream: string,
    options: CallOptions,
    ask: readonly Sql[] = [],
  ): Promise<{ head: StoredHead | undefined; pending: Batch | undefined; offsets: PartitionOffset[]; more: readonly Answer[] }> {
    const { beginRead, head, pending, positions, commit } = this.#statements
    const statements = [beginRead(), head(stream), pending(stream), positions(stream), ...ask, commit()]
    const [, row, begun, offsets, ...more] = (await this.#connection.read(options, session => session.send(statements))) ?? []
    return {
      head: readHead(row?.rows[0]),
      pending: readBatch(begun?.rows[0]),
      offsets: readPositions(offsets?.rows[0]).sort(comparePartitions),
      more,
    }
  }

  #advance(head: StoredHead, now: Advance, id: string): Sql[] {
    const below = trimBelow(head.lastSeq, now.lastSeq)
    return [this.#statements.advance(head.key, now, id), ...(below === undefined ? [] : [this.#statements.trim(head.key, below)])]
  }
}

const DONE: Decision<void> = { result: undefined, write: [] }

function emptyHead(streamId: string): StreamHead {
  return { streamId, epoch: 0, lease: undefined, lastBatchId: 0, lastCommittedId: 0, lastSeq: 0, retired: undefined }
}

/** Of a lease that somebody took over there is nothing to release. */
function ignoreFenced(error: unknown): void {
  if (!isTidemarkError(error, 'FENCED')) throw error
}
