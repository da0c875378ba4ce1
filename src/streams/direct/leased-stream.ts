import { JobError, type TidemarkError } from '../../core/errors.ts'
import type { TaskLoss } from '../../core/executor.ts'
import type { Log } from '../../core/log.ts'
import type { Lease, OffsetStore } from '../../core/offset-store.ts'
import type { CallOptions, Isolation } from '../../core/source.ts'
import { type Batch, comparePartitions, type PartitionOffset } from '../../core/values.ts'
import { type BatchFacts, readFacts } from '../../driver/batch-facts.ts'
import { Committer } from '../../driver/committer.ts'
import type { DriverOptions, JobSource, Until, World } from '../../driver/driver-job.ts'
import type { EventBus } from '../../driver/event-bus.ts'
import { GroupMirrors } from '../../driver/group-mirrors.ts'
import type { Health } from '../../driver/health.ts'
import { LeaseKeeper } from '../../driver/lease-keeper.ts'
import { Planner } from '../../driver/planner.ts'
import { Positions } from '../../driver/positions.ts'
import { readRecentBatches } from '../../driver/recent-batches.ts'
import { RecordWaiter } from '../../driver/record-waiter.ts'
import { rememberTopics } from '../../driver/remember-topics.ts'
import { retrying } from '../../driver/retry.ts'
import type { CommitOptions, DirectBatch, DirectStream, NextOptions } from './direct-stream.ts'

/** How long the end waits for the offsets of a consumer group, ms. */
const MIRROR_GRACE_MS = 2_000
/** What an intent says of a batch that an engine runs by itself: it has no outputs that Tidemark knows. */
const BY_AN_ENGINE = { v: 1, outputs: [], job: 'direct-stream' } as const

/** What a leased stream is made of. */
export type LeasedStreamParts = {
  readonly offsets: OffsetStore
  readonly lease: Lease
  readonly driver: DriverOptions
  readonly bus: EventBus
  readonly health: Health
  readonly log: Log
  readonly world: World
}

/** The stream, once its lease is held. */
export class LeasedStream implements DirectStream {
  readonly lease: Lease
  readonly #source: JobSource
  readonly #parts: LeasedStreamParts
  readonly #planner: Planner
  readonly #waiter: RecordWaiter
  readonly #mirrors: GroupMirrors
  readonly #positions: Positions
  readonly #committer: Committer
  readonly #keeper: LeaseKeeper
  readonly #ending = new AbortController()
  #inHand: DirectBatch | undefined
  /** Before the first planning a log that is gone, or shorter than what is committed, would pass for one that is read to its end. */
  #hasPlanned = false
  #lastBatchId = 0
  #lastBatchTime = 0
  /** Calls take turns: two that plan at once would begin two batches. */
  #turn: Promise<unknown> = Promise.resolve()

