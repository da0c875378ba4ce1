/** Lets so many callers work at a time; the others wait for their turn, in order. */
export class Slots {
  #free: number
  readonly #waiting: (() => void)[] = []
  /** Where the first who waits stands: taking ten thousand from an array's front one by one would move the rest each time. */
  #first = 0

  constructor(count: number) {
    this.#free = count
  }

  /** Whether somebody waits for a turn. */
  get isWanted(): boolean {
    return this.#first < this.#waiting.length
  }

  async use<T>(work: () => Promise<T>): Promise<T> {
    if (this.#free > 0) this.#free -= 1
    else await new Promise<void>(resolve => this.#waiting.push(resolve))
    try {
      return await work()
    } finally {
      this.#giveOn()
    }
  }

  #giveOn(): void {
    const next = this.#waiting[this.#first]
    if (next === undefined) {
      this.#free += 1
      return
    }
    this.#first += 1
    if (!this.isWanted) {
      this.#waiting.length = 0
      this.#first = 0
    }
    next()
  }
}
