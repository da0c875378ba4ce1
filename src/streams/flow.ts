import { ConfigError } from '../core/errors.ts'
import type { RangeContext, Stage } from '../core/runnable-job.ts'
import type { BatchContext, Sink } from '../core/sink.ts'
import type { Source } from '../core/source.ts'
import type { Task } from '../core/values.ts'
import { forEachBatchSink, forEachRangeSink } from './functions-as-sinks.ts'

/** How many rows of one array an asynchronous function works on at a time. Results keep their order whatever it is. */
const DEFAULT_CONCURRENCY = 16

export type StageOptions = {
  /** For a function that returns promises: how many rows at a time. @default 16 */
  readonly concurrency?: number
}
export type OutputOptions = {
  /** The output's name, unique in the job and part of every ledger key: keep it when the job changes. @default the sink's kind and target */
  readonly name?: string
}

/**
 * Rows on their way from a source to outputs. Every method gives a new flow and leaves this one as it is, so a flow can be used twice;
 * what two outputs have in common is then worked out once.
 *
 * Functions must be deterministic: a replay runs them again and must get the same rows.
 */
export interface Flow<Row, Job> {
  map<Out>(transform: (row: Row) => Out | Promise<Out>, options?: StageOptions): Flow<Awaited<Out>, Job>
  /** Keeps the rows for which `keep` gives something true. A type guard narrows. */
  filter<Kept extends Row>(keep: (row: Row) => row is Kept): Flow<Kept, Job>
  filter(keep: (row: Row) => unknown, options?: StageOptions): Flow<Row, Job>
  flatMap<Out>(expand: (row: Row) => Iterable<Out> | AsyncIterable<Out> | Promise<Iterable<Out>>, options?: StageOptions): Flow<Out, Job>
  /** Transforms a range's rows as a whole, array by array: Spark's `mapPartitions`. `transform` is an async generator. */
  mapRange<Out>(transform: (rows: AsyncIterable<readonly Row[]>, range: RangeContext) => AsyncIterable<readonly Out[]>): Flow<Out, Job>
  /** Ends the flow in an output and gives the job back. */
  to(sink: Sink<Row>, options?: OutputOptions): Job
  /** Runs on the executor once a range, with its rows as an async iterable of arrays: Spark's `foreachPartition`. At-least-once. */
  forEachRange(run: (rows: AsyncIterable<readonly Row[]>, task: Task) => unknown, options?: OutputOptions): Job
  /**
   * Runs on the driver once a batch, with all of its rows in the order of its ranges. At-least-once.
   * `maxRows` bounds what is gathered; a batch with more fails. @default 1_000_000
   */
  forEachBatch(run: (rows: readonly Row[], batch: BatchContext) => unknown, options?: OutputOptions & { readonly maxRows?: number }): Job
}

/** An output as it is declared: where it comes from, what happens on the way, where it goes. */
export type DeclaredOutput = {
  readonly name: string
  readonly source: Source<unknown>
  readonly stages: readonly Stage[]
  readonly sink: Sink<never>
  readonly gatherMaxRows?: number
  readonly isDeadLetters?: boolean
  readonly batchFunction?: (rows: readonly unknown[], batch: BatchContext) => unknown
}

/** Starts a flow at a source. `declare` takes each output and gives back the job. */
export function flowFrom<Row, Job>(source: Source<Row>, declare: (output: DeclaredOutput) => Job): Flow<Row, Job> {
  return new StagedFlow<Row, Job>(source, [], declare)
}

class StagedFlow<Row, Job> implements Flow<Row, Job> {
  readonly #source: Source<unknown>
  readonly #stages: readonly Stage[]
  readonly #declare: (output: DeclaredOutput) => Job

  constructor(source: Source<unknown>, stages: readonly Stage[], declare: (output: DeclaredOutput) => Job) {
    this.#source = source
    this.#stages = stages
    this.#declare = declare
  }

  map<Out>(transform: (row: Row) => Out | Promise<Out>, options?: StageOptions): Flow<Awaited<Out>, Job> {
    return this.#rowStage('map', transform, options)
  }

  filter<Kept extends Row = Row>(keep: (row: Row) => unknown, options?: StageOptions): Flow<Kept, Job> {
    return this.#rowStage('filter', keep, options)
  }

  flatMap<Out>(expand: (row: Row) => Iterable<Out> | AsyncIterable<Out> | Promise<Iterable<Out>>, options?: StageOptions): Flow<Out, Job> {
    return this.#rowStage('flatMap', expand, options)
  }

  mapRange<Out>(transform: (rows: AsyncIterable<readonly Row[]>, range: RangeContext) => AsyncIterable<readonly Out[]>): Flow<Out, Job> {
    checkFunction('mapRange', transform)
    return this.#with({ kind: 'mapRange', label: label('mapRange', transform), apply: transform as never })
  }

  to(sink: Sink<Row>, options: OutputOptions = {}): Job {
    if (typeof sink?.write !== 'function') {
      throw new ConfigError(
        `to() takes a sink, such as jsonlSink({ directory }) of 'tidemark/files', or use forEachRange or forEachBatch for a function.`,
      )
    }
    return this.#declare({ ...this.#path(), name: options.name ?? sink.name, sink: sink as Sink<never> })
  }

  forEachRange(run: (rows: AsyncIterable<readonly Row[]>, task: Task) => unknown, options: OutputOptions = {}): Job {
    checkFunction('forEachRange', run)
    return this.to(forEachRangeSink(run), options)
  }

  forEachBatch(
    run: (rows: readonly Row[], batch: BatchContext) => unknown,
    { name, maxRows = 1_000_000 }: OutputOptions & { readonly maxRows?: number } = {},
  ): Job {
    checkFunction('forEachBatch', run)
    if (!Number.isSafeInteger(maxRows) || maxRows < 1)
      throw new ConfigError(`forEachBatch: maxRows is ${String(maxRows)}; it must be a whole number from 1.`)
    const sink = forEachBatchSink()
    return this.#declare({ ...this.#path(), name: name ?? sink.name, sink, gatherMaxRows: maxRows, batchFunction: run as never })
  }

  #path() {
    return { source: this.#source, stages: this.#stages }
  }

  #rowStage<Out>(kind: 'map' | 'filter' | 'flatMap', apply: (row: Row) => unknown, options: StageOptions = {}): Flow<Out, Job> {
    checkFunction(kind, apply)
    const concurrency = options.concurrency ?? DEFAULT_CONCURRENCY
    if (!Number.isInteger(concurrency) || concurrency < 1) {
      throw new ConfigError(`${kind}: concurrency is ${String(options.concurrency)}; it must be a whole number from 1.`)
    }
    return this.#with({ kind, label: label(kind, apply), apply: apply as never, concurrency })
  }

  #with<Out>(stage: Stage): Flow<Out, Job> {
    return new StagedFlow<Out, Job>(this.#source, [...this.#stages, stage], this.#declare)
  }
}

function label(kind: Stage['kind'], apply: { readonly name: string }): string {
  return apply.name === '' ? kind : `${kind} (${apply.name})`
}

function checkFunction(kind: string, value: unknown): void {
  if (typeof value !== 'function') throw new ConfigError(`${kind}() takes a function, and got ${value === null ? 'null' : typeof value}.`)
}
