import type { DataLossError } from './errors.ts'
import { offsetOf, placeOf } from './row-pipeline.ts'
import type { Isolation, Source } from './source.ts'
import { keepWithin, type TimeWindow } from './time-window.ts'
import type { OffsetRange } from './values.ts'

type Rows = AsyncIterable<readonly unknown[]>

/** How far a read is: the offset behind its newest record (undefined where records do not say theirs), and what has come until then. */
export type ReadMark = {
  readonly position: number | undefined
  readonly records: number
  readonly bytes: number
  readonly outsideTime: number
}

export type RangeReadOptions = {
  readonly isolation: Isolation
  readonly signal: AbortSignal
  /** Told when bytes came, and when records were taken: a `mapRange` or a filter may let nothing through for long. */
  readonly onProgress?: (() => void) | undefined
  readonly onDataLoss: (loss: DataLossError) => void
  /** Told of an array when all has been done with it, before the next is read. */
  readonly onPassed?: ((array: readonly unknown[], read: RangeRead) => Promise<void> | undefined) | undefined
  /** Records whose timestamps count. @default all */
  readonly timestamps?: TimeWindow | undefined
  /** What was read of the range before, by the read that this one goes on from. */
  readonly before?: ReadMark | undefined
}

/** One read of a range, or of the rest of it: counts what comes, and knows from where another could go on. Nothing is read before it is asked for. */
export class RangeRead {
  records: number
  bytes: number
  /** Records that came and do not count. */
  outsideTime: number
  /** Whether all of the range has come. */
  isDrained = false
  /** What the source ended with. */
  failure: { readonly error: unknown } | undefined
  /** The offset behind the newest record; undefined where records do not say theirs. */
  position: number | undefined
  readonly range: OffsetRange
  readonly #source: Source<unknown>
  readonly #options: RangeReadOptions
  #iterator: AsyncIterator<readonly unknown[]> | undefined

  constructor(source: Source<unknown>, range: OffsetRange, options: RangeReadOptions) {
    this.#source = source
    this.#options = options
    this.range = range
    this.position = range.fromOffset
    this.records = options.before?.records ?? 0
    this.bytes = options.before?.bytes ?? 0
    this.outsideTime = options.before?.outsideTime ?? 0
  }

  get mark(): ReadMark {
    const { position, records, bytes, outsideTime } = this
    return { position, records, bytes, outsideTime }
  }

  get hasBegun(): boolean {
    return this.#iterator !== undefined
  }

  async *rows(): AsyncGenerator<readonly unknown[]> {
    const { isolation, signal, onDataLoss, onPassed, timestamps } = this.#options
    const onBytes = (bytes: number) => {
      this.bytes += bytes
      this.#options.onProgress?.()
    }
    try {
      const iterator = this.#source.read(this.range, { isolation, signal, onBytes, onDataLoss })[Symbol.asyncIterator]()
      this.#iterator = iterator
      const arrays: Rows = { [Symbol.asyncIterator]: () => iterator }
      const onOutside = (count: number) => {
        this.outsideTime += count
      }
      const rows = timestamps === undefined ? arrays : keepWithin(this.#counted(arrays), timestamps, this.#source, onOutside)
      for await (const array of rows) {
        // A generator more a read would cost what small arrays cost.
        if (timestamps === undefined) this.#count(array)
        yield array
        const passed = onPassed?.(array, this)
        if (passed !== undefined) await passed
      }
    } catch (error) {
      this.failure = { error }
      throw error
    }
    this.isDrained = true
  }

  async *#counted(arrays: Rows): AsyncGenerator<readonly unknown[]> {
    for await (const array of arrays) {
      this.#count(array)
      yield array
    }
  }

  #count(array: readonly unknown[]): void {
    this.#options.onProgress?.()
    this.records += array.length
    this.position = behind(array, this.range)
  }

  /** Ends the read, also where whoever drew its rows stopped and did not say so: a connection and a share of the byte budget may hang on it. */
  close(): void {
    this.#iterator?.return?.().catch(() => {})
  }
}

/** The offset behind an array of records; undefined where its rows are no records of the range. */
function behind(array: readonly unknown[], { topic, partition }: OffsetRange): number | undefined {
  const last = array.at(-1)
  const place = placeOf(last)
  const offset = offsetOf(last)
  return place?.topic === topic && place.partition === partition && offset !== undefined ? offset + 1 : undefined
}
