import { MAP_ARRAY, type MapsArrays } from './brands.ts'
import { errorMessage, isTidemarkError, RecordError, type TidemarkError } from './errors.ts'
import type { RangeContext, Stage } from './runnable-job.ts'
import { showRange, type TopicPartition } from './values.ts'

export type RowStage = Exclude<Stage, { kind: 'mapRange' }>

/** By array of rows, the record of the source that each row came from. */
export type RecordOrigins = WeakMap<readonly unknown[], readonly unknown[]>

/**
 * Told of a record that is left out, with the record where it is known (rows of `mapRange` are of no one record) and the stage that failed on it.
 * It may throw, and then that is what the rows end with.
 */
export type OnSkip = (error: TidemarkError, record: unknown, stage: RowStage | undefined) => void

export type Origins = {
  /** Whether the rows are the source's records; what a function returned may have an `offset` of another kind. */
  readonly isOfSource: boolean
  /** Where rows that go on to several outputs keep their records. */
  readonly records: RecordOrigins | undefined
  /** Whether the rows go on to several outputs: only then is it worth to remember where each came from. */
  readonly willFork: boolean
}

/**
 * After how many rows of functions that are not asynchronous it is told that they move. A function may take half a second, and an array of rows minutes:
 * whoever looks would take the task for stuck.
 */
const TELL_EVERY_ROWS = 16

/** Neighbouring per-row stages as one loop over an array of rows. */
export class RowPipeline {
  readonly #stages: readonly RowStage[]
  readonly #range: RangeContext
  readonly #concurrency: number
  readonly #onSkip: OnSkip | undefined
  readonly #onProgress: (() => void) | undefined
  readonly #origins: Origins
  /** Of a first stage that can take arrays whole. */
  readonly #mapArray: MapsArrays[typeof MAP_ARRAY]
  /** The stage that is running, so that an error can name it without a closure a row. */
  #at = 0
  /** Some function has returned a promise: from then on rows are given arrays of their own, so that order survives. */
  #isAsync = false

  /** `onProgress` is told now and then that rows move, also in the midst of an array. */
  constructor(stages: readonly RowStage[], range: RangeContext, onSkip: OnSkip | undefined, origins: Origins, onProgress?: () => void) {
    this.#stages = stages
    this.#onProgress = onProgress
    this.#origins = origins
    this.#range = range
    this.#onSkip = onSkip
    this.#mapArray = stages[0]?.kind === 'map' ? (stages[0].apply as MapsArrays)[MAP_ARRAY] : undefined
    this.#concurrency = Math.min(...stages.map(stage => stage.concurrency))
  }

  /** Appends what `rows` become to `out`; a promise only where a function of the job returned one. */
  run(rows: readonly unknown[], out: unknown[]): Promise<void> | undefined {
    const origin = this.#origins.willFork ? [] : undefined
    if (origin !== undefined) this.#origins.records?.set(out, origin)
    if (this.#isAsync) return this.#runAsync(rows, 0, out, origin)
    // Where stages part, a record may be several rows by now.
    const parted = this.#partedRecords(rows)
    let record: unknown
    let begun = 0
    const mapped = this.#mapArray?.(rows)
    const tell = this.#onProgress
    let kept = 0
    for (let i = 0; i < rows.length; i++) {
      try {
        // One `try` for as many rows as go well.
        for (; i < rows.length; i++) {
          kept = out.length
          if (tell !== undefined && i % TELL_EVERY_ROWS === TELL_EVERY_ROWS - 1) tell()
          if (parted !== undefined && (i === 0 || parted[i] !== record)) {
            record = parted[i]
            begun = kept
          }
          const pending = mapped === undefined ? this.#step(rows[i], 0, out) : this.#step(mapped[i], 1, out)
          if (pending !== undefined) {
            this.#isAsync = true
            const carried = { at: i, record, begun: parted === undefined ? kept : begun }
            return this.#continueAsync(pending, rows, carried, out, origin)
          }
          if (origin !== undefined) this.#remember(origin, rows, i, out.length)
        }
      } catch (error) {
        this.#skip(error, rows, i)
        // What the record had become before it failed goes with it, and what it would become.
        out.length = parted === undefined ? kept : begun
        if (origin !== undefined && origin.length > out.length) origin.length = out.length
        while (parted !== undefined && i + 1 < rows.length && parted[i + 1] === record) i++
      }
    }
    return undefined
  }

  /**
   * The records of rows of which several may be of one, where a record may be left out: a row that fails takes all rows of its record with it. Were it left
   * out alone, an output would have other rows when it runs beside others than when it runs by itself, where one pipeline takes the record all the way.
   */
  #partedRecords(rows: readonly unknown[]): readonly unknown[] | undefined {
    return this.#onSkip === undefined || this.#origins.isOfSource ? undefined : this.#origins.records?.get(rows)
  }

