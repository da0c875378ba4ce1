type Waiter = { readonly bytes: number; readonly resolve: () => void }

/**
 * Bounds the bytes that fetches of one source hold at a time: those asked for and those not yet decoded. A reader that holds nothing waits for
 * its turn; one that would only fetch ahead goes without.
 */
export class ByteBudget {
  readonly #maxBytes: number
  #used = 0
  readonly #waiting: Waiter[] = []

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes
  }

  /**
   * The most that one fetch may ask for, and that fetches for reads that have not begun may hold together: then a read that has begun always
   * finds room some time, and cannot wait for those behind it.
   */
  get halfBytes(): number {
    return Math.max(1, Math.floor(this.#maxBytes / 2))
  }

  get used(): number {
    return this.#used
  }

  /** Resolves when `bytes` fit, in the order of asking. What is larger than the whole budget fits when nothing else is held. */
  async take(bytes: number, signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted()
    if (this.#waiting.length === 0 && this.tryTake(bytes)) return
    await new Promise<void>((resolve, reject) => {
      const waiter: Waiter = {
        bytes,
        resolve: () => {
          signal?.removeEventListener('abort', abort)
          resolve()
        },
      }
      const abort = () => {
        this.#waiting.splice(this.#waiting.indexOf(waiter), 1)
        reject(signal?.reason)
        this.#wake()
      }
      signal?.addEventListener('abort', abort, { once: true })
      this.#waiting.push(waiter)
    })
  }

  /** Takes `bytes` only if they fit now and nobody waits. */
  tryTake(bytes: number): boolean {
    if (this.#waiting.length > 0 || !this.#fits(bytes)) return false
    this.#used += bytes
    return true
  }

  give(bytes: number): void {
    this.#used -= bytes
    this.#wake()
  }

  #fits(bytes: number): boolean {
    return this.#used === 0 || this.#used + bytes <= this.#maxBytes
  }

  #wake(): void {
    for (let next = this.#waiting[0]; next !== undefined && this.#fits(next.bytes); next = this.#waiting[0]) {
      this.#waiting.shift()
      this.#used += next.bytes
      next.resolve()
    }
  }
}
