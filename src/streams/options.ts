import { hostname } from 'node:os'
import { z } from 'zod'
import { ConfigError, type DataLossPolicy } from '../core/errors.ts'
import type { Listener } from '../core/events.ts'
import type { Executor } from '../core/executor.ts'
import type { Log } from '../core/log.ts'
import type { OffsetStore } from '../core/offset-store.ts'
import { systemRandom } from '../core/random.ts'
import { DEFAULT_OUTPUT_WAIT_MS } from '../core/range-run.ts'
import type { Guarantee } from '../core/sink.ts'
import type { Source } from '../core/source.ts'
import type { TopicPartition } from '../core/values.ts'
import type { DriverOptions, Until } from '../driver/driver-job.ts'
import { parseOptions } from '../util/parse-options.ts'
import { type DeadLetterPolicy, isDeadLetterPolicy } from './dead-letter.ts'

/** A rate in records a second: one for all partitions, or a function of the partition. */
export type PartitionRate = number | ((partition: TopicPartition) => number)

/** How much a batch may hold. Records are counted as offsets, as Spark counts them. */
export type LimitOptions = {
  /** Spark's `maxOffsetsPerTrigger`, shared among partitions by lag. @default 500_000 */
  readonly maxRecordsPerBatch?: number
  /** Bytes a batch, as fetched, by what each partition's offsets weighed in the batches before; a stream's first batch is not weighed. @default 256 MiB */
  readonly maxBytesPerBatch?: number
  /** Spark's `minOffsetsPerTrigger`: a batch of fewer waits for more. @default 1 */
  readonly minRecordsPerBatch?: number
  /** Spark's `maxTriggerDelay`: how long a batch waits for `minRecordsPerBatch`, ms. @default 900_000 */
  readonly maxBatchDelayMs?: number
  /** Spark's `spark.streaming.kafka.maxRatePerPartition`, records a second; kept without an interval too. @default unlimited */
  readonly maxRatePerPartition?: PartitionRate
  /** Spark's `spark.streaming.kafka.minRatePerPartition`: records a batch that each lagging partition gets at least. @default 1 */
  readonly minRatePerPartition?: PartitionRate
  /** Records a second, over all partitions, until back-pressure has an estimate; only with `backpressure`. @default none */
  readonly initialRate?: number
  /** Splits large ranges until a batch has about this many tasks (Spark's `minPartitions`). @default one a partition */
  readonly minTasks?: number
  /** Splits ranges of more records than this. @default not split */
  readonly maxRecordsPerTask?: number
}

/** The weights of Spark's PID rate estimator. */
export type PidWeights = {
  /** @default 1 */
  readonly proportional?: number
  /** @default 0.2 */
  readonly integral?: number
  /** @default 0 */
  readonly derivative?: number
  /** Records a second that the estimate never goes below. @default 100 */
  readonly minRate?: number
}

/** What a stream is made of beside its flow. Only `name` is required; `offsets` too when it is started from code. */
export type StreamOptions = {
  /** Names the stream in its store and in every ledger. Any non-empty text; renaming a stream starts it anew. */
  readonly name: string
  /** Where committed offsets live. The CLI brings SQLite in `<job>.offsets.db` where a job has none. */
  readonly offsets?: OffsetStore
  /** From one batch to the next, ms; 0 runs one as soon as there is something. @default 1000 */
  readonly batchIntervalMs?: number
  readonly limits?: LimitOptions
  /** Fits the batch's size to what the outputs take. @default 'off' */
  readonly backpressure?: 'off' | { readonly pid: PidWeights }
  /** What to do about records that are gone from Kafka before they were read. @default 'fail' */
  readonly onDataLoss?: 'fail' | 'skip' | Partial<DataLossPolicy>
  /** What to do about a record that a per-row function of the job fails on: stop, leave it out, or put it aside by `deadLetter(sink)`. @default 'fail' */
  readonly onRecordError?: 'fail' | 'skip' | DeadLetterPolicy
  /** Refuses to start with an output that promises less. @default none demanded */
  readonly guarantee?: Guarantee
  /** Where tasks run. @default inProcess() */
  readonly executor?: Executor
  /** How long failures that may pass (connections, elections) are tried again, ms; an HTTP endpoint that is away is waited for longer. @default 300_000 */
  readonly retry?: { readonly forMs?: number }
  /** How long one attempt of a task may run, ms. @default 600_000 */
  readonly taskTimeoutMs?: number
  /**
   * How long the outputs of a stream wait, over one range, for the slowest of them; then it goes on with a read of its own, and the others end without it,
   * ms. @default 5_000
   */
  readonly maxOutputWaitMs?: number
  /** How long after a driver's death another may take over, ms. @default 10_000 */
  readonly leaseTtlMs?: number
  /** Names this start of the driver. @default host:pid:random */
  readonly owner?: string
  /** Told of everything that happens; see {@link StreamEvent}. */
  readonly listeners?: readonly Listener[]
  /** A pino logger or its like. @default pino to stderr, one line a batch */
  readonly log?: Log
}

