import { JOB_BRAND } from '../core/brands.ts'
import { systemClock } from '../core/clock.ts'
import { ConfigError, JobError } from '../core/errors.ts'
import { isExecuting, type JobDoor } from '../core/job-door.ts'
import type { Log } from '../core/log.ts'
import type { OffsetStore } from '../core/offset-store.ts'
import { systemRandom } from '../core/random.ts'
import type { JobOrigin, RunnableJob, RunnableOutput } from '../core/runnable-job.ts'
import type { Sink } from '../core/sink.ts'
import type { Source } from '../core/source.ts'
import type { BackfillPlan } from '../driver/backfill/plan-backfill.ts'
import { checkGuarantee } from '../driver/check-guarantee.ts'
import { Driver } from '../driver/driver.ts'
import type { BatchFunction, DriverJob, JobSource } from '../driver/driver-job.ts'
import { inspectJob, type NextBatch } from '../driver/inspect-job.ts'
import { inProcess } from '../executors/in-process.ts'
import { type BackfillRun, planJobBackfill, runPlannedBackfill, startJobBackfill } from './backfill.ts'
import type { BackfillOptions } from './backfill-options.ts'
import { callerModule } from './caller-module.ts'
import { defaultLog } from './default-log.ts'
import { type DeclaredOutput, type Flow, flowFrom } from './flow.ts'
import { hashJob } from './job-hash.ts'
import { type LetterRange, LetterSource, lostBy } from './letter-source.ts'
import { type CompleteOptions, completeOptions, type StreamOptions } from './options.ts'
import type { Run, StartOptions } from './run.ts'

/** A job: what has a name, a store and a clock. Declaring one connects nothing. */
export interface StreamJob {
  readonly name: string
  /** Begins a flow. A job may have several sources and several outputs. */
  from<Row>(source: Source<Row>): Flow<Row, StreamJob>
  /** Resolves when the run holds the lease or stands by for it; rejects where it cannot start. */
  start(options?: StartOptions): Promise<Run>
  /**
   * Runs the job over a bounded past, beside the live stream and under a name of its own: with a lease, positions and ledgers of its own. One that was
   * asked the same and has not come to its end is gone on with. Resolves when it holds its lease; its `done` resolves at its end.
   */
  backfill(options: BackfillOptions): Promise<BackfillRun>
  /** What a backfill would do: which offsets, and what that means for each output. Nothing is written; a little is read, to say what it weighs. */
  planBackfill(options: BackfillOptions): Promise<BackfillPlan>
}

/** What the CLI asks of a job, which may be of another copy of this package. */
export type JobInternals = JobDoor & {
  readonly offsets: OffsetStore | undefined
  /** Whether the job brings a log of its own. */
  readonly hasLog: boolean
  /** Its own log, or the default one. */
  readonly log: () => Log
  readonly inspect: (options: { readonly offsets?: OffsetStore; readonly signal: AbortSignal }) => Promise<NextBatch>
  readonly close: (offsets?: OffsetStore) => Promise<void>
  /** The job as its driver has it, for what is done to a stream by hand. */
  readonly compile: (options?: { readonly offsets?: OffsetStore }) => DriverJob
  /** Plans a backfill, and runs one as it was planned and shown. */
  readonly planBackfill: (options: BackfillOptions, how: { readonly weigh: boolean }) => Promise<BackfillPlan>
  readonly runBackfill: (plan: BackfillPlan, options: BackfillOptions) => Promise<BackfillRun>
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
  return new Job(completeOptions(options), callerModule())
}

/** Letters are counted by the batches that lost them, of which most lost none. */
const LETTERS_PACE = {
  batchIntervalMs: 0,
  backpressure: 'off',
  limits: { maxRecordsPerBatch: 10_000, maxBytesPerBatch: Number.MAX_SAFE_INTEGER, minRecordsPerBatch: 1, maxBatchDelayMs: 0 },
} as const

class Job implements StreamJob {
  readonly name: string
  readonly #options: CompleteOptions
  readonly #module: string | undefined
  readonly #outputs = new Map<string, DeclaredOutput>()

