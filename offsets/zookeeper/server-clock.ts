import type { Clock } from '../../src/core/clock.ts'

/**
 * ZooKeeper's clock as far as a client can know it: the time of the last write whose answer this client saw, and what has passed here since, by a clock
 * that does not jump. It dates history entries; whether a lease lives is decided by times of nodes alone.
 */
export class ServerClock {
  readonly #clock: Clock
  #seen: { readonly mtimeMs: number; readonly at: number } | undefined

  constructor(clock: Clock) {
    this.#clock = clock
  }

  observe(mtimeMs: number): void {
    this.#seen = { mtimeMs, at: this.#clock.monotonic() }
  }

  /** Ms since the epoch; the machine's own before the first write. */
  now(): number {
    if (this.#seen === undefined) return this.#clock.now()
    return Math.round(this.#seen.mtimeMs + this.#clock.monotonic() - this.#seen.at)
  }
}
