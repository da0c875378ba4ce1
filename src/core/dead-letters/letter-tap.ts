import type { Clock } from '../clock.ts'
import type { TidemarkError } from '../errors.ts'
import type { ReadMark } from '../range-read.ts'
import type { RowStage } from '../row-pipeline.ts'
import type { RangeContext } from '../runnable-job.ts'
import { type DeadLetter, makeLetter } from './dead-letter.ts'

/** A record that a stage failed on, and the outputs that go without it. */
export type LostRecord = {
  readonly record: unknown
  readonly error: TidemarkError
  readonly stage: RowStage | undefined
  readonly outputs: readonly string[]
}

/**
 * The letters of the records of one array, in an order that is always the same: by record, then by the place of the first output that lost it. A record
 * that a stage of several outputs failed on is one letter, whether they worked it out together or each for itself.
 */
export function arrangeLetters(
  array: readonly unknown[],
  lost: readonly LostRecord[],
  outputs: readonly string[],
  context: RangeContext,
): DeadLetter[] {
  const places = new Map(array.map((record, place) => [record, place]))
  const ranks = new Map(outputs.map((output, rank) => [output, rank]))
  const rankOf = (output: string) => ranks.get(output) ?? ranks.size
  const merged = new Map<unknown, Map<RowStage | undefined, LostRecord>>()
  for (const one of lost) {
    const byStage = merged.get(one.record) ?? new Map<RowStage | undefined, LostRecord>()
    merged.set(one.record, byStage)
    const same = byStage.get(one.stage)
    const all = [...new Set([...(same?.outputs ?? []), ...one.outputs])].sort((a, b) => rankOf(a) - rankOf(b))
    byStage.set(one.stage, { ...(same ?? one), outputs: all })
  }
  const firstRank = ({ outputs: [first = ''] }: LostRecord) => rankOf(first)
  return [...merged.values()]
    .flatMap(byStage => [...byStage.values()])
    .sort((a, b) => (places.get(a.record) ?? 0) - (places.get(b.record) ?? 0) || firstRank(a) - firstRank(b))
    .map(({ record, error, stage, outputs: names }) =>
      makeLetter(record, { error, stage: stage?.label ?? 'a stage', outputs: names }, context),
    )
}

/** What a tap has: letters; `alone` where the rest must be worked out from where `reached` says; `end` where there are no more. */
export type Tapped = readonly DeadLetter[] | 'alone' | 'end'

export type TapOptions = {
  readonly clock: Clock
  /** How long the shared read waits for letters to be taken, ms, over all of it. */
  readonly maxWaitMs: number
  readonly outputs: readonly string[]
  readonly context: RangeContext
}

/**
 * Takes the letters off the very read that the rows come from, while all outputs are in step: the records that an array's functions failed on are known
 * when the next array is asked for. As soon as one of the outputs ends early, fails or is left behind, its part would be missing: then the tap says
 * from where on the letters must be worked out alone. It holds the letters of one array.
 */
export class LetterTap {
  readonly #options: TapOptions
  #lost: LostRecord[] = []
  #waitedMs = 0
  #state: 'on' | 'off' | 'done' = 'on'
  #failure: { readonly error: unknown } | undefined
  #ready: readonly DeadLetter[] | undefined
  #onTaken: (() => void) | undefined
  #onReady: (() => void) | undefined
  /** How far the read was behind the records whose letters were taken. */
  reached: ReadMark

  constructor(from: ReadMark, options: TapOptions) {
    this.#options = options
    this.reached = from
  }

  /** A stage failed on a record of the array in hand. */
  note(lost: LostRecord): void {
    if (this.#state === 'on') this.#lost.push(lost)
  }

  /** All outputs are through with an array. Resolves when its letters are taken, or nobody will take them from here. */
  async passed(array: readonly unknown[], reached: ReadMark): Promise<void> {
    if (this.#state !== 'on') return
    if (this.#lost.length > 0) {
      const { outputs, context } = this.#options
      this.#ready = arrangeLetters(array, this.#lost, outputs, context)
      this.#lost = []
      await this.#untilTaken()
      if (this.#ready !== undefined) return this.turnOff()
    }
    if (this.#state === 'on') this.reached = reached
  }

  /** The rest cannot be had here. */
  turnOff(): void {
    if (this.#state !== 'on') return
    this.#state = 'off'
    this.#ready = undefined
    this.#lost = []
    this.#onTaken?.()
    this.#onReady?.()
  }

  /** All of the range has passed. */
  end(): void {
    if (this.#state === 'on') this.#state = 'done'
    this.#onReady?.()
  }

  /** The source ended with an error: there is no use in asking it once more. */
  fail(error: unknown): void {
    if (this.#state !== 'on') return
    this.#failure = { error }
    this.turnOff()
  }

  async next(): Promise<Tapped> {
    for (;;) {
      if (this.#failure !== undefined) throw this.#failure.error
      if (this.#state === 'off') return 'alone'
      const ready = this.#ready
      if (ready !== undefined) {
        this.#ready = undefined
        this.#onTaken?.()
        return ready
      }
      if (this.#state === 'done') return 'end'
      await new Promise<void>(resolve => {
        this.#onReady = resolve
      })
    }
  }

  async #untilTaken(): Promise<void> {
    this.#onReady?.()
    const { clock, maxWaitMs } = this.#options
    const since = clock.monotonic()
    await new Promise<void>(resolve => {
      const cancel = clock.after(Math.max(1, Math.ceil(maxWaitMs - this.#waitedMs)), () => done())
      const done = () => {
        cancel()
        resolve()
      }
      this.#onTaken = done
    })
    this.#onTaken = undefined
    this.#waitedMs += clock.monotonic() - since
  }
}
