import type { Clock } from '../core/clock.ts'

/**
 * Says when the next batch may be planned and which time it carries. Ticks are multiples of the interval since the start, measured by the
 * monotonic clock; those that a long batch ran past are merged into one that is due at once, never queued (Spark's pain SPARK-13586).
 */
export class Scheduler {
  readonly #clock: Clock
  readonly #intervalMs: number
  readonly #start: number
  #tick = -1
  #lastBatchTime: number

  /** `lastBatchTime` is the newest the stream has used, so that batch times grow even when the wall clock jumps back. */
  constructor(clock: Clock, intervalMs: number, lastBatchTime = 0) {
    this.#clock = clock
    this.#intervalMs = intervalMs
    this.#start = clock.monotonic()
    this.#lastBatchTime = lastBatchTime
  }

  /**
   * Waits for the next tick; at once where one is due. With interval 0 one always is.
   * Resolves to how long the tick has been due, ms: the oldest of those merged into it.
   */
  async nextTick(signal: AbortSignal): Promise<number> {
    signal.throwIfAborted()
    if (this.#intervalMs === 0) return 0
    const elapsed = this.#clock.monotonic() - this.#start
    const oldestDue = (this.#tick + 1) * this.#intervalMs
    this.#tick = Math.max(this.#tick + 1, Math.floor(elapsed / this.#intervalMs))
    if (elapsed >= oldestDue) return elapsed - oldestDue
    await this.#clock.sleep(oldestDue - elapsed, signal)
    return 0
  }

  /** Forgets the ticks that passed while there was nothing to do: waiting for records is not a delay. */
  skipMissed(): void {
    if (this.#intervalMs === 0) return
    this.#tick = Math.max(this.#tick, Math.floor((this.#clock.monotonic() - this.#start) / this.#intervalMs))
  }

  /** The batch time (ms since the epoch) for a batch planned now. */
  batchTime(): number {
    this.#lastBatchTime = Math.max(Math.floor(this.#clock.now()), this.#lastBatchTime + 1)
    return this.#lastBatchTime
  }
}