  /** Tells of a record that is left out; throws where none may be. */
  #skip(thrown: unknown, rows: readonly unknown[], row: number): void {
    const failure = StageFailure.at(this.#at, thrown)
    const error = this.#explain(failure, rows, row)
    if (!this.#maySkip(error)) throw error
    this.#onSkip?.(error, this.#recordOf(rows, row), this.#stages[failure.at])
  }

  #maySkip(error: unknown): error is TidemarkError {
    return this.#onSkip !== undefined && isTidemarkError(error, 'RECORD')
  }

  /** Rows of `out` up to `length` came from row `at`. */
  #remember(origin: unknown[], rows: readonly unknown[], at: number, length: number): void {
    if (origin.length === length) return
    const record = this.#recordOf(rows, at)
    while (origin.length < length) origin.push(record)
  }

  async #continueAsync(
    first: Promise<void>,
    rows: readonly unknown[],
    carried: Carried,
    out: unknown[],
    origin: unknown[] | undefined,
  ): Promise<void> {
    const { at, begun } = carried
    let from = at + 1
    try {
      await first
    } catch (error) {
      this.#skip(error, rows, at)
      out.length = begun
      if (origin !== undefined && origin.length > begun) origin.length = begun
      const parted = this.#partedRecords(rows)
      while (parted !== undefined && from < rows.length && parted[from] === carried.record) from++
    }
    if (origin !== undefined) this.#remember(origin, rows, at, out.length)
    await this.#runAsync(rows, from, out, origin, carried)
  }

  /** `carried` is the record whose rows, the first of them in `out` already, may go on at `from`. */
  async #runAsync(rows: readonly unknown[], from: number, out: unknown[], origin: unknown[] | undefined, carried?: Carried): Promise<void> {
    const outs: unknown[][] = []
    const failures = new Map<number, StageFailure>()
    let next = from
    const work = async () => {
      while (next < rows.length) {
        const at = next++
        const own: unknown[] = []
        outs[at - from] = own
        try {
          const pending = this.#step(rows[at], 0, own)
          if (pending !== undefined) await pending
        } catch (error) {
          const failure = StageFailure.at(this.#at, error)
          const explained = this.#explain(failure, rows, at)
          if (!this.#maySkip(explained)) {
            next = rows.length
            throw explained
          }
          failures.set(at, failure)
          own.length = 0
        }
        this.#onProgress?.()
      }
    }
    await Promise.all(Array.from({ length: Math.min(this.#concurrency, rows.length - from) }, work))
    const parted = failures.size === 0 ? undefined : this.#partedRecords(rows)
    const failed = new Set<unknown>()
    // Told in their order, not in that of their ends: a replay tells the same.
    for (const [at, failure] of [...failures].sort(([a], [b]) => a - b)) {
      if (parted !== undefined) {
        if (failed.has(parted[at])) continue
        failed.add(parted[at])
      }
      this.#skip(failure, rows, at)
    }
    if (carried !== undefined && failed.has(carried.record)) {
      out.length = carried.begun
      if (origin !== undefined && origin.length > out.length) origin.length = out.length
    }
    for (const [index, own] of outs.entries()) {
      if (failed.size > 0 && failed.has(parted?.[from + index])) continue
      for (const row of own) out.push(row)
      if (origin !== undefined) this.#remember(origin, rows, from + index, out.length)
    }
  }

  /** Takes one row from stage `from` on. */
  #step(row: unknown, from: number, out: unknown[]): Promise<void> | undefined {
    let value = row
    for (let at = from; at < this.#stages.length; at++) {
      const stage = this.#stages[at] as RowStage
      this.#at = at
      const result = stage.apply(value as never)
      switch (stage.kind) {
        case 'map':
          if (isPromise(result)) return this.#whenDone(result, at, mapped => this.#step(mapped, at + 1, out))
          value = result
          break
        case 'filter': {
          const kept = value
          if (isPromise(result)) return this.#whenDone(result, at, keep => (keep ? this.#step(kept, at + 1, out) : undefined))
          if (!result) return undefined
          break
        }
        case 'flatMap':
          if (isPromise(result)) return this.#whenDone(result, at, many => this.#stepMany(many, at, out))
          return this.#stepMany(result, at, out)
        default:
          stage satisfies never
      }
    }
    out.push(value)
    return undefined
  }

  async #whenDone(result: Promise<unknown>, at: number, go: (value: unknown) => Promise<void> | undefined): Promise<void> {
    let value: unknown
    try {
      value = await result
    } catch (error) {
      throw StageFailure.at(at, error)
    }
    const pending = this.#guard(() => go(value))
    if (pending !== undefined) await pending
  }

  /** Remembers the stage where it is thrown: later, with rows side by side, `#at` is another row's. */
  #guard(go: () => Promise<void> | undefined): Promise<void> | undefined {
    try {
      return go()
    } catch (error) {
      throw StageFailure.at(this.#at, error)
    }
  }

  #stepMany(many: unknown, at: number, out: unknown[]): Promise<void> | undefined {
    if (isAsyncIterable(many)) return this.#stepStream(many, at, out)
    const iterator = (many as Iterable<unknown>)[Symbol.iterator]()
    for (let next = iterator.next(); !next.done; next = iterator.next()) {
      const pending = this.#step(next.value, at + 1, out)
      // The rest waits for this one: rows that one row became keep their order.
      if (pending !== undefined)
        return pending.then(() => this.#guard(() => this.#stepMany({ [Symbol.iterator]: () => iterator }, at, out)))
    }
    return undefined
  }

  async #stepStream(many: AsyncIterable<unknown>, at: number, out: unknown[]): Promise<void> {
    try {
      for await (const row of many) {
        const pending = this.#guard(() => this.#step(row, at + 1, out))
        if (pending !== undefined) await pending
      }
    } catch (error) {
      throw StageFailure.at(at, error)
    }
  }

  #recordOf(rows: readonly unknown[], at: number): unknown {
    return this.#origins.isOfSource ? rows[at] : this.#origins.records?.get(rows)?.[at]
  }

  #explain(failure: StageFailure, rows: readonly unknown[], row: number): unknown {
    const cause = failure.cause
    if (isTidemarkError(cause) && cause.code !== 'RECORD') return cause
    const stage = this.#stages[failure.at]?.label ?? 'a stage'
    const { range, batchId } = this.#range
    const record = this.#recordOf(rows, row)
    const offset = offsetOf(record)
    // Dead letters that are run again are of other topics than their range.
    const { topic, partition } = placeOf(record) ?? range
    const where = offset === undefined ? showRange(range) : `${topic}/${partition} offset ${offset}`
    return new RecordError(`${stage} failed on the record at ${where} (batch ${batchId}): ${errorMessage(cause)}`, {
      details: { topic, partition, offset, stage, batchId },
      cause,
    })
  }
}

