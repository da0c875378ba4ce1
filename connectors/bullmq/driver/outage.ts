/** How long tasks wait for a Redis that is away, ms; then their driver's own patience counts (`retry.forMs`). */
const WAIT_MS = 30_000

/** Whether Redis is away, since when, and how often it was. */
export class Outage {
  #since: number | undefined
  /** How often it has been away. */
  count = 0

  get isOn(): boolean {
    return this.#since !== undefined
  }

  begin(): void {
    if (this.#since !== undefined) return
    this.#since = performance.now()
    this.count += 1
  }

  end(): void {
    this.#since = undefined
  }

  /** Whether one who came at `since`, by the monotonic clock, has waited long enough. */
  isLongFor(since: number): boolean {
    return this.#since !== undefined && performance.now() - Math.max(this.#since, since) >= WAIT_MS
  }
}
