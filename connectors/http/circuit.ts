import type { Clock } from '../../src/core/clock.ts'
import { ConnectionError } from '../../src/core/errors.ts'

/** The longest that an endpoint is left alone because it asked for it, ms: a clock of its own that is wrong must not stop a stream for a day. */
const LONGEST_MS = 300_000
/** The first pause, ms; each is twice the one before, up to `probeEveryMs`: most outages are a restart, or a moment. */
const FIRST_PAUSE_MS = 500

export type CircuitOptions = {
  /** Failures in a row after which the endpoint is taken to be away. */
  readonly breakAfter: number
  /** The longest pause between two requests that ask whether it is back. */
  readonly probeEveryMs: number
  readonly clock: Clock
  /** What is away, without secrets. */
  readonly endpoint: string
}

/** One request's leave to be sent; it says in the end what became of it. */
export type Passage = { readonly isProbe: boolean; isOver: boolean }

/**
 * The circuit breaker of an endpoint, in one process: after some failures in a row nobody asks any more but one request now and then, and who wants to is
 * told at once when to come back. So an outage costs the endpoint a request each `probeEveryMs`, the tasks neither time nor attempts, and no batch fails
 * of it: the driver waits with health red.
 *
 * The waiting is not done here. A task that waited inside `write` would hold a slot, run into `taskTimeoutMs`, and look stuck to an executor on another
 * machine, whose lock lapses: its rows would go to a second executor that waits as well.
 */
export class Circuit {
  readonly #options: CircuitOptions
  #failures = 0
  /** How often it was asked in vain since it was there last. */
  #pauses = 0
  #openUntil: number | undefined
  #hasProbe = false
  #reason = ''

  constructor(options: CircuitOptions) {
    this.#options = options
  }

  /** Throws where a request would be refused now; for those who would first fetch rows for it. */
  check(): void {
    const waitMs = this.#waitMs()
    if (waitMs > 0) throw this.#away(waitMs)
  }

  /** Lets a request through; the first one when a time is over is the probe. @throws ConnectionError with `retryAfterMs` while the endpoint is away */
  enter(): Passage {
    this.check()
    const isProbe = this.#openUntil !== undefined
    if (isProbe) this.#hasProbe = true
    return { isProbe, isOver: false }
  }

  /** It answered, whatever it thinks of the rows. */
  succeeded(passage: Passage): void {
    this.left(passage)
    this.#failures = 0
    this.#pauses = 0
    this.#openUntil = undefined
  }

  /** It did not answer, or said that it cannot. `retryAfterMs` is what it asked for, where that is too long to wait with a task in hand. */
  failed(passage: Passage, reason: string, retryAfterMs?: number): void {
    this.left(passage)
    this.#failures += 1
    const isAway = passage.isProbe || this.#failures >= this.#options.breakAfter || retryAfterMs !== undefined
    if (!isAway) return
    // One from before it opened says nothing new.
    if (passage.isProbe || this.#openUntil === undefined) this.#pauses += 1
    const waitMs = Math.min(retryAfterMs ?? this.#pauseMs(), LONGEST_MS)
    this.#openUntil = Math.max(this.#openUntil ?? 0, this.#options.clock.monotonic() + waitMs)
    this.#reason = reason
  }

  /** Nobody knows: it was aborted. The next one is the probe in its place. */
  left(passage: Passage): void {
    if (passage.isProbe && !passage.isOver) this.#hasProbe = false
    passage.isOver = true
  }

  #waitMs(): number {
    if (this.#openUntil === undefined) return 0
    const leftMs = Math.ceil(this.#openUntil - this.#options.clock.monotonic())
    if (leftMs > 0) return leftMs
    return this.#hasProbe ? this.#pauseMs() : 0
  }

  #pauseMs(): number {
    return Math.min(FIRST_PAUSE_MS * 2 ** (this.#pauses - 1), this.#options.probeEveryMs)
  }

  #away(retryAfterMs: number): ConnectionError {
    const { endpoint } = this.#options
    // The same words for every task and attempt: it is told once.
    return new ConnectionError(
      `${endpoint} is away: ${this.#reason}. Tasks wait, and nothing is lost; one request now and then asks whether it is back.`,
      { retryAfterMs, details: { endpoint } },
    )
  }
}
