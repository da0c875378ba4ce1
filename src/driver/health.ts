import { isTidemarkError, retryAfterOf, TidemarkError } from '../core/errors.ts'
import type { EventBus } from './event-bus.ts'

/** How many reasons of one outage are told: a service may put an id into each of its answers. */
const MAX_TOLD = 20

/** Whether the stream goes on: red with a reason while it cannot, green again when it does. Told once each time it changes. */
export class Health {
  readonly #bus: EventBus
  #isRed = false
  #stalled: string | undefined
  /** What is being waited out, in its words: every task of a batch says the same, each time it asks. */
  readonly #waitsFor = new Set<string>()

  constructor(bus: EventBus) {
    this.#bus = bus
  }

  /** Something went well. Green, unless some partition is stalled all the while. */
  good(): void {
    if (!this.#isRed || this.#stalled !== undefined) return
    this.#isRed = false
    this.#waitsFor.clear()
    this.#bus.emit({ type: 'health', status: 'green' })
  }

  bad(reason: string): void {
    if (this.#isRed) return
    this.#isRed = true
    this.#bus.emit({ type: 'health', status: 'red', reason })
  }

  /** Why some partition cannot be read on, or undefined where all can: red meanwhile, whatever else goes well. */
  stall(reason: string | undefined): void {
    this.#stalled = reason
    if (reason === undefined) this.good()
    else this.bad(reason)
  }

  /** A failure that is being tried again. */
  outage(error: TidemarkError): void {
    if (retryAfterOf(error) !== undefined) {
      if (this.#waitsFor.has(error.message) || this.#waitsFor.size >= MAX_TOLD) return
      this.#waitsFor.add(error.message)
    }
    this.#bus.emit({ type: 'error', error, fatal: false })
    this.bad(error.message)
  }

  /** A failure in the background that stops nothing. */
  trouble(error: unknown): void {
    const told = isTidemarkError(error) ? error : new TidemarkError('CONNECTION', String(error), { cause: error })
    this.#bus.emit({ type: 'error', error: told, fatal: false })
  }
}
