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
import { checkBegin, checkCommit, checkExists, checkReset, isLive, positionsAfter, resetEntries } from '../../src/core/store-rules.ts'
import { checkLeaseRequest, checkNote, checkSnapshot, checkStreamName, completeHistoryOptions } from '../../src/core/store-values.ts'
import { type Batch, comparePartitions, type PartitionOffset, partitionKey } from '../../src/core/values.ts'
import { HistoryReader } from './history-reader.ts'
import type { CompleteZookeeperOptions } from './options.ts'
import { pendingEntry } from './prepare-swing.ts'
import { readConsistently } from './read-consistently.ts'
import { restoreStream } from './restore-stream.ts'
import { ServerClock } from './server-clock.ts'
import { StreamNode } from './stream-node.ts'
import { layoutOf, streamNamed } from './stream-paths.ts'
import { headOf, parseRecord } from './stream-record.ts'
import { ZookeeperConnection } from './zookeeper-connection.ts'

/** Offsets in ZooKeeper. What lies where is said in `stream-paths.ts`; how a write comes about, in `stream-node.ts`. */
export class ZookeeperOffsetStore implements OffsetStore, AsyncDisposable {
  readonly #connection: ZookeeperConnection
  readonly #layout: ReturnType<typeof layoutOf>
  readonly #serverClock: ServerClock
  readonly #random: Random
  readonly #historyEntries: number
  readonly #nodes = new Map<string, StreamNode>()
  readonly #held = new Map<string, Lease>()

  constructor(
    { source, base, acl, historyEntries }: CompleteZookeeperOptions,
    seams: { readonly clock?: Clock; readonly random?: Random } = {},
  ) {
    const clock = seams.clock ?? systemClock
    this.#connection = new ZookeeperConnection(source, { acl, clock })
    this.#layout = layoutOf(base)
    this.#serverClock = new ServerClock(clock)
    this.#random = seams.random ?? systemRandom
    this.#historyEntries = historyEntries
  }

  async acquire(stream: string, owner: string, ttlMs: number, options: AcquireOptions = {}): Promise<Lease> {
    checkLeaseRequest(stream, owner, ttlMs)
    const { steal = false } = options
    const lease = await this.#node(stream).acquire({ stream, owner, ttlMs, steal }, options)
    this.#held.set(stream, lease)
    return { ...lease }
  }