/** A row on which a function turned out to be asynchronous. */
type Carried = {
  readonly at: number
  readonly record: unknown
  /** How many rows were there before the first of its record. */
  readonly begun: number
}

/** Carries the stage at which a promise failed; by then the pipeline has moved on. */
class StageFailure extends Error {
  readonly at: number

  private constructor(at: number, cause: unknown) {
    super('stage failed', { cause })
    this.at = at
  }

  static at(at: number, error: unknown): StageFailure {
    return error instanceof StageFailure ? error : new StageFailure(at, error)
  }
}

/** Where a record of a source says it is from. */
export function placeOf(record: unknown): TopicPartition | undefined {
  if (typeof record !== 'object' || record === null) return undefined
  const { topic, partition } = record as Partial<TopicPartition>
  return typeof topic === 'string' && typeof partition === 'number' ? { topic, partition } : undefined
}

export function offsetOf(record: unknown): number | undefined {
  if (typeof record !== 'object' || record === null || !('offset' in record)) return undefined
  return typeof record.offset === 'number' ? record.offset : undefined
}

function isPromise(value: unknown): value is Promise<unknown> {
  return typeof value === 'object' && value !== null && typeof (value as { then?: unknown }).then === 'function'
}

function isAsyncIterable(value: unknown): value is AsyncIterable<unknown> {
  return typeof value === 'object' && value !== null && Symbol.asyncIterator in value
}