const wholeFrom = (least: number, unit: string) =>
  z
    .number({ error: `a whole number of ${unit} from ${least}` })
    .int()
    .min(least, { error: `a whole number of ${unit} from ${least}` })

/** Timers go no further: what is longer would be over at once. */
const MAX_TIMER_MS = 2 ** 31 - 1

const msFrom = (least: number) => wholeFrom(least, 'milliseconds').max(MAX_TIMER_MS, { error: `at most ${MAX_TIMER_MS} milliseconds` })

const rate = z.union([z.number().nonnegative(), z.custom<(partition: TopicPartition) => number>(value => typeof value === 'function')], {
  error: 'records a second from 0, or a function of the partition that gives them',
})

const object = <T>(accepted: string, methods: readonly string[]) =>
  z.custom<T>(
    value => typeof value === 'object' && value !== null && methods.every(method => typeof Reflect.get(value, method) === 'function'),
    { error: accepted },
  )

const lossPolicy = z.enum(['fail', 'skip'], { error: "'fail' or 'skip'" })

const weight = z.number().nonnegative({ error: 'a number from 0' })

const schema = z.strictObject({
  name: z.string().min(1, { error: 'the name of the stream, a non-empty text' }),
  offsets: object<OffsetStore>("an offset store, such as sqliteOffsets({ path }) of 'tidemark/offsets/sqlite'", [
    'acquire',
    'begin',
    'commit',
  ]).optional(),
  batchIntervalMs: msFrom(0).default(1000),
  limits: z
    .strictObject({
      maxRecordsPerBatch: wholeFrom(1, 'records').default(500_000),
      maxBytesPerBatch: wholeFrom(1, 'bytes').default(256 * 1_048_576),
      minRecordsPerBatch: wholeFrom(1, 'records').default(1),
      maxBatchDelayMs: msFrom(0).default(900_000),
      maxRatePerPartition: rate.optional(),
      minRatePerPartition: z
        .union([z.number().int().nonnegative(), z.custom<(partition: TopicPartition) => number>(value => typeof value === 'function')], {
          error: 'a whole number of records a batch from 0, or a function of the partition that gives it',
        })
        .optional(),
      initialRate: z.number().nonnegative({ error: 'records a second from 0' }).optional(),
      minTasks: wholeFrom(1, 'tasks').optional(),
      maxRecordsPerTask: wholeFrom(1, 'records').optional(),
    })
    .prefault({}),
  backpressure: z
    .union(
      [
        z.literal('off'),
        z.strictObject({
          pid: z.strictObject({
            proportional: weight.default(1),
            integral: weight.default(0.2),
            derivative: weight.default(0),
            minRate: z.number().positive({ error: 'records a second above 0' }).default(100),
          }),
        }),
      ],
      { error: "'off' or { pid: { proportional?, integral?, derivative?, minRate? } }" },
    )
    .default('off'),
  onDataLoss: z
    .union(
      [
        lossPolicy,
        z.strictObject({
          retention: lossPolicy.default('fail'),
          truncation: lossPolicy.default('fail'),
          recreated: lossPolicy.default('fail'),
          removed: lossPolicy.default('fail'),
        }),
      ],
      { error: "'fail', 'skip' or { retention?, truncation?, recreated?, removed? } of these" },
    )
    .default('fail'),
  onRecordError: z
    .union([z.enum(['fail', 'skip']), z.custom<DeadLetterPolicy>(isDeadLetterPolicy)], { error: "'fail', 'skip' or deadLetter(sink)" })
    .default('fail'),
  guarantee: z
    .enum(['exactly-once', 'idempotent', 'at-least-once'], { error: "'exactly-once', 'idempotent' or 'at-least-once'" })
    .optional(),
  executor: object<Executor>('an executor, such as inProcess({ concurrency: 4 })', ['start']).optional(),
  retry: z.strictObject({ forMs: msFrom(0).default(300_000) }).prefault({}),
  taskTimeoutMs: msFrom(1).default(600_000),
  maxOutputWaitMs: msFrom(1).default(DEFAULT_OUTPUT_WAIT_MS),
  leaseTtlMs: msFrom(100).default(10_000),
  owner: z.string().min(1, { error: 'a non-empty text that no other driver of the stream uses' }).optional(),
  listeners: z.array(z.custom<Listener>(value => typeof value === 'function', { error: 'a function that takes an event' })).default([]),
  log: object<Log>('a logger with debug, info, warn and error, such as a pino logger', ['debug', 'info', 'warn', 'error']).optional(),
})

