import { hostname } from 'node:os'
import { systemClock } from '../../../src/core/clock.ts'
import { errorMessage, TaskFailedError } from '../../../src/core/errors.ts'
import type { JobDoor } from '../../../src/core/job-door.ts'
import type { JobFingerprint } from '../../../src/core/job-fingerprint.ts'
import { type Log, silentLog } from '../../../src/core/log.ts'
import { answerWithin } from '../../../src/util/answer-within.ts'
import type { RedisTarget } from '../../../src/util/redis-line.ts'
import { checkServer } from '../check-server.ts'
import { checkTarget } from '../check-target.ts'
import { ControlLine } from '../control-line.ts'
import { type JobKeys, jobKeys } from '../keys.ts'
import { BULLMQ_VERSION, type ExecutorInfo } from '../messages.ts'
import { Registry } from '../registry.ts'
import { DriverWatch } from './driver-watch.ts'
import { executorId } from './executor-id.ts'
import { forgetPack } from './forget-pack.ts'
import { Heartbeat } from './heartbeat.ts'
import type { HeldPack } from './held-pack.ts'
import type { CompleteServeOptions } from './host-options.ts'
import { LocalRuns } from './local-runs.ts'
import { LockKeeper } from './lock-keeper.ts'
import { type ExecutorQueue, openQueue } from './open-queue.ts'
import { PackLoop } from './pack-loop.ts'
import { renewLocks } from './renew-locks.ts'
import { TaskCounts } from './task-counts.ts'

/** An executor that serves. */
export interface TaskServer extends AsyncDisposable {
  /** `<host>-<pid>-<random>`, as `tidemark status` lists it. */
  readonly id: string
  /** Resolves when it has left, however it was told to. */
  readonly done: Promise<void>
  /** Takes nothing more, ends and reports what it works on, and leaves. */
  drain(): Promise<void>
  /** Ends at once: its tasks are aborted and go to others. */
  stop(): Promise<void>
}

/** How long a driver may take to fetch the last reports before the queue goes, ms. Those it has missed are run again. */
const FETCH_WITHIN_MS = 2_000
/** How often it looks whether they have, and how long such a look may take, ms. */
const LOOK_EVERY_MS = 50
const ANSWER_WITHIN_MS = 1_000
/** How long an executor that was stopped waits for its tasks to end and be reported, and then for each thing to close, ms. */
const STOP_WITHIN_MS = 1_000
/** How long closing may take, ms: sinks that hang, a Redis that is away. */
const CLOSE_WITHIN_MS = 5_000

type Patience = { readonly fetchWithinMs: number; readonly closeWithinMs: number }

/** An executor from its first heartbeat to its leave. */
export class Server implements TaskServer {
  readonly id = executorId(hostname(), process.pid)
  readonly done: Promise<void>
  readonly #job: string
  readonly #fingerprint: JobFingerprint
  readonly #options: CompleteServeOptions
  readonly #log: Log
  readonly #target: RedisTarget
  readonly #keys: JobKeys
  readonly #line: ControlLine
  readonly #registry: Registry
  readonly #heartbeat: Heartbeat
  readonly #drivers: DriverWatch
  readonly #counts = new TaskCounts()
  readonly #runs: LocalRuns
  readonly #startedAt = systemClock.now()
  readonly #left = Promise.withResolvers<void>()
  #state: ExecutorInfo['state'] = 'ready'
  #queue: ExecutorQueue | undefined
  #loop: PackLoop | undefined
  #locks: LockKeeper | undefined
  #draining: Promise<void> | undefined
  #stopping: Promise<void> | undefined
  #leaving: Promise<void> | undefined

  constructor(door: JobDoor, fingerprint: JobFingerprint, options: CompleteServeOptions) {
    const { log = silentLog, prefix, executor } = options
    this.#job = door.name
    this.#fingerprint = fingerprint
    this.#options = options
    this.#log = log
    this.done = this.#left.promise
    this.#target = 'client' in options ? { client: options.client } : { url: options.url, tls: options.tls }
    this.#keys = jobKeys(prefix, door.name)
    this.#line = new ControlLine(this.#target, 'executor')
    this.#registry = new Registry(this.#line, this.#keys)
    this.#runs = new LocalRuns(door, executor, { log, clock: systemClock })
    this.#drivers = new DriverWatch(door.name, fingerprint, log)
    this.#heartbeat = new Heartbeat(this.#registry, {
      info: () => this.#info(),
      working: () => Array.from(this.#loop?.packs ?? [], ({ id }) => id),
      onHeard: heard => {
        if (this.#loop === undefined) return
        this.#loop.hear(heard)
        this.#drivers.note(heard.runs)
      },
      log,
    })
  }

