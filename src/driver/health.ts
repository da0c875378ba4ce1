import { isTidemarkError, TidemarkError } from '../core/errors.ts'
import type { EventBus } from './event-bus.ts'

/** Whether the stream goes on: red with a reason while it cannot, green again when it does. Told once each time it changes. */
export class Health {
  readonly #bus: EventBus
  #isRed = false
  #stalled: string | undefined

  constructor(bus: EventBus) {
    this.#bus = bus
  }

  /** Something went well. Green, unless some partition is stalled all the while. */
  good(): void {
    if (!this.#isRed || this.#stalled !== undefined) return
    this.#isRed = false
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
    this.#bus.emit({ type: 'error', error, fatal: false })
    this.bad(error.message)
  }

  /** A failure in the background that stops nothing. */
  trouble(error: unknown): void {
    const told = isTidemarkError(error) ? error : new TidemarkError('CONNECTION', String(error), { cause: error })
    this.#bus.emit({ type: 'error', error: told, fatal: false })
  }
}