  async renew(lease: Lease, options: CallOptions = {}): Promise<void> {
    const { owner, ttlMs, stream } = lease
    await this.#node(stream).write(lease, 'Renewal of the lease', options, ({ lease: kept }) => {
      return { renewal: {}, ...(kept?.ttlMs !== ttlMs && { record: { lease: { owner, ttlMs } } }) }
    })
  }

  async release(lease: Lease, options: CallOptions = {}): Promise<void> {
    await this.#node(lease.stream).write(lease, 'Release of the lease', options, () => ({ record: { lease: null } }))
    this.#drop(lease.stream)
  }

  async read(stream: string, options: CallOptions = {}): Promise<StreamState> {
    checkStreamName(stream)
    const node = this.#node(stream)
    return this.#connection.attempt(options, session =>
      readConsistently(session, node, options, async view => {
        if (view === undefined) return { streamId: undefined, epoch: 0, offsets: [], lastBatchId: 0, pending: undefined }
        const { streamId, epoch, lastBatchId, retired } = view.record
        const [positions, pending] = await Promise.all([view.positions(session), view.pending(session)])
        const offsets = [...positions.values()].sort(comparePartitions)
        return { streamId, epoch, offsets, lastBatchId, pending, ...(retired !== null && { retired }) }
      }),
    )
  }

  async begin(lease: Lease, batch: Batch, options: CallOptions = {}): Promise<void> {
    await this.#node(lease.stream).write(lease, `Begin of batch ${batch.id}`, options, async (head, view, session) => {
      const [positions, pending] = await Promise.all([view.positions(session), view.pending(session)])
      const decided = checkBegin(head, pending, lease.stream, batch, at => positions.get(partitionKey(at))?.offset)
      return decided === 'begin' ? { pending: { batch } } : undefined
    })
  }

  async commit(lease: Lease, batchId: number, options: CallOptions = {}): Promise<void> {
    await this.#node(lease.stream).write(lease, `Commit of batch ${batchId}`, options, async (head, view, session) => {
      const batch = checkCommit(head, await view.pending(session), lease.stream, batchId)
      if (batch === undefined) return undefined
      const positions = new Map(await view.positions(session))
      for (const position of positionsAfter(batch.ranges)) positions.set(partitionKey(position), position)
      const stamp = { seq: head.lastSeq + 1, kind: 'batch', at: this.#serverClock.now(), epoch: lease.epoch } as const
      return {
        record: { lastBatchId: batchId, lastCommittedId: batchId },
        positions,
        pending: null,
        entries: [pendingEntry(view, stamp)],
      }
    })
  }

  async reset(lease: Lease, offsets: readonly PartitionOffset[], options: ResetOptions = {}): Promise<void> {
    await this.#node(lease.stream).write(lease, 'Reset', options, async (head, view, session) => {
      const plan = checkReset(await view.pending(session), lease.stream, offsets, options)
      const positions = new Map(await view.positions(session))
      for (const at of plan.forget) positions.delete(partitionKey(at))
      for (const position of plan.offsets) positions.set(partitionKey(position), { ...position })
      const first = { seq: head.lastSeq + 1, at: this.#serverClock.now(), epoch: lease.epoch }
      const entries = resetEntries(plan, first)
      return {
        positions,
        entries: entries.map(entry =>
          entry.kind === 'discard' ? pendingEntry(view, { ...first, kind: 'discard', reason: plan.reason }) : entry,
        ),
        ...(plan.discarded !== undefined && { pending: null, record: { lastBatchId: plan.discarded.id } }),
      }
    })
  }

  async *history(stream: string, options: HistoryOptions = {}): AsyncGenerator<HistoryEntry> {
    checkStreamName(stream)
    let { before, limit } = completeHistoryOptions(options)
    if (limit === 0) return
    const reader = new HistoryReader(this.#node(stream))
    for (;;) {
      const from = { before, limit }
      const page = await this.#connection.attempt(options, session => reader.next(session, from))
      if (page === undefined) return
      yield* page
      limit -= page.length
      before = page.at(-1)?.seq ?? before
      if (limit <= 0) return
    }
  }

  async streams(options: CallOptions = {}): Promise<string[]> {
    const { streams } = this.#layout
    return this.#connection.attempt(options, async session => {
      const [, nodes = []] = await Promise.all([session.multi([{ do: 'check', path: streams }]), session.children(streams)])
      const names = nodes.map(async node => {
        const name = streamNamed(node)
        if (name !== undefined) return [name]
        const path = `${streams}/${node}`
        const head = await session.get(path)
        return head === undefined ? [] : [parseRecord(head.data, path).stream]
      })
      return (await Promise.all(names)).flat().sort()
    })
  }

  async snapshot(stream: string, options: CallOptions = {}): Promise<StreamSnapshot> {
    checkStreamName(stream)
    const node = this.#node(stream)
    return this.#connection.attempt(options, session =>
      readConsistently(session, node, options, async found => {
        const view = checkExists(found, stream)
        const { streamId, epoch, lastBatchId, lastCommittedId } = view.record
        const [positions, pending = null] = await Promise.all([view.positions(session), view.pending(session)])
        const offsets = [...positions.values()].sort(comparePartitions)
        const history = await new HistoryReader(node, view).all(session)
        return { v: 1, stream, streamId, epoch, offsets, lastBatchId, lastCommittedId, pending, history }
      }),
    )
  }

  async restore(snapshot: StreamSnapshot, options: CallOptions = {}): Promise<void> {
    checkSnapshot(snapshot)
    const node = this.#node(snapshot.stream)
    const target = {
      layout: this.#layout,
      paths: node.paths,
      random: this.#random,
      read: (session: Parameters<StreamNode['read']>[0]) => node.read(session),
    }
    const nonce = this.#random.id()
    await this.#connection.attempt(options, session => restoreStream(session, target, snapshot, nonce))
  }

  async retire(lease: Lease, note: string, options: CallOptions = {}): Promise<void> {
    await this.#node(lease.stream).write(lease, 'Retirement', options, () => {
      checkNote(note)
      return { record: { lease: null, retired: note } }
    })
    this.#drop(lease.stream)
  }

  async remove(lease: Lease, options: CallOptions = {}): Promise<void> {
    await this.#node(lease.stream).remove(lease, 'Removal', options)
    this.#drop(lease.stream)
  }

  async close(): Promise<void> {
    const held = [...this.#held.values()]
    this.#held.clear()
    try {
      for (const lease of held) await this.#release(lease)
    } finally {
      this.#nodes.clear()
      await this.#connection.close()
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  /** Those that somebody took over meanwhile are no longer ours to end. */
  async #release(lease: Lease): Promise<void> {
    const node = this.#node(lease.stream)
    const view = await this.#connection.attempt({}, session => node.read(session))
    if (isLive(view && headOf(view.record), lease)) {
      await node
        .write(lease, 'Release of the lease', {}, () => ({ record: { lease: null } }))
        .catch(error => {
          if (!isTidemarkError(error, 'FENCED')) throw error
        })
    }
  }

  #node(stream: string): StreamNode {
    const known = this.#nodes.get(stream)
    if (known !== undefined) return known
    const node = new StreamNode(stream, {
      connection: this.#connection,
      layout: this.#layout,
      serverClock: this.#serverClock,
      random: this.#random,
      historyEntries: this.#historyEntries,
    })
    this.#nodes.set(stream, node)
    return node
  }

  #drop(stream: string): void {
    this.#held.delete(stream)
    this.#nodes.get(stream)?.forget()
  }
}
