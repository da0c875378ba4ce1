import { once } from 'node:events'

/** Lets callers pass while it is open and holds them while it is closed. */
export class Gate {
  readonly #changes = new EventTarget()
  #isOpen = true

  get isOpen(): boolean {
    return this.#isOpen
  }

  close(): void {
    this.#isOpen = false
  }

  open(): void {
    this.#isOpen = true
    this.#changes.dispatchEvent(new Event('open'))
  }

  /** Resolves when the gate is open; rejects with the signal's reason. */
  async pass(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    while (!this.#isOpen) {
      await once(this.#changes, 'open', { signal }).catch(() => signal.throwIfAborted())
    }
  }
}