  constructor(source: JobSource, parts: LeasedStreamParts) {
    const { offsets, lease, driver, bus, health, log, world } = parts
    this.#source = source
    this.#parts = parts
    this.lease = lease
    this.#planner = new Planner([source], driver.limits, driver.batchIntervalMs, world)
    this.#waiter = new RecordWaiter(this.#planner, world, driver.batchIntervalMs)
    this.#mirrors = new GroupMirrors(this.#planner, [source], log)
    this.#positions = new Positions({ store: offsets, options: driver }, lease, this.#planner, bus, this.signal, moved =>
      this.#mirrors.send(moved),
    )
    const retry = { forMs: driver.retryForMs, signal: this.signal, onRetry: (error: TidemarkError) => health.outage(error) }
    this.#committer = new Committer(offsets, lease, { outputs: new Map() }, world, retry)
    this.#keeper = new LeaseKeeper(offsets, lease, world, {
      onLost: error => this.#ending.abort(error),
      onTrouble: error => health.trouble(error),
    })
  }

  get signal(): AbortSignal {
    return this.#ending.signal
  }

  get committed(): readonly PartitionOffset[] {
    return [...this.#positions.committed.values()].sort(comparePartitions)
  }

  get isDone(): boolean {
    return this.#hasPlanned && this.#inHand === undefined && this.#planner.isDone(this.#positions.committed)
  }

  /** Takes over what the store says. */
  async open(until: Until | undefined, signal: AbortSignal = this.signal): Promise<void> {
    const { offsets, lease } = this.#parts
    const both = AbortSignal.any([signal, this.signal])
    const { offsets: committed, pending, lastBatchId } = await offsets.read(lease.stream, { signal: both })
    this.#positions.load(committed)
    this.#lastBatchId = lastBatchId
    rememberTopics([this.#source], this.#positions.committed)
    await this.#planner.look({ signal: both })
    const last = pending ?? (await readRecentBatches(offsets, lease.stream, [], both)).last
    if (last !== undefined) {
      this.#lastBatchTime = last.batchTime
      this.#planner.weights.restore(readFacts(last))
    }
    if (until !== undefined) await this.#planner.bound(until, { signal: both })
    if (pending === undefined) return
    const { isolation } = this.#checkReplay(pending)
    this.#inHand = { ...pending, epoch: lease.epoch, isReplay: true, isolation }
  }

  next({ rate, signal }: NextOptions = {}): Promise<DirectBatch | undefined> {
    return this.#inTurn(async () => {
      if (this.#inHand !== undefined) return this.#inHand
      const { ranges, stalled } = await this.#outlast(signal, async both => {
        await this.#waiter.look(both)
        await this.#positions.settle({ signal: both })
        return this.#planner.plan(this.#positions.committed, rate)
      })
      this.#hasPlanned = true
      this.#parts.health.stall(stalled)
      if (ranges.length === 0) return undefined
      const { isolation } = this.#source
      const facts: BatchFacts = { ...BY_AN_ENGINE, isolation, ...this.#planner.weights.save() }
      // Batch times grow, whatever the clock says.
      const batchTime = Math.max(this.#parts.world.clock.now(), this.#lastBatchTime + 1)
      const batch: Batch = { id: this.#lastBatchId + 1, batchTime, epoch: this.lease.epoch, ranges, facts }
      await this.#committer.begin(batch)
      this.#inHand = { ...batch, isReplay: false, isolation }
      return this.#inHand
    })
  }

  async awaitRecords({ signal }: CallOptions = {}): Promise<void> {
    await this.#outlast(signal, both => this.#waiter.wait(this.#positions.committed, both))
  }

  commit({ id }: Pick<Batch, 'id'>, { losses = [], weighed = [] }: CommitOptions = {}): Promise<void> {
    return this.#inTurn(async () => {
      const batch = this.#inHand
      if (batch === undefined || batch.id !== id) {
        // The store knows: the batch committed last again is nothing new, and any other is refused.
        return this.#committer.commit({ id, batchTime: 0, epoch: this.lease.epoch, ranges: [] }, [])
      }
      const told = losses.map(
        ({ lossCause: cause, message, missing, resumeAt }): TaskLoss => ({
          cause,
          message,
          missing,
          ...(resumeAt !== undefined && { resumeAt }),
        }),
      )
      // Before the commit: who ends behind it would have told nobody.
      for (const loss of told) this.#parts.bus.emit({ type: 'dataLoss', batchId: id, ...loss })
      await this.#committer.commit(batch, [])
      this.#positions.advance(batch)
      this.#lastBatchId = id
      this.#lastBatchTime = batch.batchTime
      this.#inHand = undefined
      this.#planner.weights.learn(weighed)
      if (told.length > 0) await this.#outlast(undefined, () => this.#positions.passTaskLosses(told))
      this.#parts.health.good()
    })
  }

  async close(): Promise<void> {
    this.#ending.abort(new Error(`Stream ${this.lease.stream} was closed.`))
    await this.#turn.catch(() => {})
    await this.#mirrors.close(MIRROR_GRACE_MS)
    await this.#keeper.end()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  #checkReplay(batch: Batch): { readonly isolation: Isolation } {
    const { outputs, isolation } = readFacts(batch)
    const { stream } = this.lease
    if (outputs.length > 0 || typeof isolation !== 'string') {
      throw new JobError(
        `Batch ${batch.id} of stream ${stream} is begun and not committed, by a job that writes to ${outputs.join(', ')}: only that job can say which of its ` +
          'rows are in. Finish it with tidemark run <job> --finish, then open the stream here.',
        { details: { batchId: batch.id, outputs } },
      )
    }
    const topics = [...new Set(batch.ranges.filter(({ topic }) => !this.#planner.namesTopic(topic)).map(({ topic }) => topic))]
    if (topics.length === 0) return { isolation }
    throw new JobError(
      `Batch ${batch.id} of stream ${stream} is begun and not committed, and its source no longer reads ${topics.join(', ')}. Name them again until the ` +
        'batch is committed.',
      { details: { batchId: batch.id, topics } },
    )
  }

  #inTurn<T>(call: () => Promise<T>): Promise<T> {
    const turn = this.#turn
      .catch(() => {})
      .then(() => {
        this.signal.throwIfAborted()
        return call()
      })
      // What is cancelled fails in its own ways; why it was cancelled is what counts.
      .catch(error => {
        this.signal.throwIfAborted()
        throw error
      })
    this.#turn = turn
    return turn
  }

  async #outlast<T>(signal: AbortSignal | undefined, call: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const { driver, world, health } = this.#parts
    const both = signal === undefined ? this.signal : AbortSignal.any([signal, this.signal])
    const options = { forMs: driver.retryForMs, signal: both, onRetry: (error: TidemarkError) => health.outage(error) }
    return retrying(world, options, () => call(both))
  }
}
