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
  isLive,
  type StreamHead,
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
import { untilAborted } from '../../src/util/until-aborted.ts'
import { beginBatch, commitBatch, endLease, firstHead, grant, removeStream, resetOffsets, restoreStream } from './changes.ts'
import { GroupMirror } from './group-mirror.ts'
import { pagesOf } from './history-reader.ts'
import { KafkaConnection } from './kafka-connection.ts'
import { OffsetsTopic } from './offsets-topic.ts'
import type { CompleteKafkaOffsetsOptions } from './options.ts'
import { listStreams } from './stream-list.ts'
import { type Change, type Decide, type StoreParts, StreamLog } from './stream-log.ts'
import type { PlacedEntry, StreamView } from './stream-view.ts'

/**
 * Offsets in a compacted topic of Kafka. Each call looks at the stream's view, asks the rules, and writes what they say in one transaction, which goes
 * through only if nobody has written to the stream since: {@link StreamLog}. Leases live by the time at which brokers append.
 */
export class KafkaOffsetStore implements OffsetStore, AsyncDisposable {
  readonly #parts: StoreParts
  readonly #logs = new Map<string, StreamLog>()
  readonly #held = new Map<string, Lease>()

  constructor(options: CompleteKafkaOffsetsOptions, seams: { readonly clock?: Clock; readonly random?: Random } = {}) {
    const clock = seams.clock ?? systemClock
    const connection = new KafkaConnection(options)
    const mirror = options.group === undefined ? undefined : new GroupMirror(connection, options.group)
    const random = seams.random ?? systemRandom
    this.#parts = { connection, topic: new OffsetsTopic(connection, clock), mirror, clock, random }
  }

  async acquire(stream: string, owner: string, ttlMs: number, options: AcquireOptions = {}): Promise<Lease> {
    options.signal?.throwIfAborted()
    checkLeaseRequest(stream, owner, ttlMs)
    const newId = this.#parts.random.id()
    let granted: Lease | undefined
    const decide: Decide = async (view, nowMs) => {
      const asked = { stream, owner, steal: options.steal ?? false }
      const head = view.head ?? firstHead(newId)
      const epoch = view.head === undefined ? 1 : await grantable(view.head, asked, view.newestMs ?? 0, nowMs)
      granted = { stream, owner, epoch, streamId: head.streamId, ttlMs }
      return grant(view, head, granted)
    }
    await this.#run(options, () => this.#log(stream).write(decide, { signal: options.signal, anew: true }))
    const lease = checkExists(granted, stream)
    this.#held.set(stream, lease)
    return { ...lease }
  }

  renew(lease: Lease, options: CallOptions = {}): Promise<void> {
    return this.#write(lease, 'Renewal of the lease', options, (view, head) => grant(view, head, lease))
  }

  async release(lease: Lease, options: CallOptions = {}): Promise<void> {
    await this.#write(lease, 'Release of the lease', options, (view, head) => endLease(view, head))
    this.#held.delete(lease.stream)
  }

