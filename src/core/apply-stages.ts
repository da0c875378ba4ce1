import { MAP_ARRAY, type MapsArrays } from './brands.ts'
import { errorMessage, isTidemarkError, RecordError, type TidemarkError } from './errors.ts'
import type { RangeContext, Stage } from './runnable-job.ts'
import { showRange } from './values.ts'

type RowStage = Exclude<Stage, { kind: 'mapRange' }>
type Rows = AsyncIterable<readonly unknown[]>

/** By array of rows, the offset of the record that each row came from. */
export type RecordOffsets = WeakMap<readonly unknown[], readonly (number | undefined)[]>

export type StageOptions = {
  /** Told of a record that is left out. @default the first record that a function fails on ends it all */
  readonly onSkip?: ((error: TidemarkError) => void) | undefined
  /** Whether the rows are the source's records, which know their offsets; what a function returned may have an `offset` of another kind. */
  readonly isOfSource?: boolean
  /** Where rows that go on to several outputs keep the offsets of their records. */
  readonly offsets?: RecordOffsets
  /** Whether the rows go on to several outputs: only then is it worth to remember where each came from. */
  readonly willFork?: boolean
}

/**
 * Runs rows through stages, array by array. Neighbouring per-row stages are one loop over the array without a promise a row;
 * where a function turns out to be asynchronous, the rows of an array run side by side up to the stage's concurrency, and keep their order.
 *
 * With `onSkip`, a record that a per-row function fails on is left out with all that it became, and told of; `mapRange` fails as a whole.
 *
 * @throws RecordError naming topic, partition, offset and stage, with the function's own error as cause
 */
export function applyStages(rows: Rows, stages: readonly Stage[], range: RangeContext, options: StageOptions = {}): Rows {
  let result = rows
  let { isOfSource = true } = options
  let offsets = options.offsets
  for (let at = 0; at < stages.length; ) {
    const stage = stages[at] as Stage
    if (stage.kind === 'mapRange') {
      result = guardRange(stage.apply(result as AsyncIterable<readonly never[]>, range), stage, range)
      // What it yields are rows of its own making, of no one record.
      isOfSource = false
      offsets = undefined
      at += 1
      continue
    }
    const segment: RowStage[] = []
    for (let next = stages[at]; next !== undefined && next.kind !== 'mapRange'; next = stages[++at]) segment.push(next)
    const origins = { isOfSource, offsets, willFork: options.willFork === true && stages[at] === undefined }
    result = applyRowStages(result, new RowPipeline(segment, range, options.onSkip, origins))
    isOfSource = false
  }
  return result
}

async function* guardRange(rows: Rows, stage: Stage, range: RangeContext): AsyncGenerator<readonly unknown[]> {
  try {
    yield* rows
  } catch (error) {
    if (isTidemarkError(error)) throw error
    throw new RecordError(`${stage.label} failed in ${showRange(range.range)} of batch ${range.batchId}: ${errorMessage(error)}`, {
      details: { ...range.range, stage: stage.label },
      cause: error,
    })
  }
}

async function* applyRowStages(rows: Rows, pipeline: RowPipeline): AsyncGenerator<readonly unknown[]> {
  for await (const array of rows) {
    const out: unknown[] = []
    const pending = pipeline.run(array, out)
    if (pending !== undefined) await pending
    if (out.length > 0) yield out
  }
}

type Origins = { readonly isOfSource: boolean; readonly offsets: RecordOffsets | undefined; readonly willFork: boolean }

class RowPipeline {
  readonly #stages: readonly RowStage[]
  readonly #range: RangeContext
  readonly #concurrency: number
  readonly #onSkip: ((error: TidemarkError) => void) | undefined
  readonly #origins: Origins
  /** Of a first stage that can take arrays whole. */
  readonly #mapArray: MapsArrays[typeof MAP_ARRAY]
  /** The stage that is running, so that an error can name it without a closure a row. */
  #at = 0
  /** Some function has returned a promise: from then on rows are given arrays of their own, so that order survives. */
  #isAsync = false

  constructor(stages: readonly RowStage[], range: RangeContext, onSkip: StageOptions['onSkip'], origins: Origins) {
    this.#stages = stages
    this.#origins = origins
    this.#range = range
    this.#onSkip = onSkip
    this.#mapArray = stages[0]?.kind === 'map' ? (stages[0].apply as MapsArrays)[MAP_ARRAY] : undefined
    this.#concurrency = Math.min(...stages.map(stage => stage.concurrency))
  }

