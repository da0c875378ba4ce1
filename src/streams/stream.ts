import { JOB_BRAND } from '../core/brands.ts'
import { systemClock } from '../core/clock.ts'
import { ConfigError, JobError } from '../core/errors.ts'
import type { Listener } from '../core/events.ts'
import type { Log } from '../core/log.ts'
import type { OffsetStore } from '../core/offset-store.ts'
import { systemRandom } from '../core/random.ts'
import type { RunnableOutput } from '../core/runnable-job.ts'
import type { Source } from '../core/source.ts'
import { checkGuarantee, weakestGuarantee } from '../driver/check-guarantee.ts'
import { Driver, type RunSummary } from '../driver/driver.ts'
import type { BatchFunction, DriverJob, JobSource, Until } from '../driver/driver-job.ts'
import { inspectJob, type NextBatch } from '../driver/inspect-job.ts'
import { inProcess } from '../executors/in-process.ts'
import { defaultLog } from './default-log.ts'
import { type DeclaredOutput, type Flow, flowFrom } from './flow.ts'
import { hashJob } from './job-hash.ts'
import { type CompleteOptions, completeOptions, type StreamOptions } from './options.ts'

export type StartOptions = {
  /** Where the run ends by itself: what is there now, a time (ms), or exact offsets. @default it goes on until stopped */
  readonly until?: Until
  /** Takes the lease over from a live driver, which then stops with `FencedError`. @default false */
  readonly steal?: boolean
  /** The store for a job that has none of its own. */
  readonly offsets?: OffsetStore
  /** Told of this run's events, beside the job's own listeners. */
  readonly listeners?: readonly Listener[]
  /** Replaces the job's log for this run. */
  readonly log?: Log
}

/** A run of a stream. */
export interface Run extends AsyncDisposable {
  /** Resolves when the run has ended and everything is closed; rejects with what ended it, and nothing of the batch in hand is committed. */
  readonly done: Promise<RunSummary>
  /** Finishes and commits the batch in hand, then ends; with `now`, ends at once and the batch stays begun. Resolves when it has ended. */
  stop(options?: { readonly now?: boolean }): Promise<void>
  /** Begins no further batch until `resume`; the lease is kept. */
  pause(): void
  resume(): void
}

/** A job: what has a name, a store and a clock. Declaring one connects nothing. */
export interface StreamJob {
  readonly name: string
  /** Begins a flow. A job may have several sources and several outputs. */
  from<Row>(source: Source<Row>): Flow<Row, StreamJob>
  /** Resolves when the run holds the lease or stands by for it; rejects where it cannot start. */
  start(options?: StartOptions): Promise<Run>
}

/** What the CLI asks of a job, which may be of another copy of this package. */
export type JobInternals = {
  readonly name: string
  readonly offsets: OffsetStore | undefined
  /** Whether the job brings a log of its own. */
  readonly hasLog: boolean
  readonly inspect: (options: { readonly offsets?: OffsetStore; readonly signal: AbortSignal }) => Promise<NextBatch>
  readonly close: (offsets?: OffsetStore) => Promise<void>
}

/**
 * Declares a stream: a job module's default export begins with it.
 *
 *     export default stream({ name: 'orders', offsets: sqliteOffsets({ path: 'orders.db' }) })
 *       .from(kafkaSource({ kafka: { brokers: ['localhost:9092'] }, topics: ['orders'] }))
 *       .map(json<Order>())
 *       .to(jsonlSink({ directory: 'out' }))
 *
 * @throws ConfigError listing every option that is wrong
 */
export function stream(options: StreamOptions): StreamJob {
  return new Job(completeOptions(options))
}

class Job implements StreamJob {
  readonly name: string
  readonly #options: CompleteOptions
  readonly #outputs = new Map<string, DeclaredOutput>()

  constructor(options: CompleteOptions) {
    this.name = options.name
    this.#options = options
    const internals: JobInternals = {
      name: options.name,
      offsets: options.offsets,
      hasLog: options.log !== undefined,
      inspect: ({ offsets, signal }) => inspectJob(this.#compile({ ...(offsets && { offsets }) }), signal),
      close: async offsets => {
        const { sources, store } = this.#compile({ ...(offsets && { offsets }) })
        for (const { source } of sources) await source.close()
        await store.close()
      },
    }
    Object.defineProperty(this, JOB_BRAND, { value: internals })
  }

  from<Row>(source: Source<Row>): Flow<Row, StreamJob> {
    if (typeof source?.read !== 'function') {
      throw new ConfigError(`from() takes a source, such as kafkaSource({ kafka, topics }) of 'tidemark/kafka', and got ${String(source)}.`)
    }
    return flowFrom<Row, StreamJob>(source, output => {
      if (this.#outputs.has(output.name)) {
        throw new JobError(
          `Stream ${this.name} has two outputs named ${output.name}. An output's name is part of its ledger's keys, so it must be unique: ` +
            `give one a name of its own, .to(sink, { name: '…' }).`,
        )
      }
      this.#outputs.set(output.name, output)
      return this
    })
  }

  async start(options: StartOptions = {}): Promise<Run> {
    const job = this.#compile(options)
    checkGuarantee(job, this.#options.guarantee)
    const { until, steal } = options
    const driver = new Driver(job, { ...(until !== undefined && { until }), ...(steal !== undefined && { steal }) })
    await driver.started
    return driver
  }

  #compile(options: StartOptions): DriverJob {
    const store = options.offsets ?? this.#options.offsets
    if (store === undefined) {
      throw new ConfigError(
        `Stream ${this.name} has no offset store. Add one to the job: stream({ name: '${this.name}', offsets: sqliteOffsets({ path: '${this.name}.offsets.db' }) }), ` +
          `with import { sqliteOffsets } from 'tidemark/offsets/sqlite'.`,
      )
    }
    const declared = [...this.#outputs.values()]
    if (declared.length === 0) {
      throw new JobError(`Stream ${this.name} has no output: end a flow with .to(sink), .forEachRange(…) or .forEachBatch(…).`)
    }
    const sources = new Map<Source<unknown>, JobSource>()
    for (const { source } of declared) {
      if (sources.has(source)) continue
      const { name = 'source', isolation = 'read_uncommitted', startingOffsets = { at: 'earliest' } } = source
      sources.set(source, { name, source, isolation, startingOffsets })
    }
    const outputs = new Map<string, RunnableOutput>(declared.map(output => [output.name, output]))
    const batchFunctions = new Map<string, BatchFunction>()
    for (const { name, batchFunction } of declared) if (batchFunction !== undefined) batchFunctions.set(name, batchFunction)
    return {
      stream: this.name,
      store,
      sources: [...sources.values()],
      outputs,
      batchFunctions,
      guarantee: weakestGuarantee(declared.map(({ sink }) => sink.guarantee)),
      hash: hashJob(this.name, declared),
      executor: this.#options.executor ?? inProcess(),
      options: this.#options.driver(),
      listeners: [...this.#options.listeners, ...(options.listeners ?? [])],
      log: options.log ?? this.#options.log ?? defaultLog(),
      world: { clock: systemClock, random: systemRandom },
    }
  }
}
