// An offset store over documents that are written on condition. All decisions are those of tidemark/rules.
import { randomUUID } from 'node:crypto'
import type {
  AcquireOptions,
  Batch,
  CallOptions,
  HistoryEntry,
  HistoryOptions,
  Lease,
  OffsetStore,
  PartitionOffset,
  ResetOptions,
  StreamSnapshot,
  StreamState,
} from 'tidemark'
import * as rules from 'tidemark/rules'
import type { VersionedFiles } from './versioned-files.ts'

/** Everything that is kept of a stream. Small streams and short histories; a large one would want its history elsewhere. */
type Document = rules.StreamHead & {
  readonly v: 1
  readonly stream: string
  readonly offsets: readonly PartitionOffset[]
  readonly pending: Batch | undefined
  readonly history: readonly HistoryEntry[]
}

/** What a change makes of a document: another one, the same (nothing to write), or none (removed). */
type Change = (found: Document | undefined) => Document | undefined

/** How many batches the history keeps, beside starts and resets. */
const HISTORY_KEPT = 1_000

export class DocumentOffsetStore implements OffsetStore {
  readonly #documents: VersionedFiles
  readonly #held = new Map<string, Lease>()

  constructor(documents: VersionedFiles) {
    this.#documents = documents
  }

  async acquire(stream: string, owner: string, ttlMs: number, { steal = false, signal }: AcquireOptions = {}): Promise<Lease> {
    rules.checkLeaseRequest(stream, owner, ttlMs)
    const newId = randomUUID()
    const { streamId, epoch } = await this.#change(stream, signal, found => {
      const nowMs = Date.now()
      const granted = rules.checkAcquire(found, { stream, owner, nowMs, steal })
      return { ...(found ?? emptyDocument(stream, newId)), epoch: granted, lease: { owner, renewedAtMs: nowMs, ttlMs } }
    })
    const lease = { stream, owner, epoch, streamId, ttlMs }
    this.#held.set(stream, lease)
    return { ...lease }
  }

  async renew(lease: Lease, { signal }: CallOptions = {}): Promise<void> {
    const { owner, ttlMs } = lease
    await this.#write(lease, 'Renewal of the lease', signal, found => ({ ...found, lease: { owner, renewedAtMs: Date.now(), ttlMs } }))
  }

  async release(lease: Lease, { signal }: CallOptions = {}): Promise<void> {
    await this.#write(lease, 'Release of the lease', signal, found => ({ ...found, lease: undefined }))
    this.#held.delete(lease.stream)
  }

  async read(stream: string, { signal }: CallOptions = {}): Promise<StreamState> {
    rules.checkStreamName(stream)
    const found = (await this.#load(stream, signal)).document
    if (found === undefined) return { streamId: undefined, epoch: 0, offsets: [], lastBatchId: 0, pending: undefined }
    const { streamId, epoch, offsets, lastBatchId, pending, retired } = found
    return { streamId, epoch, offsets, lastBatchId, pending, ...(retired !== undefined && { retired }) }
  }

  async begin(lease: Lease, batch: Batch, { signal }: CallOptions = {}): Promise<void> {
    await this.#write(lease, `Begin of batch ${batch.id}`, signal, found => {
      const offsets = new Map(found.offsets.map(at => [rules.partitionKey(at), at.offset]))
      const decided = rules.checkBegin(found, found.pending, lease.stream, batch, at => offsets.get(rules.partitionKey(at)))
      return decided === 'begin' ? { ...found, pending: rules.copyJson(batch) } : found
    })
  }

  async commit(lease: Lease, batchId: number, { signal }: CallOptions = {}): Promise<void> {
    await this.#write(lease, `Commit of batch ${batchId}`, signal, found => {
      const batch = rules.checkCommit(found, found.pending, lease.stream, batchId)
      if (batch === undefined) return found
      const entry: HistoryEntry = { kind: 'batch', seq: found.lastSeq + 1, at: Date.now(), epoch: lease.epoch, batch }
      const moved = { ...found, offsets: moveTo(found.offsets, rules.positionsAfter(batch.ranges)) }
      return record({ ...moved, pending: undefined, lastBatchId: batchId, lastCommittedId: batchId }, [entry])
    })
  }

  async reset(lease: Lease, offsets: readonly PartitionOffset[], { signal, ...options }: ResetOptions = {}): Promise<void> {
    await this.#write(lease, 'Reset', signal, found => {
      const plan = rules.copyJson(rules.checkReset(found.pending, lease.stream, offsets, options))
      const forgotten = new Set(plan.forget.map(rules.partitionKey))
      const kept = found.offsets.filter(at => !forgotten.has(rules.partitionKey(at)))
      const entries = rules.resetEntries(plan, { seq: found.lastSeq + 1, at: Date.now(), epoch: lease.epoch })
      const lastBatchId = plan.discarded?.id ?? found.lastBatchId
      return record({ ...found, offsets: moveTo(kept, plan.offsets), pending: undefined, lastBatchId }, entries)
    })
  }

  async *history(stream: string, { signal, ...options }: HistoryOptions = {}): AsyncGenerator<HistoryEntry> {
    rules.checkStreamName(stream)
    const { before, limit } = rules.completeHistoryOptions(options)
    const entries = (await this.#load(stream, signal)).document?.history ?? []
    yield* entries
      .toReversed()
      .filter(({ seq }) => seq < before)
      .slice(0, limit)
  }

  async streams({ signal }: CallOptions = {}): Promise<string[]> {
    signal?.throwIfAborted()
    const found = (await this.#documents.texts()).map(parse)
    return found.flatMap(document => document?.stream ?? []).sort()
  }

  async snapshot(stream: string, { signal }: CallOptions = {}): Promise<StreamSnapshot> {
    rules.checkStreamName(stream)
    const found = rules.checkExists((await this.#load(stream, signal)).document, stream)
    const { streamId, epoch, offsets, lastBatchId, lastCommittedId, pending = null, history } = found
    return { v: 1, stream, streamId, epoch, offsets, lastBatchId, lastCommittedId, pending, history }
  }

  async restore(snapshot: StreamSnapshot, { signal }: CallOptions = {}): Promise<void> {
    rules.checkSnapshot(snapshot)
    const { v, stream, pending, ...rest } = rules.copyJson(snapshot)
    await this.#change(stream, signal, found => {
      rules.checkRestore(found, stream)
      return { ...emptyDocument(stream, rest.streamId), ...rest, pending: pending ?? undefined, lastSeq: rest.history.at(-1)?.seq ?? 0 }
    })
  }

  async retire(lease: Lease, note: string, { signal }: CallOptions = {}): Promise<void> {
    await this.#write(lease, 'Retirement', signal, found => {
      rules.checkNote(note)
      return { ...found, lease: undefined, retired: note }
    })
    this.#held.delete(lease.stream)
  }

  async remove(lease: Lease, { signal }: CallOptions = {}): Promise<void> {
    await this.#write(lease, 'Removal', signal, () => undefined)
    this.#held.delete(lease.stream)
  }

  async close(): Promise<void> {
    for (const lease of this.#held.values()) {
      if (rules.isLive((await this.#load(lease.stream)).document, lease)) await this.release(lease)
    }
    this.#held.clear()
  }

  /** A change under a live lease. */
  async #write(
    lease: Lease,
    action: string,
    signal: AbortSignal | undefined,
    change: (found: Document) => Document | undefined,
  ): Promise<void> {
    await this.#change(lease.stream, signal, found => change(rules.checkLive(found, lease, action)))
  }

  /** Decides on what is there, writes on condition that it still is, and looks again where somebody was faster. */
  async #change<Changed extends Change>(stream: string, signal: AbortSignal | undefined, change: Changed): Promise<ReturnType<Changed>> {
    for (;;) {
      const { version, document } = await this.#load(stream, signal)
      const changed = change(document)
      if (changed === document) return changed as ReturnType<Changed>
      if (await this.#documents.write(stream, version, JSON.stringify(changed ?? null))) return changed as ReturnType<Changed>
    }
  }

  async #load(stream: string, signal?: AbortSignal): Promise<{ readonly version: number; readonly document: Document | undefined }> {
    signal?.throwIfAborted()
    const { version, text } = await this.#documents.read(stream)
    return { version, document: text === undefined ? undefined : parse(text) }
  }
}

/** `null` is what a stream that was removed leaves. */
function parse(text: string): Document | undefined {
  return JSON.parse(text) ?? undefined
}

function emptyDocument(stream: string, streamId: string): Document {
  const head = { streamId, epoch: 0, lease: undefined, lastBatchId: 0, lastCommittedId: 0, lastSeq: 0, retired: undefined }
  return { v: 1, stream, ...head, offsets: [], pending: undefined, history: [] }
}

function moveTo(offsets: readonly PartitionOffset[], moved: readonly PartitionOffset[]): PartitionOffset[] {
  const all = new Map([...offsets, ...moved].map(at => [rules.partitionKey(at), at]))
  return [...all.values()].sort(rules.comparePartitions)
}

function record(document: Document, entries: readonly HistoryEntry[]): Document {
  const lastSeq = document.lastSeq + entries.length
  const history = [...document.history, ...entries].filter(entry => entry.seq > lastSeq - HISTORY_KEPT || rules.isKeptForEver(entry))
  return { ...document, history, lastSeq }
}
