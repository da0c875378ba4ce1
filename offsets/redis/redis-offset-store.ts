import { type Clock, systemClock } from '../../src/core/clock.ts'
import type { Log } from '../../src/core/log.ts'
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
import { type Batch, type PartitionOffset, partitionKey } from '../../src/core/values.ts'
import type { RedisTarget } from '../../src/util/redis-line.ts'
import { RedisConnection } from './redis-connection.ts'
import { RedisStreams } from './redis-streams.ts'
import {
  dropStream,
  forgetOffsets,
  keepBegun,
  moveBegunToHistory,
  putEntries,
  putOffsets,
  renewLease,
  settleBatch,
  trimHistory,
} from './steps.ts'
import { newHead } from './stored-head.ts'

/**
 * Offsets in Redis. Each write is decided by the rules on the client and applied by one script, which does so only if the stream's version is still
 * the one that was decided on; else it is read and decided again. So there is one copy of the rules, and the compare-and-set is the server's. Leases
 * live by the server's clock, read in one step with the head: a lease that is renewed after that moves the version on.
 */
export class RedisOffsetStore implements OffsetStore, AsyncDisposable {
  readonly #connection: RedisConnection
  readonly #streams: RedisStreams
  readonly #random: Random
  readonly #held = new Map<string, Lease>()

  constructor(
    target: RedisTarget,
    { prefix, log, ...seams }: { prefix: string; log: Log | undefined; readonly clock?: Clock; readonly random?: Random },
  ) {
    const clock = seams.clock ?? systemClock
    this.#random = seams.random ?? systemRandom
    this.#connection = new RedisConnection(target, { clock, log })
    this.#streams = new RedisStreams(this.#connection, prefix, { clock, random: this.#random })
  }