  constructor(options: CompleteOptions, module: string | undefined) {
    this.name = options.name
    this.#module = module
    this.#options = options
    const internals: JobInternals = {
      name: options.name,
      runnable: ({ stream, outputs } = {}) =>
        this.#runnable({ ...(stream !== undefined && { name: stream }), ...(outputs && { outputs }) }),
      offsets: options.offsets,
      hasLog: options.log !== undefined,
      log: () => options.log ?? defaultLog(),
      inspect: ({ offsets, signal }) => inspectJob(this.#compile({ ...(offsets && { offsets }) }), signal),
      close: async offsets => {
        const { sources, store } = this.#compile({ ...(offsets && { offsets }) })
        for (const { source } of sources) await source.close()
        await store.close()
      },
      compile: (options = {}) => this.#compile(options),
      planBackfill: (options, how) => planJobBackfill(own => this.#compile(own), options, how),
      runBackfill: (plan, options) => runPlannedBackfill(own => this.#compile(own), plan, options),
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

  async backfill(options: BackfillOptions): Promise<BackfillRun> {
    this.#checkNotExecuting()
    return startJobBackfill(own => this.#compile(own), options)
  }

  planBackfill(options: BackfillOptions): Promise<BackfillPlan> {
    return planJobBackfill(own => this.#compile(own), options, { weigh: true })
  }

  async start(options: StartOptions = {}): Promise<Run> {
    this.#checkNotExecuting()
    const job = this.#compile(options)
    checkGuarantee(job)
    checkOutputs(job, options.adopt ?? [], 'adopt')
    if (options.batches !== undefined && job.stream === this.name) {
      throw new ConfigError(
        `Stream ${this.name}: batches are run again under a name of their own: start({ name: '${this.name}~replay-1', batches }).`,
      )
    }
    if (options.deadLetters !== undefined && job.stream === this.name) {
      throw new ConfigError(
        `Stream ${this.name}: dead letters are run again under a name of their own: start({ name: '${this.name}~letters', deadLetters }).`,
      )
    }
    const { until, steal, finish, batches, adopt } = options
    const driver = new Driver(job, {
      ...(until !== undefined && { until }),
      ...(steal !== undefined && { steal }),
      ...(finish !== undefined && { finish }),
      ...(batches !== undefined && { batches }),
      ...(adopt !== undefined && { adopt }),
    })
    await driver.started
    return driver
  }

  #checkNotExecuting(): void {
    if (!isExecuting()) return
    throw new JobError(
      `Stream ${this.name} is started by its own module, which a thread or an executor is importing to run its tasks. Start it in another module, ` +
        'or only where it is the program: if (import.meta.main) await job.start().',
    )
  }

  /** The outputs as they take dead letters: each only those that it went without. */
  #ofLetters(letters: LetterRange, declared: readonly DeclaredOutput[], name: string, store: OffsetStore): DeclaredOutput[] {
    const { deadLetters } = this.#options
    if (deadLetters === undefined) {
      throw new ConfigError(
        `Stream ${this.name} has no dead letters: onRecordError: deadLetter(sink) puts records aside that its functions fail on.`,
      )
    }
    const { sink } = deadLetters
    const from = letters.stream === this.name ? sink : (sink.forStream?.(letters.stream) ?? sink)
    const source = new LetterSource(from as Sink<never>, letters, async () => (await store.read(name)).offsets)
    return declared.map(output => {
      const stages = output.isDeadLetters ? [] : [lostBy(output.name), ...output.stages]
      return { ...output, source, stages }
    })
  }

  #compile(options: StartOptions): DriverJob {
    const store = options.offsets ?? this.#options.offsets
    if (store === undefined) {
      throw new ConfigError(
        `Stream ${this.name} has no offset store. Add one to the job: stream({ name: '${this.name}', offsets: sqliteOffsets({ path: '${this.name}.offsets.db' }) }), ` +
          `with import { sqliteOffsets } from 'tidemark/offsets/sqlite'.`,
      )
    }
    const { deadLetters } = options
    const own = this.#declared(options)
    const declared = deadLetters === undefined ? own : this.#ofLetters(deadLetters, own, options.name ?? this.name, store)
    const sources = new Map<Source<unknown>, JobSource>()
    for (const { source } of declared) {
      if (sources.has(source)) continue
      const { name = 'source', isolation = 'read_uncommitted', startingOffsets = { at: 'earliest' } } = source
      sources.set(source, { name, source, isolation, startingOffsets })
    }
    const batchFunctions = new Map<string, BatchFunction>()
    for (const { name, batchFunction } of declared) if (batchFunction !== undefined) batchFunctions.set(name, batchFunction)
    return {
      ...this.#runnable(options, declared),
      store,
      sources: [...sources.values()],
      batchFunctions,
      demanded: this.#options.guarantee,
      hash: hashJob(this.name, declared),
      executor: deadLetters === undefined ? (options.executor ?? this.#options.executor ?? inProcess()) : inProcess(),
      options: deadLetters === undefined ? this.#options.driver() : { ...this.#options.driver(), ...LETTERS_PACE },
      listeners: [...this.#options.listeners, ...(options.listeners ?? [])],
      log: options.log ?? this.#options.log ?? defaultLog(),
      world: { clock: systemClock, random: systemRandom },
    }
  }

  #runnable(options: Pick<StartOptions, 'name' | 'outputs' | 'module'>, declared = this.#declared(options)): RunnableJob {
    const outputs = new Map<string, RunnableOutput>(declared.map(output => [output.name, output]))
    return { stream: options.name ?? this.name, origin: this.#origin(options.module ?? this.#module), outputs }
  }

  /** Of the whole job, whichever of its outputs run. */
  #origin(module: string | undefined): JobOrigin {
    const all = this.#all()
    return { name: this.name, module, shape: hashJob(this.name, all), targets: targetsOf(all) }
  }

  /** The outputs that were declared, and that of dead letters, which is of every source. */
  #all(): DeclaredOutput[] {
    const declared = [...this.#outputs.values()]
    const { deadLetters } = this.#options
    const [first] = declared
    if (deadLetters === undefined || first === undefined) return declared
    const { name, sink } = deadLetters
    if (this.#outputs.has(name)) {
      throw new JobError(
        `Stream ${this.name} has an output named ${name}, and so are its dead letters: deadLetter(sink, { name: '…' }) names them.`,
      )
    }
    return [...declared, { name, source: first.source, stages: [], sink: sink as Sink<never>, isDeadLetters: true }]
  }

  /** The outputs of a run: those it names, and under another name those that keep no ledger by stream somewhere else. */
  #declared({ name = this.name, outputs }: Pick<StartOptions, 'name' | 'outputs'>): DeclaredOutput[] {
    if (this.#outputs.size === 0) {
      throw new JobError(`Stream ${this.name} has no output: end a flow with .to(sink), .forEachRange(…) or .forEachBatch(…).`)
    }
    const all = this.#all()
    checkOutputs({ stream: this.name, outputs: new Map(all.map(output => [output.name, output])) }, outputs ?? [], 'outputs')
    // Whatever is left out of the others goes to the dead letters.
    return all
      .filter(output => output.isDeadLetters || (outputs?.includes(output.name) ?? true))
      .map(output => (name === this.name ? output : { ...output, sink: output.sink.forStream?.(name) ?? output.sink }))
  }
}

/** What the sources and outputs of a job point at, for a comparison with the same job elsewhere. */
function targetsOf(outputs: Iterable<DeclaredOutput>): string[] {
  const targets = Array.from(outputs, ({ name, source, sink }) => [
    `source ${source.name ?? 'source'}${source.target === undefined ? '' : ` at ${source.target}`}`,
    `output ${name}${sink.target === undefined ? '' : ` at ${sink.target}`}`,
  ])
  return [...new Set(targets.flat())].sort()
}

function checkOutputs(
  { stream, outputs }: { readonly stream: string; readonly outputs: ReadonlyMap<string, unknown> },
  names: readonly string[],
  option: 'adopt' | 'outputs',
): void {
  const unknown = names.filter(name => !outputs.has(name))
  if (unknown.length === 0) return
  throw new ConfigError(
    `Stream ${stream} has no output ${unknown.join(', ')}, which ${option === 'adopt' ? 'was to be adopted' : 'was asked for'}. Its outputs are ${[...outputs.keys()].join(', ')}.`,
  )
}