/** What an engine that runs a stream by itself says: no outputs, no executor, nothing of records. */
const directSchema = schema
  .pick({
    name: true,
    batchIntervalMs: true,
    limits: true,
    onDataLoss: true,
    retry: true,
    leaseTtlMs: true,
    owner: true,
    listeners: true,
    log: true,
  })
  .extend({
    offsets: schema.shape.offsets.unwrap(),
    source: object<Source<unknown>>("a source, such as kafkaSource({ kafka, topics }) of 'tidemark/kafka'", ['latestOffsets', 'read']),
    steal: z.boolean().default(false),
    until: z
      .union([z.literal('latest'), z.looseObject({ at: z.enum(['timestamp', 'exact']) })], {
        error: "'latest', { at: 'timestamp', timestamp } or { at: 'exact', offsets }",
      })
      .optional(),
  })

/** A stream's options with every default in. */
export type CompleteOptions = {
  readonly name: string
  readonly offsets: OffsetStore | undefined
  readonly guarantee: Guarantee | undefined
  /** The output of dead letters, where that is the policy. */
  readonly deadLetters: DeadLetterPolicy | undefined
  readonly executor: Executor | undefined
  readonly listeners: readonly Listener[]
  readonly log: Log | undefined
  /** A start without an owner of its own gets one. */
  readonly driver: () => DriverOptions
}

/** Checks and completes a stream's options. @throws ConfigError listing every mistake with its path */
export function completeOptions(options: StreamOptions): CompleteOptions {
  const { name, offsets, guarantee, executor, listeners, log, ...rest } = parseOptions(schema, options, 'stream')
  const { batchIntervalMs, limits, backpressure, onDataLoss: loss, onRecordError, retry, taskTimeoutMs, maxOutputWaitMs, leaseTtlMs } = rest
  const onDataLoss = typeof loss === 'string' ? { retention: loss, truncation: loss, recreated: loss, removed: loss } : loss
  if (limits.minRecordsPerBatch > limits.maxRecordsPerBatch) {
    throw new ConfigError(
      `stream: limits.minRecordsPerBatch is ${limits.minRecordsPerBatch}, more than limits.maxRecordsPerBatch, ${limits.maxRecordsPerBatch}: no batch could have it.`,
    )
  }
  if (backpressure === 'off' && limits.initialRate !== undefined) {
    throw new ConfigError(
      `stream: limits.initialRate is ${limits.initialRate}, the rate until back-pressure has an estimate, and there is none: backpressure is 'off'. ` +
        'Add backpressure: { pid: {} }, or hold batches by limits.maxRecordsPerBatch or limits.maxRatePerPartition.',
    )
  }
  if (backpressure !== 'off' && batchIntervalMs === 0) {
    throw new ConfigError("stream: backpressure needs a batchIntervalMs above 0: the estimator weighs a batch's delays against it.")
  }
  const driver = (): DriverOptions => ({
    batchIntervalMs,
    limits,
    backpressure,
    onDataLoss,
    onRecordError: typeof onRecordError === 'string' ? onRecordError : 'deadLetter',
    retryForMs: retry.forMs,
    taskTimeoutMs,
    maxOutputWaitMs,
    leaseTtlMs,
    owner: rest.owner ?? `${hostname()}:${process.pid}:${systemRandom.id(8)}`,
  })
  const deadLetters = typeof onRecordError === 'string' ? undefined : onRecordError
  return { name, offsets, guarantee, deadLetters, executor, listeners, log, driver }
}

/** What {@link completeDirectOptions} takes beside what a stream has. */
type DirectExtras<Row> = {
  readonly offsets: OffsetStore
  readonly source: Source<Row>
  readonly steal?: boolean
  readonly until?: Until
}

/** Checks and completes the options of a stream that an engine runs. @throws ConfigError listing every mistake with its path */
export function completeDirectOptions<Row>({ source, steal = false, until, ...options }: StreamOptions & DirectExtras<Row>) {
  parseOptions(directSchema, { source, steal, until, ...options }, 'openDirectStream')
  const { name, listeners, log, driver } = completeOptions(options)
  return { name, listeners, log, source, offsets: options.offsets, steal, until, driver: driver() }
}
