import { isTidemarkError, type TidemarkError } from '../core/errors.ts'
import type { ExecutorRun } from '../core/executor.ts'
import type { Lease } from '../core/offset-store.ts'
import { release, resourcesOf, retain } from '../core/shared-resources.ts'
import type { TimeWindow } from '../core/time-window.ts'
import type { Batch, OffsetRange, PartitionOffset } from '../core/values.ts'
import { type BatchFacts, readFacts } from './batch-facts.ts'
import { type BatchRun, BatchRunner, checkReplay, checkTopics } from './batch-runner.ts'
import { checkGuarantee, weakestGuarantee } from './check-guarantee.ts'
import { Committer } from './committer.ts'
import type { DriverJob, Until } from './driver-job.ts'
import { EventBus } from './event-bus.ts'
import { Gate } from './gate.ts'
import { GroupMirrors } from './group-mirrors.ts'
import { Health } from './health.ts'
import { describeJobChange } from './job-change.ts'
import { acquireLease, LeaseKeeper } from './lease-keeper.ts'
import { logEvents } from './log-events.ts'
import { PidRateEstimator } from './pid-rate-estimator.ts'
import { Planner } from './planner.ts'
import { Positions } from './positions.ts'
import { readRecentBatches } from './recent-batches.ts'
import { RecordWaiter } from './record-waiter.ts'
import { rememberTopics } from './remember-topics.ts'
import { retrying } from './retry.ts'
import { type RunSummary, RunTotals } from './run-summary.ts'
import { Scheduler } from './scheduler.ts'
import { Stopped } from './stopped.ts'

/** How often to look whether a batch that is held back has enough records by now, where no interval says (ms). */
const HELD_BACK_LOOK_MS = 100
/** How long sources may take to say how far they reach before the health says that they do not, ms. */
const SLOW_LOOK_MS = 5_000
/** How long the end of a run waits for the offsets of consumer groups, ms. */
const MIRROR_GRACE_MS = 2_000
const SLOW_LOOK = `the sources have not said for ${SLOW_LOOK_MS} ms how far they reach: a broker may be away, or a partition without a leader`

/** What a backfill settles under its lease, before anything is read. */
export type BackfillScope = {
  /** Where each of its partitions ends; it reads no others. */
  readonly ends: readonly PartitionOffset[]
  /** Records whose timestamps count. @default all */
  readonly timestamps?: TimeWindow
}

export type DriveOptions = {
  /** Where the run ends by itself. @default it goes on until it is stopped */
  readonly until?: Until
  /** Take the lease over from a live owner, which then stops with `FencedError`. @default false: stand by until it ends */
  readonly steal?: boolean
  /** Ends when the begun batch is committed, and plans none. @default false */
  readonly finish?: boolean
  /** Runs exactly these batches, of this stream or another, as batches 1, 2, … of this stream, and ends: a replay. */
  readonly batches?: readonly Batch[]
  /** Settles what a backfill reads, and has it in the store, where its partitions begin, too. */
  readonly backfill?: (lease: Lease, signal: AbortSignal) => Promise<BackfillScope>
  /** Outputs whose fence is set to what the store says, whatever it was: a person has looked. */
  readonly adopt?: readonly string[]
}

const REPLAY: BatchRun = { isReplay: true, waitedMs: 0, lag: undefined }
const NOT_WAITED: BatchRun = { isReplay: false, waitedMs: 0, lag: undefined }

/** The owners of all runs of this process, to tell a rival from another job of the same name beside it. */
const OWNERS_HERE = new Set<string>()

/** Drives one run of a stream: takes the lease, replays what was begun, and then plans, runs and commits batch after batch. */
export class Driver {
  /** Resolves when the lease is held and everything is open, or when it stands by. Rejects where the start fails. */
  readonly started: Promise<void>
  /** Resolves when the run has ended and everything is closed; rejects with what ended it. */
  readonly done: Promise<RunSummary>

  readonly #job: DriverJob
  readonly #options: DriveOptions
  readonly #bus: EventBus
  readonly #planner: Planner
  readonly #waiter: RecordWaiter
  readonly #mirrors: GroupMirrors
  readonly #estimator: PidRateEstimator | undefined
  readonly #gate = new Gate()
  /** Asked to end after the batch in hand. */
  readonly #stopping = new AbortController()
  /** Cannot go on, or must not: everything under way is cancelled. */
  readonly #aborting = new AbortController()
  readonly #stopSignal = AbortSignal.any([this.#stopping.signal, this.#aborting.signal])
  readonly #ready = Promise.withResolvers<void>()
  readonly #health: Health
  #executor: ExecutorRun | undefined
  #lastBatchId = 0
  #rate: number | undefined
  #timestamps: TimeWindow | undefined
  readonly #totals: RunTotals

