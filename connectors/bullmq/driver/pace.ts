/** How many of a batch's packs must have ended before any is called slow. */
const DONE_SHARE = 0.75
/** How much longer than the median a slow pack takes. */
const SLOW_FACTOR = 1.5
/** No pack is slow before that: a second attempt costs more, ms. */
const LEAST_MS = 1_000

/** How long the packs of the batch in hand take, so that the slow ones among the last can be told (Spark's speculation: 0.75 and 1.5). */
export class Pace {
  #batch: string | undefined
  #durations: number[] = []

  /** A pack of `batch` ended after `ms`. */
  end(batch: string, ms: number): void {
    if (batch !== this.#batch) {
      this.#batch = batch
      this.#durations = []
    }
    this.#durations.push(ms)
  }

  /** From how many ms on a pack of `batch` is slow; undefined while nobody can tell. `open` packs of it have not ended. */
  slowAfterMs(batch: string, open: number): number | undefined {
    const done = this.#durations.length
    if (batch !== this.#batch || done / (done + open) < DONE_SHARE) return undefined
    const median = this.#durations.toSorted((a, b) => a - b)[Math.floor((done - 1) / 2)] ?? 0
    return Math.max(LEAST_MS, median * SLOW_FACTOR)
  }
}