  /** @throws ConnectionError, AuthError, UnsupportedError, ConfigError where the Redis or the client cannot be used */
  async start(): Promise<void> {
    const { id } = this
    const { slots, lockMs, stallMs, maxReportBytes } = this.#options
    const log = this.#log
    const clock = systemClock
    checkTarget(this.#target)
    try {
      await checkServer(this.#line, message => log.warn({ executor: id }, message))
      await this.#heartbeat.start()
    } catch (error) {
      this.#line.close()
      throw error
    }
    this.#queue = openQueue(this.#target, { name: id, prefix: this.#keys.queuePrefix, lockMs, log })
    const { worker } = this.#queue
    this.#loop = new PackLoop(worker, {
      ...{ executor: id, fingerprint: this.#fingerprint, runs: this.#runs, counts: this.#counts, now: () => clock.monotonic() },
      ...{ slots, lockMs, maxReportBytes, clock, log },
      listen: () => this.#heartbeat.beat(),
      forget: pack => forgetPack(this.#line, this.#keys, id, pack),
    })
    const renew = (packs: readonly HeldPack[]) => renewLocks(this.#line, { keys: this.#keys, executor: id, lockMs }, packs)
    this.#locks = new LockKeeper(renew, this.#loop.packs, { lockMs, stallMs, clock, log })
    const { version } = this.#fingerprint
    log.info(
      { executor: id, slots, job: this.#job, version },
      `executor ${id} serves ${this.#job} with ${slots} ${slots === 1 ? 'slot' : 'slots'} (tidemark ${version})`,
    )
  }

  drain(): Promise<void> {
    this.#draining ??= this.#drain()
    return this.#draining
  }

  stop(): Promise<void> {
    this.#stopping ??= this.#stop()
    return this.#stopping
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop()
  }

  async #drain(): Promise<void> {
    const tasks = this.#counts.running
    this.#log.info({ executor: this.id, tasks }, `executor ${this.id} drains: it ends ${tasks} tasks and takes nothing more`)
    const reported = this.#takeNoMore()
    await this.#heartbeat.beat()
    await reported
    await this.#leave({ fetchWithinMs: this.#drivers.hasDriver ? FETCH_WITHIN_MS : 0, closeWithinMs: CLOSE_WITHIN_MS })
  }

  async #stop(): Promise<void> {
    const reported = this.#takeNoMore()
    this.#loop?.abort(() => new TaskFailedError(`Executor ${this.id} was stopped: its tasks run elsewhere.`, { retryable: true }))
    // A task that listens to no signal is left behind: its lock lapses.
    await this.#within(STOP_WITHIN_MS, 'tasks did not end when they were told to', reported)
    await this.#leave({ fetchWithinMs: 0, closeWithinMs: STOP_WITHIN_MS })
  }

  #takeNoMore(): Promise<void> {
    this.#state = 'draining'
    return this.#loop?.drain() ?? Promise.resolve()
  }

  #leave(patience: Patience): Promise<void> {
    this.#leaving ??= this.#close(patience)
    return this.#leaving
  }

  async #close({ fetchWithinMs, closeWithinMs }: Patience): Promise<void> {
    const queue = this.#queue
    const closing = this.#runs.close()
    const isFetched = queue !== undefined && (await this.#untilFetched(queue, fetchWithinMs))
    await this.#heartbeat.stop()
    this.#locks?.close()
    await this.#within(closeWithinMs, 'it could not say that it leaves', this.#registry.leave(this.id))
    // Reports that nobody has taken yet stay: a driver takes the queue away with them.
    if (isFetched) await this.#within(closeWithinMs, 'its queue is left behind', queue.obliterate())
    await this.#within(closeWithinMs, 'outputs or sources are left open', closing)
    await queue?.close()
    this.#line.close()
    const { completed, failed } = this.#counts.values
    this.#log.info({ executor: this.id, completed, failed }, `executor ${this.id} has left: ${completed} tasks completed, ${failed} failed`)
    this.#left.resolve()
  }

  /** Waits until drivers have taken every report, and what was sent before they saw that this executor leaves. */
  async #untilFetched(queue: ExecutorQueue, withinMs: number): Promise<boolean> {
    const endsAt = systemClock.monotonic() + withinMs
    try {
      for (;;) {
        if ((await answerWithin(queue.count(), ANSWER_WITHIN_MS, undefined)) === 0) return true
        if (systemClock.monotonic() >= endsAt) return false
        await systemClock.sleep(LOOK_EVERY_MS)
      }
    } catch {
      // Redis is away: nobody fetches anything.
      return false
    }
  }

  async #within(ms: number, otherwise: string, work: Promise<unknown>): Promise<void> {
    try {
      await answerWithin(work, ms, undefined)
    } catch (error) {
      this.#log.warn({ executor: this.id, err: error }, `executor ${this.id}: ${otherwise} (${errorMessage(error)})`)
    }
  }

  #info(): ExecutorInfo {
    return {
      v: BULLMQ_VERSION,
      ...{ id: this.id, host: hostname(), pid: process.pid, slots: this.#options.slots, fingerprint: this.#fingerprint },
      ...{ startedAt: this.#startedAt, state: this.#state, tasks: this.#counts.values },
    }
  }
}