  constructor(job: DriverJob, options: DriveOptions) {
    const { world, sources } = job
    const { limits, batchIntervalMs, backpressure } = job.options
    this.#job = job
    this.#options = options
    this.#bus = new EventBus(job.stream, world.clock, job.log, [logEvents(job.log), ...job.listeners])
    this.#health = new Health(this.#bus)
    this.#planner = new Planner(sources, limits, batchIntervalMs, world)
    this.#waiter = new RecordWaiter(this.#planner, world, batchIntervalMs)
    // A replay and a backfill are beside the stream: Kafka's tools would see the live group go back.
    const isBeside = options.batches !== undefined || options.backfill !== undefined
    this.#mirrors = new GroupMirrors(this.#planner, isBeside ? [] : sources, job.log)
    this.#totals = new RunTotals(world.clock)
    this.#estimator = backpressure === 'off' ? undefined : new PidRateEstimator({ batchIntervalMs, ...backpressure.pid })
    this.started = this.#ready.promise
    this.done = this.#run()
    // Who awaits `started` hears of a failed start there; `done` must not be an unhandled rejection beside it.
    this.done.catch(error => this.#ready.reject(error))
    this.started.catch(() => {})
  }

  /** Ends the run after the batch in hand; with `now`, at once, and the batch stays begun. Resolves when it has ended, however it did. */
  async stop({ now = false }: { readonly now?: boolean } = {}): Promise<void> {
    this.#stopping.abort(new Stopped('stopped'))
    if (now) this.#aborting.abort(new Stopped('aborted'))
    await this.done.catch(() => {})
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop()
  }

  /** Begins no further batch until `resume`. The lease is kept. */
  pause(): void {
    this.#gate.close()
  }

  resume(): void {
    this.#gate.open()
  }

  async #run(): Promise<RunSummary> {
    const { store } = this.#job
    const { owner } = this.#job.options
    OWNERS_HERE.add(owner)
    const resources = [store, ...resourcesOf(this.#job)]
    for (const resource of resources) retain(resource)
    let keeper: LeaseKeeper | undefined
    let failure: unknown
    let reason: 'done' | 'stopped' = 'done'
    try {
      keeper = new LeaseKeeper(store, await this.#acquire(), this.#job.world, {
        onLost: error => this.#aborting.abort(error),
        onTrouble: error => this.#health.trouble(error),
      })
      await this.#live(keeper.lease)
    } catch (error) {
      // What is cancelled fails in its own ways; why it was cancelled is what counts.
      const cause = this.#aborting.signal.aborted ? this.#aborting.signal.reason : error
      if (cause instanceof Stopped) reason = 'stopped'
      else failure = cause
    }
    // The lease ends last: while another driver may begin, nothing of this one is still open.
    for (const close of [
      () => this.#executor?.close(),
      () => this.#mirrors.close(MIRROR_GRACE_MS),
      ...resources.slice(1).map(it => () => release(it)),
      () => keeper?.end(),
      () => release(store),
    ]) {
      try {
        await close()
      } catch (error) {
        this.#health.trouble(error)
      }
    }
    OWNERS_HERE.delete(owner)
    if (failure !== undefined) {
      if (isTidemarkError(failure)) this.#bus.emit({ type: 'error', error: failure, fatal: true })
      this.#bus.emit({ type: 'streamStopped', reason: 'failed', error: failure })
      throw failure
    }
    this.#bus.emit({ type: 'streamStopped', reason: this.#aborting.signal.aborted ? 'aborted' : reason })
    this.#ready.resolve()
    return this.#totals.summary(reason)
  }

  async #acquire(): Promise<Lease> {
    const { stream, store, options, world } = this.#job
    const request = { stream, owner: options.owner, ttlMs: options.leaseTtlMs, steal: this.#options.steal ?? false }
    return acquireLease(store, request, world, {
      signal: this.#stopSignal,
      onHeld: error => {
        this.#bus.emit({ type: 'standingBy', reason: explainHolder(error, stream) })
        this.#ready.resolve()
      },
      onTrouble: error => this.#health.trouble(error),
    })
  }

  async #live(lease: Lease): Promise<void> {
    const { stream, store, sources, options, outputs, executor, log, world } = this.#job
    const signal = this.#aborting.signal
    this.#totals.start()
    const backfill = await this.#options.backfill?.(lease, signal)
    if (backfill !== undefined) this.#planner.scopeTo(backfill.ends)
    this.#timestamps = backfill?.timestamps
    const state = await store.read(stream, { signal })
    const positions = new Positions(this.#job, lease, this.#planner, this.#bus, signal, moved => this.#mirrors.send(moved))
    positions.load(state.offsets)
    this.#lastBatchId = state.lastBatchId

    const onOutage = (error: TidemarkError) => this.#health.outage(error)
    const committer = new Committer(store, lease, this.#job, world, { forMs: options.retryForMs, signal, onRetry: onOutage })
    rememberTopics(sources, positions.committed)
    await this.#planner.look({ signal: this.#stopSignal })
    if (state.pending !== undefined) checkReplay(this.#job, this.#planner, state.pending)
    if (this.#options.until !== undefined) await this.#planner.bound(this.#options.until, { signal })
    const adopt = this.#options.adopt ?? []
    for (const { name, sink, isDeadLetters = false } of outputs.values()) {
      await sink.prepare?.({
        stream,
        streamId: lease.streamId,
        output: name,
        signal,
        log,
        ...(adopt.includes(name) && { adopt: true }),
        ...(isDeadLetters && { isOfDeadLetters: true }),
      })
    }
    this.#executor = await executor.start(this.#job, { streamId: lease.streamId, log, signal, onTrouble: onOutage })
    // Only now have the outputs seen their real servers: one may promise less than it hoped.
    checkGuarantee(this.#job)
    const names = [...outputs.keys()]
    const recent = await readRecentBatches(store, stream, names, signal)
    const { lastWritten } = recent
    const parts = { lease, executor: this.#executor, committer, planner: this.#planner, bus: this.#bus, lastWritten, onOutage, signal }
    const runner = new BatchRunner(this.#job, parts)
    // At start an output that cannot be reached is a mistake to mend: it is not waited for.
    const atStart = new Committer(store, lease, this.#job, world, { forMs: 0, signal })
    await atStart.fence(names, state.pending?.id ?? state.lastBatchId, state.lastBatchId, { lastWritten, adopt })

    this.#bus.emit({
      type: 'streamStarted',
      epoch: lease.epoch,
      owner: lease.owner,
      guarantee: weakestGuarantee(outputs.values()),
      outputs: names,
      ...(state.pending !== undefined && { pendingBatchId: state.pending.id }),
    })
    this.#ready.resolve()
    const last = state.pending ?? recent.last
    if (this.#options.batches === undefined) this.#tellJobChange(last, positions)
    if (last !== undefined) this.#planner.weights.restore(readFacts(last))
    this.#stopSignal.throwIfAborted()
    if (state.pending !== undefined) await this.#runBatch(runner, positions, state.pending, REPLAY)
    if (this.#options.finish) return
    if (this.#options.batches !== undefined) return this.#runAgain(this.#options.batches, runner, positions, lease)

    // Batch times grow, whatever the clock says.
    const scheduler = new Scheduler(world.clock, options.batchIntervalMs, last?.batchTime)
    // Planned once at least: a log that is gone or shorter than what is committed reaches any bound, and its loss would not be told.
    for (let hasPlanned = false; !hasPlanned || !this.#planner.isDone(positions.committed); hasPlanned = true) {
      await this.#gate.pass(this.#stopSignal)
      const waitedMs = await scheduler.nextTick(this.#stopSignal)
      const { ranges, lag, stalled, heldBackMs } = await this.#plan(positions)
      this.#health.stall(stalled)
      // Paused while it waited or planned: what was planned is planned anew later.
      if (!this.#gate.isOpen) continue
      if (heldBackMs !== undefined) {
        // With an interval the next tick is when to look again.
        if (options.batchIntervalMs === 0) await world.clock.sleep(Math.min(heldBackMs, HELD_BACK_LOOK_MS), this.#stopSignal)
        scheduler.skipMissed()
        continue
      }
      if (ranges.length === 0) {
        if (this.#planner.isDone(positions.committed)) return
        await this.#outlast(() => this.#waiter.wait(positions.committed, this.#stopSignal))
        scheduler.skipMissed()
        continue
      }
      const batch = this.#newBatch(lease, ranges, scheduler.batchTime())
      await this.#runBatch(runner, positions, batch, { isReplay: false, waitedMs, lag })
    }
  }

  /** Runs batches of a history again, each as the next batch of this stream; those that it has had already are not run a second time. */
  async #runAgain(batches: readonly Batch[], runner: BatchRunner, positions: Positions, lease: Lease): Promise<void> {
    for (const batch of batches.slice(this.#lastBatchId)) {
      this.#stopSignal.throwIfAborted()
      checkTopics(this.#job, this.#planner, batch)
      await this.#outlast(() => positions.moveTo(batch.ranges, `to run batch ${batch.id} again`))
      const { isolation } = readFacts(batch)
      // The batch's time stays: what transformations are told must be what they were told then.
      await this.#runBatch(runner, positions, this.#newBatch(lease, batch.ranges, batch.batchTime, isolation), NOT_WAITED)
    }
  }

  #tellJobChange(last: Batch | undefined, { committed }: Positions): void {
    const { outputs, hash } = this.#job
    const unnamedTopics = this.#planner.unnamedTopics(committed)
    const addedTopics = this.#planner.addedTopics(committed)
    const now = { outputs: [...outputs.keys()], hash, addedTopics, unnamedTopics }
    const message = describeJobChange(last && readFacts(last), now)
    if (message !== undefined) this.#bus.emit({ type: 'jobChanged', message })
  }

  /** Looks at the sources, gives every new partition a durable starting point, and plans. */
  async #plan(positions: Positions): Promise<ReturnType<Planner['plan']>> {
    const looked = new AbortController()
    this.#job.world.clock.sleep(SLOW_LOOK_MS, looked.signal).then(
      () => this.#health.bad(SLOW_LOOK),
      () => {},
    )
    try {
      return await this.#outlast(async () => {
        await this.#waiter.look(this.#stopSignal)
        await positions.settle({ signal: this.#stopSignal })
        return this.#planner.plan(positions.committed, this.#rate)
      })
    } finally {
      looked.abort()
    }
  }

  #newBatch(lease: Lease, ranges: readonly OffsetRange[], batchTime: number, isolation = this.#planner.isolationOf(ranges)): Batch {
    const { outputs, hash } = this.#job
    const names = [...outputs.keys()]
    const facts: BatchFacts = {
      v: 1,
      outputs: names,
      tasks: this.#planner.countTasks(ranges, names, outputs),
      isolation,
      job: hash,
      ...(this.#timestamps !== undefined && { timestamps: this.#timestamps }),
      ...this.#planner.weights.save(),
    }
    return { id: this.#lastBatchId + 1, batchTime, epoch: lease.epoch, ranges, facts }
  }

  async #runBatch(runner: BatchRunner, positions: Positions, batch: Batch, about: BatchRun): Promise<void> {
    const { info, losses, read } = await runner.run(batch, about)
    positions.advance(batch)
    if (losses.length > 0) await this.#outlast(() => positions.passTaskLosses(losses), this.#aborting.signal)
    this.#lastBatchId = batch.id
    this.#totals.add(info)
    this.#planner.weights.learn(read)
    this.#health.good()
    const { processingDelay: processingDelayMs = 0, schedulingDelay: schedulingDelayMs = 0, numRecords: records = 0 } = info
    // By the clock that only grows: after the wall clock jumped back, no batch would be later than the last for as long.
    const time = this.#job.world.clock.monotonic()
    this.#rate = this.#estimator?.compute({ time, records, processingDelayMs, schedulingDelayMs }) ?? this.#rate
  }

  /** Once running, an outage is waited out with health red, as long as `retry.forMs` says. */
  async #outlast<T>(call: () => Promise<T>, signal = this.#stopSignal): Promise<T> {
    const options = {
      forMs: this.#job.options.retryForMs,
      signal,
      onRetry: (error: TidemarkError) => this.#health.outage(error),
    }
    try {
      const result = await retrying(this.#job.world, options, call)
      this.#health.good()
      return result
    } catch (error) {
      signal.throwIfAborted()
      throw error
    }
  }
}

/** Another driver is why a stream stands by; a second job of its name in the same process is a mistake, and would stand by for ever. */
function explainHolder(error: Error, stream: string): string {
  const holder = isTidemarkError(error) ? error.details.owner : undefined
  if (typeof holder !== 'string' || !OWNERS_HERE.has(holder)) return error.message
  return `${error.message} It runs in this very process: two jobs may be named ${stream}, and a name is one stream.`
}