  /** Appends what `rows` become to `out`; a promise only where a function of the job returned one. */
  run(rows: readonly unknown[], out: unknown[]): Promise<void> | undefined {
    const origin = this.#origins.willFork ? [] : undefined
    if (origin !== undefined) this.#origins.offsets?.set(out, origin)
    if (this.#isAsync) return this.#runAsync(rows, 0, out, origin)
    const mapped = this.#mapArray?.(rows)
    let kept = 0
    for (let i = 0; i < rows.length; i++) {
      try {
        // One `try` for as many rows as go well.
        for (; i < rows.length; i++) {
          kept = out.length
          const pending = mapped === undefined ? this.#step(rows[i], 0, out) : this.#step(mapped[i], 1, out)
          if (pending !== undefined) {
            this.#isAsync = true
            return this.#continueAsync(pending, rows, i, out, kept, origin)
          }
          if (origin !== undefined) this.#remember(origin, rows, i, out.length)
        }
      } catch (error) {
        this.#skip(this.#explain(error, rows, i, this.#at))
        // What the record had become before it failed goes with it.
        out.length = kept
      }
    }
    return undefined
  }

  /** Tells of a record that is left out; throws where none may be. */
  #skip(error: unknown): void {
    if (!this.#maySkip(error)) throw error
    this.#onSkip?.(error)
  }

  #maySkip(error: unknown): error is TidemarkError {
    return this.#onSkip !== undefined && isTidemarkError(error, 'RECORD')
  }

  /** Rows of `out` up to `length` came from row `at`. */
  #remember(origin: (number | undefined)[], rows: readonly unknown[], at: number, length: number): void {
    if (origin.length === length) return
    const offset = this.#offsetOf(rows, at)
    while (origin.length < length) origin.push(offset)
  }

  async #continueAsync(
    first: Promise<void>,
    rows: readonly unknown[],
    at: number,
    out: unknown[],
    kept: number,
    origin: (number | undefined)[] | undefined,
  ): Promise<void> {
    try {
      await first
    } catch (error) {
      this.#skip(this.#explain(error, rows, at, this.#at))
      out.length = kept
    }
    if (origin !== undefined) this.#remember(origin, rows, at, out.length)
    await this.#runAsync(rows, at + 1, out, origin)
  }

  async #runAsync(rows: readonly unknown[], from: number, out: unknown[], origin: (number | undefined)[] | undefined): Promise<void> {
    const outs: unknown[][] = []
    const failures = new Map<number, unknown>()
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
          const failure = this.#explain(error, rows, at, this.#at)
          if (!this.#maySkip(failure)) {
            next = rows.length
            throw failure
          }
          failures.set(at, failure)
          own.length = 0
        }
      }
    }
    await Promise.all(Array.from({ length: Math.min(this.#concurrency, rows.length - from) }, work))
    // Told in their order, not in that of their ends: a replay tells the same.
    for (const at of [...failures.keys()].sort((a, b) => a - b)) this.#skip(failures.get(at))
    for (const [index, own] of outs.entries()) {
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

  #offsetOf(rows: readonly unknown[], at: number): number | undefined {
    return this.#origins.isOfSource ? offsetOf(rows[at]) : this.#origins.offsets?.get(rows)?.[at]
  }

  #explain(error: unknown, rows: readonly unknown[], row: number, at: number): unknown {
    const failure = StageFailure.at(at, error)
    const cause = failure.cause
    if (isTidemarkError(cause) && cause.code !== 'RECORD') return cause
    const stage = this.#stages[failure.at]?.label ?? 'a stage'
    const { range, batchId } = this.#range
    const offset = this.#offsetOf(rows, row)
    const where = offset === undefined ? showRange(range) : `${range.topic}/${range.partition} offset ${offset}`
    return new RecordError(`${stage} failed on the record at ${where} (batch ${batchId}): ${errorMessage(cause)}`, {
      details: { topic: range.topic, partition: range.partition, offset, stage, batchId },
      cause,
    })
  }
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

function offsetOf(record: unknown): number | undefined {
  if (typeof record !== 'object' || record === null || !('offset' in record)) return undefined
  return typeof record.offset === 'number' ? record.offset : undefined
}

function isPromise(value: unknown): value is Promise<unknown> {
  return typeof value === 'object' && value !== null && typeof (value as { then?: unknown }).then === 'function'
}

function isAsyncIterable(value: unknown): value is AsyncIterable<unknown> {
  return typeof value === 'object' && value !== null && Symbol.asyncIterator in value
}