  async read(stream: string, options: CallOptions = {}): Promise<StreamState> {
    return this.#look(stream, options, view => {
      const { head } = view
      if (head === undefined) return { streamId: undefined, epoch: 0, offsets: [], lastBatchId: 0, pending: undefined }
      const { streamId, epoch, lastBatchId, retired } = head
      const state = { streamId, epoch, offsets: sorted(view), lastBatchId, pending: structuredClone(view.pending) }
      return retired === undefined ? state : { ...state, retired }
    })
  }

  begin(lease: Lease, batch: Batch, options: CallOptions = {}): Promise<void> {
    return this.#write(lease, `Begin of batch ${batch.id}`, options, (view, head) => {
      const committedOf = (at: { readonly topic: string; readonly partition: number }) => view.positions.get(partitionKey(at))?.offset
      const decided = checkBegin(head, view.pending, lease.stream, batch, committedOf)
      return decided === 'begin' ? beginBatch(head, batch) : undefined
    })
  }

  commit(lease: Lease, batchId: number, options: CallOptions = {}): Promise<void> {
    return this.#write(lease, `Commit of batch ${batchId}`, options, (view, head) => {
      const batch = checkCommit(head, view.pending, lease.stream, batchId)
      return batch && commitBatch(view, head, lease, batch)
    })
  }

  reset(lease: Lease, offsets: readonly PartitionOffset[], options: ResetOptions = {}): Promise<void> {
    return this.#write(lease, 'Reset', options, (view, head) => {
      return resetOffsets(view, head, lease, copyJson(checkReset(view.pending, lease.stream, offsets, options)))
    })
  }

  async *history(stream: string, options: HistoryOptions = {}): AsyncGenerator<HistoryEntry> {
    const { before, limit } = completeHistoryOptions(options)
    const places = await this.#look(stream, options, placesOf)
    const asked = places.filter(({ seq }) => seq < before).reverse()
    for (const page of pagesOf(asked.slice(0, limit))) yield* await this.#entries(stream, page, options)
  }

  async streams(options: CallOptions = {}): Promise<string[]> {
    const { connection, topic, clock } = this.#parts
    const list = () => connection.run(async cluster => ((await topic.isReady(cluster)) ? listStreams(connection, cluster, clock) : []))
    return this.#run(options, list)
  }

  async snapshot(stream: string, options: CallOptions = {}): Promise<StreamSnapshot> {
    const { places, ...state } = await this.#look(stream, options, view => {
      const { streamId, epoch, lastBatchId, lastCommittedId } = checkExists(view.head, stream)
      const pending = structuredClone(view.pending) ?? null
      return { streamId, epoch, offsets: sorted(view), lastBatchId, lastCommittedId, pending, places: placesOf(view) }
    })
    const history: HistoryEntry[] = []
    for (const page of pagesOf(places)) history.push(...(await this.#entries(stream, page, options)))
    return { v: 1, stream, ...state, history }
  }

  async restore(snapshot: StreamSnapshot, options: CallOptions = {}): Promise<void> {
    options.signal?.throwIfAborted()
    checkSnapshot(snapshot)
    const { stream } = snapshot
    const kept = copyJson(snapshot)
    const decide: Decide = view => {
      checkRestore(view.head, stream)
      return restoreStream(kept)
    }
    await this.#run(options, () => this.#log(stream).write(decide, { signal: options.signal, anew: true }))
  }

  async retire(lease: Lease, note: string, options: CallOptions = {}): Promise<void> {
    await this.#write(lease, 'Retirement', options, (view, head) => {
      checkNote(note)
      return endLease(view, head, note)
    })
    this.#held.delete(lease.stream)
  }

  async remove(lease: Lease, options: CallOptions = {}): Promise<void> {
    await this.#write(lease, 'Removal', options, removeStream)
    this.#held.delete(lease.stream)
  }

  async close(): Promise<void> {
    const held = [...this.#held.values()]
    this.#held.clear()
    try {
      await Promise.all(held.map(lease => this.#log(lease.stream).write(endIfLive(lease))))
    } finally {
      this.#logs.clear()
      this.#parts.topic.forget()
      await this.#parts.connection.close()
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #write(
    lease: Lease,
    action: string,
    options: CallOptions,
    decide: (view: StreamView, head: StreamHead) => Change | undefined,
  ): Promise<void> {
    await this.#run(options, () =>
      this.#log(lease.stream).write(view => decide(view, checkLive(view.head, lease, action)), { signal: options.signal }),
    )
  }

  async #look<T>(stream: string, options: CallOptions, look: (view: StreamView) => T): Promise<T> {
    options.signal?.throwIfAborted()
    checkStreamName(stream)
    return this.#run(options, () => this.#log(stream).read(look, options))
  }

  #entries(stream: string, page: readonly PlacedEntry[], options: CallOptions): Promise<HistoryEntry[]> {
    return this.#run(options, () => this.#log(stream).entries(page, options))
  }

  /** kafkajs cannot cancel a request: whoever aborts is answered at once, and what is under way ends by itself, before any later call. */
  async #run<T>({ signal }: CallOptions, work: () => Promise<T>): Promise<T> {
    signal?.throwIfAborted()
    return signal === undefined ? work() : untilAborted(work(), signal)
  }

  #log(stream: string): StreamLog {
    const known = this.#logs.get(stream)
    if (known !== undefined) return known
    const log = new StreamLog(stream, this.#parts)
    this.#logs.set(stream, log)
    return log
  }
}

/** The epoch to grant. The newest record tells how late it is at least; only a lease that lives even so is worth a look at the broker's clock. */
async function grantable(
  head: StreamHead,
  asked: { readonly stream: string; readonly owner: string; readonly steal: boolean },
  newestMs: number,
  nowMs: () => Promise<number>,
): Promise<number> {
  try {
    return checkAcquire(head, { ...asked, nowMs: newestMs })
  } catch (error) {
    if (!isTidemarkError(error, 'LEASE_HELD')) throw error
    return checkAcquire(head, { ...asked, nowMs: await nowMs() })
  }
}

/** Those that somebody took over meanwhile are no longer ours to end. */
function endIfLive(lease: Lease): Decide {
  return view => (view.head !== undefined && isLive(view.head, lease) ? endLease(view, view.head) : undefined)
}

function placesOf({ entries }: StreamView): PlacedEntry[] {
  return [...entries.values()].sort((a, b) => a.seq - b.seq)
}

function sorted({ positions }: StreamView): PartitionOffset[] {
  return Array.from(positions.values(), position => ({ ...position })).sort(comparePartitions)
}
