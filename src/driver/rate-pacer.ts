import type { Clock } from '../core/clock.ts'
import type { OffsetRange } from '../core/values.ts'
import type { Limits } from './driver-job.ts'

/** What a batch's rates are planned for, and the longest that one stands for, where there is no interval (ms). */
export const PACED_BATCH_MS = 1_000

/**
 * Keeps rates where there is no interval that turns them into records a batch. A batch may hold a second's records and stands for as long as
 * they take by the slowest of its partitions' rates; the next waits until that has passed. So a trickle is read at once, and a backlog at its rate.
 *
 * Without it: a batch of `minRatePerPartition` records every few milliseconds, whatever the rates say.
 */
export class RatePacer {
  readonly #clock: Clock
  readonly #limits: Pick<Limits, 'maxRatePerPartition' | 'initialRate'>
  #dueAt = Number.NEGATIVE_INFINITY

  constructor(clock: Clock, limits: Pick<Limits, 'maxRatePerPartition' | 'initialRate'>) {
    this.#clock = clock
    this.#limits = limits
  }

  /** How long the next batch has to wait, ms; undefined where it may be planned. */
  leftMs(): number | undefined {
    const left = this.#dueAt - this.#clock.monotonic()
    return left > 0 ? left : undefined
  }

  /** Counts a planned batch, of one range a partition. */
  spend(ranges: readonly OffsetRange[]): void {
    const { maxRatePerPartition = 0, initialRate = 0 } = this.#limits
    let records = 0
    let seconds = 0
    for (const { topic, partition, fromOffset, untilOffset } of ranges) {
      records += untilOffset - fromOffset
      const rate = typeof maxRatePerPartition === 'function' ? maxRatePerPartition({ topic, partition }) : maxRatePerPartition
      if (rate > 0) seconds = Math.max(seconds, (untilOffset - fromOffset) / rate)
    }
    if (initialRate > 0) seconds = Math.max(seconds, records / initialRate)
    this.#dueAt = this.#clock.monotonic() + Math.min(seconds * 1_000, PACED_BATCH_MS)
  }
}