  async acquire(stream: string, owner: string, ttlMs: number, options: AcquireOptions = {}): Promise<Lease> {
    options.signal?.throwIfAborted()
    checkLeaseRequest(stream, owner, ttlMs)
    await this.#streams.prepare(stream, options)
    const [streamId, birth] = [this.#random.id(), this.#random.id()]
    const lease = await this.#streams.write(stream, options, {
      decide: ({ head, nowMs }) => {
        const epoch = checkAcquire(head, { stream, owner, nowMs, steal: options.steal ?? false })
        const before = head ?? newHead(streamId, birth)
        const granted: Lease = { stream, owner, epoch, streamId: before.streamId, ttlMs }
        return { head: { ...before, epoch, lease: { owner, renewedAtMs: nowMs, ttlMs } }, steps: [renewLease], result: granted }
      },
    })
    this.#held.set(stream, lease)
    return { ...lease }
  }

  async renew(lease: Lease, options: CallOptions = {}): Promise<void> {
    const { stream, owner, ttlMs } = lease
    await this.#streams.write(stream, options, {
      isRenewal: true,
      decide: stored => {
        const head = checkLive(stored.head, lease, 'Renewal of the lease')
        return { head: { ...head, lease: { owner, renewedAtMs: stored.nowMs, ttlMs } }, steps: [renewLease], result: undefined }
      },
    })
  }

  async release(lease: Lease, options: CallOptions = {}): Promise<void> {
    await this.#streams.write(lease.stream, options, {
      decide: stored => {
        const head = checkLive(stored.head, lease, 'Release of the lease')
        return { head: { ...head, lease: undefined }, steps: [], result: undefined }
      },
    })
    this.#held.delete(lease.stream)
  }

  async read(stream: string, options: CallOptions = {}): Promise<StreamState> {
    options.signal?.throwIfAborted()
    checkStreamName(stream)
    const { head, offsets, pending } = await this.#streams.readWhole(stream, options)
    if (head === undefined) return { streamId: undefined, epoch: 0, offsets: [], lastBatchId: 0, pending: undefined }
    const { streamId, epoch, lastBatchId, retired } = head
    return { streamId, epoch, offsets, lastBatchId, pending, ...(retired !== undefined && { retired }) }
  }

  async begin(lease: Lease, batch: Batch, options: CallOptions = {}): Promise<void> {
    const { stream } = lease
    await this.#streams.write(stream, options, {
      pending: true,
      offsetsOf: batch.ranges,
      decide: ({ committed, pending, ...stored }) => {
        const head = checkLive(stored.head, lease, `Begin of batch ${batch.id}`)
        const decided = checkBegin(head, pending, stream, batch, at => committed.get(partitionKey(at)))
        if (decided === 'begun') return { result: undefined }
        const begun = { ...batch, ranges: batch.ranges.map(range => ({ ...range })) }
        return { head, steps: [keepBegun(batch)], begun, result: undefined }
      },
    })
  }

  async commit(lease: Lease, batchId: number, options: CallOptions = {}): Promise<void> {
    await this.#streams.write(lease.stream, options, {
      pending: true,
      guess: this.#streams.begunBefore(lease.stream),
      decide: ({ pending, ...stored }) => {
        const head = checkLive(stored.head, lease, `Commit of batch ${batchId}`)
        const batch = checkCommit(head, pending, lease.stream, batchId)
        if (batch === undefined) return { result: undefined }
        const lastSeq = head.lastSeq + 1
        const steps = [
          putOffsets(positionsAfter(batch.ranges)),
          moveBegunToHistory({ seq: lastSeq, epoch: lease.epoch }),
          settleBatch,
          trimHistory(trimBelow(head.lastSeq, lastSeq)),
        ]
        return { head: { ...head, lastBatchId: batchId, lastCommittedId: batchId, lastSeq }, steps, result: undefined }
      },
    })
  }

  async reset(lease: Lease, offsets: readonly PartitionOffset[], options: ResetOptions = {}): Promise<void> {
    await this.#streams.write(lease.stream, options, {
      pending: true,
      decide: ({ pending, nowMs, ...stored }) => {
        const head = checkLive(stored.head, lease, 'Reset')
        const plan = checkReset(pending, lease.stream, offsets, options)
        const entries = resetEntries(plan, { seq: head.lastSeq + 1, at: nowMs, epoch: lease.epoch })
        const lastSeq = head.lastSeq + entries.length
        const steps = [
          forgetOffsets(plan.forget),
          putOffsets(plan.offsets),
          ...(plan.discarded === undefined ? [] : [settleBatch]),
          ...putEntries(entries),
          trimHistory(trimBelow(head.lastSeq, lastSeq)),
        ]
        return { head: { ...head, lastBatchId: plan.discarded?.id ?? head.lastBatchId, lastSeq }, steps, result: undefined }
      },
    })
  }

  async *history(stream: string, options: HistoryOptions = {}): AsyncGenerator<HistoryEntry> {
    options.signal?.throwIfAborted()
    checkStreamName(stream)
    const { before, limit } = completeHistoryOptions(options)
    for await (const { entries } of this.#streams.pages(stream, { before, limit }, options)) yield* entries
  }

  async streams(options: CallOptions = {}): Promise<string[]> {
    return this.#streams.index.list(options)
  }

  async snapshot(stream: string, options: CallOptions = {}): Promise<StreamSnapshot> {
    options.signal?.throwIfAborted()
    checkStreamName(stream)
    for (;;) {
      const { offsets, pending, ...stored } = await this.#streams.readWhole(stream, options)
      const { streamId, epoch, lastBatchId, lastCommittedId, lastSeq, birth } = checkExists(stored.head, stream)
      const history: HistoryEntry[] = []
      let isOfOneStream = true
      for await (const page of this.#streams.pages(stream, { before: lastSeq + 1, limit: Number.MAX_SAFE_INTEGER }, options)) {
        history.push(...page.entries)
        isOfOneStream &&= page.birth === birth
      }
      // A history only grows at its end, which `before` cuts off, and is trimmed at its start; but a stream may have been removed and made again.
      if (!isOfOneStream) continue
      return { v: 1, stream, streamId, epoch, offsets, lastBatchId, lastCommittedId, pending: pending ?? null, history: history.reverse() }
    }
  }

  async restore(snapshot: StreamSnapshot, options: CallOptions = {}): Promise<void> {
    options.signal?.throwIfAborted()
    checkSnapshot(snapshot)
    const { stream, streamId, epoch, lastBatchId, lastCommittedId, offsets, pending, history } = snapshot
    checkRestore((await this.#streams.readWhole(stream, options)).head, stream)
    await this.#streams.prepare(stream, options)
    const birth = this.#random.id()
    const staged = await this.#streams.stage(stream, birth, history, options)
    await this.#streams.write(stream, options, {
      staged,
      // Whoever acquired the stream since has written over the id of our write, and could do so only to the stream that we made.
      isDone: head => head?.birth === birth,
      decide: ({ head }) => {
        checkRestore(head, stream)
        const lastSeq = history.at(-1)?.seq ?? 0
        const restored = { ...newHead(streamId, birth), epoch, lastBatchId, lastCommittedId, lastSeq }
        const steps = [putOffsets(offsets), ...(pending === null ? [] : [keepBegun(pending)])]
        return { head: restored, steps, result: undefined }
      },
    })
  }

  async retire(lease: Lease, note: string, options: CallOptions = {}): Promise<void> {
    await this.#streams.write(lease.stream, options, {
      decide: stored => {
        const head = checkLive(stored.head, lease, 'Retirement')
        checkNote(note)
        return { head: { ...head, lease: undefined, retired: note }, steps: [], result: undefined }
      },
    })
    this.#held.delete(lease.stream)
  }

  async remove(lease: Lease, options: CallOptions = {}): Promise<void> {
    let removed: string | undefined
    await this.#streams.write(lease.stream, options, {
      // Nothing is left that could hold the id of the write.
      isDone: head => head?.birth !== removed,
      decide: stored => {
        removed = checkLive(stored.head, lease, 'Removal').birth
        return { head: undefined, steps: [dropStream], result: undefined }
      },
    })
    this.#held.delete(lease.stream)
    if (removed !== undefined) await this.#streams.index.remove(lease.stream, removed, options)
  }

  async close(): Promise<void> {
    const held = [...this.#held.values()]
    this.#held.clear()
    try {
      await Promise.all(held.map(lease => this.#releaseIfLive(lease)))
    } finally {
      this.#connection.close()
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  /** One that somebody took over meanwhile is no longer ours to end. */
  async #releaseIfLive(lease: Lease): Promise<void> {
    await this.#streams.write(
      lease.stream,
      {},
      {
        decide: ({ head }) =>
          head === undefined || !isLive(head, lease)
            ? { result: undefined }
            : { head: { ...head, lease: undefined }, steps: [], result: undefined },
      },
    )
  }
}
