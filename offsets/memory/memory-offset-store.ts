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
  isKeptForEver,
  isLive,
  positionsAfter,
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

type MemoryStream = { head: StreamHead; offsets: Map<string, PartitionOffset>; pending: Batch | undefined; history: HistoryEntry[] }

/** What a memory store holds; several clients may be given the same. */
export type MemoryStreams = Map<string, MemoryStream>

/**
 * A client of offsets in memory. Each call decides and writes in one step without a wait inside, which is its transaction. Values are copied on the
 * way in and out, so no caller holds a piece of the state.
 */
export class MemoryOffsetStore implements OffsetStore, AsyncDisposable {
  readonly #streams: MemoryStreams
  readonly #clock: Clock
  readonly #random: Random
  readonly #held = new Map<string, Lease>()

  constructor(streams: MemoryStreams = new Map(), seams: { readonly clock?: Clock; readonly random?: Random } = {}) {
    this.#streams = streams
    this.#clock = seams.clock ?? systemClock
    this.#random = seams.random ?? systemRandom
  }

  async acquire(stream: string, owner: string, ttlMs: number, options: AcquireOptions = {}): Promise<Lease> {
    options.signal?.throwIfAborted()
    checkLeaseRequest(stream, owner, ttlMs)
    const nowMs = this.#clock.monotonic()
    const found = this.#streams.get(stream)
    const epoch = checkAcquire(found?.head, { stream, owner, nowMs, steal: options.steal ?? false })
    const kept = found ?? emptyStream(this.#random.id())
    kept.head = { ...kept.head, epoch, lease: { owner, renewedAtMs: nowMs, ttlMs } }
    this.#streams.set(stream, kept)
    const lease: Lease = { stream, owner, epoch, streamId: kept.head.streamId, ttlMs }
    this.#held.set(stream, lease)
    return { ...lease }
  }

  async renew(lease: Lease, options: CallOptions = {}): Promise<void> {
    const kept = this.#live(lease, 'Renewal of the lease', options)
    kept.head = { ...kept.head, lease: { owner: lease.owner, renewedAtMs: this.#clock.monotonic(), ttlMs: lease.ttlMs } }
  }

  async release(lease: Lease, options: CallOptions = {}): Promise<void> {
    const kept = this.#live(lease, 'Release of the lease', options)
    kept.head = { ...kept.head, lease: undefined }
    this.#held.delete(lease.stream)
  }

  async read(stream: string, options: CallOptions = {}): Promise<StreamState> {
    options.signal?.throwIfAborted()
    checkStreamName(stream)
    const kept = this.#streams.get(stream)
    if (kept === undefined) return { streamId: undefined, epoch: 0, offsets: [], lastBatchId: 0, pending: undefined }
    const { streamId, epoch, lastBatchId, retired } = kept.head
    const state = { streamId, epoch, offsets: sorted(kept.offsets), lastBatchId, pending: kept.pending }
    return structuredClone(retired === undefined ? state : { ...state, retired })
  }

  async begin(lease: Lease, batch: Batch, options: CallOptions = {}): Promise<void> {
    const kept = this.#live(lease, `Begin of batch ${batch.id}`, options)
    const decided = checkBegin(kept.head, kept.pending, lease.stream, batch, at => kept.offsets.get(partitionKey(at))?.offset)
    if (decided === 'begin') kept.pending = copyJson(batch)
  }

  async commit(lease: Lease, batchId: number, options: CallOptions = {}): Promise<void> {
    const kept = this.#live(lease, `Commit of batch ${batchId}`, options)
    const batch = checkCommit(kept.head, kept.pending, lease.stream, batchId)
    if (batch === undefined) return
    for (const position of positionsAfter(batch.ranges)) kept.offsets.set(partitionKey(position), position)
    kept.pending = undefined
    kept.head = { ...kept.head, lastBatchId: batchId, lastCommittedId: batchId }
    this.#record(kept, [{ kind: 'batch', seq: kept.head.lastSeq + 1, at: this.#clock.now(), epoch: lease.epoch, batch }])
  }

  async reset(lease: Lease, offsets: readonly PartitionOffset[], options: ResetOptions = {}): Promise<void> {
    const kept = this.#live(lease, 'Reset', options)
    const plan = copyJson(checkReset(kept.pending, lease.stream, offsets, options))
    for (const at of plan.forget) kept.offsets.delete(partitionKey(at))
    for (const position of plan.offsets) kept.offsets.set(partitionKey(position), position)
    if (plan.discarded !== undefined) {
      kept.head = { ...kept.head, lastBatchId: plan.discarded.id }
      kept.pending = undefined
    }
    this.#record(kept, resetEntries(plan, { seq: kept.head.lastSeq + 1, at: this.#clock.now(), epoch: lease.epoch }))
  }

  async *history(stream: string, options: HistoryOptions = {}): AsyncGenerator<HistoryEntry> {
    options.signal?.throwIfAborted()
    checkStreamName(stream)
    const { before, limit } = completeHistoryOptions(options)
    const entries = [...(this.#streams.get(stream)?.history ?? [])].filter(entry => entry.seq < before).reverse()
    for (const entry of entries.slice(0, limit)) {
      options.signal?.throwIfAborted()
      yield structuredClone(entry)
    }
  }

  async streams(options: CallOptions = {}): Promise<string[]> {
    options.signal?.throwIfAborted()
    return [...this.#streams.keys()].sort()
  }

  async snapshot(stream: string, options: CallOptions = {}): Promise<StreamSnapshot> {
    options.signal?.throwIfAborted()
    checkStreamName(stream)
    const { head, offsets, pending, history } = checkExists(this.#streams.get(stream), stream)
    const { streamId, epoch, lastBatchId, lastCommittedId } = head
    const state = { streamId, epoch, offsets: sorted(offsets), lastBatchId, lastCommittedId, pending: pending ?? null, history }
    return structuredClone({ v: 1, stream, ...state })
  }

  async restore(snapshot: StreamSnapshot, options: CallOptions = {}): Promise<void> {
    options.signal?.throwIfAborted()
    checkSnapshot(snapshot)
    checkRestore(this.#streams.get(snapshot.stream)?.head, snapshot.stream)
    const { stream, streamId, epoch, lastBatchId, lastCommittedId, offsets, pending, history } = copyJson(snapshot)
    const kept = emptyStream(streamId)
    kept.head = { ...kept.head, epoch, lastBatchId, lastCommittedId, lastSeq: history.at(-1)?.seq ?? 0 }
    kept.offsets = new Map(offsets.map(position => [partitionKey(position), position]))
    kept.pending = pending ?? undefined
    kept.history = [...history]
    this.#streams.set(stream, kept)
  }

  async retire(lease: Lease, note: string, options: CallOptions = {}): Promise<void> {
    const kept = this.#live(lease, 'Retirement', options)
    checkNote(note)
    kept.head = { ...kept.head, lease: undefined, retired: note }
    this.#held.delete(lease.stream)
  }

  async remove(lease: Lease, options: CallOptions = {}): Promise<void> {
    this.#live(lease, 'Removal', options)
    this.#streams.delete(lease.stream)
    this.#held.delete(lease.stream)
  }

  async close(): Promise<void> {
    for (const lease of this.#held.values()) {
      if (isLive(this.#streams.get(lease.stream)?.head, lease)) await this.release(lease)
    }
    this.#held.clear()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  #live(lease: Lease, action: string, options: CallOptions): MemoryStream {
    options.signal?.throwIfAborted()
    const kept = this.#streams.get(lease.stream)
    checkLive(kept?.head, lease, action)
    return checkExists(kept, lease.stream)
  }

  #record(kept: MemoryStream, entries: readonly HistoryEntry[]): void {
    const previousSeq = kept.head.lastSeq
    const lastSeq = previousSeq + entries.length
    kept.history.push(...entries)
    kept.head = { ...kept.head, lastSeq }
    const below = trimBelow(previousSeq, lastSeq)
    if (below !== undefined) kept.history = kept.history.filter(entry => entry.seq >= below || isKeptForEver(entry))
  }
}

function emptyStream(streamId: string): MemoryStream {
  const head = { streamId, epoch: 0, lease: undefined, lastBatchId: 0, lastCommittedId: 0, lastSeq: 0, retired: undefined }
  return { head, offsets: new Map(), pending: undefined, history: [] }
}

function sorted(offsets: ReadonlyMap<string, PartitionOffset>): PartitionOffset[] {
  return [...offsets.values()].sort(comparePartitions)
}
