import type { Clock } from '../core/clock.ts'

/** A batch is about so many bytes, so that what it fetches at once holds up nobody else who reads from the broker. */
const BURST_BYTES = 4 * 1_048_576
/** The time that a batch stands for (ms): shorter ones cost more than they are worth, and longer ones would be bursts of small records. */
const SHORTEST_MS = 100
const LONGEST_MS = 1_000

/**
 * Keeps a whole job to a number of records a second, smoothly: a batch is what the rate allows in a moment, and begins when the rate has earned it.
 *
 * Time that nobody used is not saved up, but for one batch's worth. Otherwise: a pause, or an outage of the destination, and then everything that
 * was missed comes at full speed, which is what the rate was to keep from those who read beside it.
 */
export class TotalRate {
  readonly #clock: Clock
  readonly #perMs: number
  /** Up to when what has been read is earned. */
  #paidUntil: number

  constructor(clock: Clock, recordsPerSecond: number) {
    this.#clock = clock
    this.#perMs = recordsPerSecond / 1_000
    this.#paidUntil = clock.monotonic()
  }

  /** How many records the next batch may have, at least one; `bytesPerRecord` is what they are expected to weigh. */
  batchSize(bytesPerRecord: number | undefined): number {
    const fewest = this.#perMs * SHORTEST_MS
    const most = this.#perMs * LONGEST_MS
    const fair = bytesPerRecord === undefined || bytesPerRecord <= 0 ? fewest : BURST_BYTES / bytesPerRecord
    return Math.max(1, Math.floor(Math.min(Math.max(fair, fewest), most)))
  }

  /** How long until so many records are earned, ms; undefined where they are. */
  leftMs(records: number): number | undefined {
    const left = this.#paidUntil + records / this.#perMs - this.#clock.monotonic()
    return left > 0 ? left : undefined
  }

  /** Counts a batch of so many records, which is planned now. */
  spend(records: number): void {
    const costMs = records / this.#perMs
    this.#paidUntil = Math.max(this.#paidUntil, this.#clock.monotonic() - 2 * costMs) + costMs
  }
}
