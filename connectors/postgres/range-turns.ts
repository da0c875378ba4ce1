import { ConfigError } from '../../src/core/errors.ts'
import type { Task } from '../../src/core/values.ts'
import { untilAborted } from '../../src/util/until-aborted.ts'

type Waiting = { readonly range: string; readonly admit: () => void }

/**
 * Lets so many ranges at a time hold connections while their rows come; the outputs of one range go in together. Outputs share a range's read, so each gets
 * rows only as fast as the others take them. Without this: over one pool, range 1 holds the last connection for its first output and its second waits for
 * one, range 2 the other way round, and all of them wait for each other until their deadline.
 */
export class RangeTurns {
  readonly #limit: () => number
  readonly #inside = new Map<string, number>()
  readonly #waiting: Waiting[] = []

  /** @param limit - asked whenever somebody comes: outputs may have joined meanwhile */
  constructor(limit: () => number) {
    this.#limit = limit
  }

  async use<T>({ stream, batchId, index }: Task, signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    const range = JSON.stringify([stream, batchId, index])
    await this.#enter(range, signal)
    try {
      return await work()
    } finally {
      this.#leave(range)
    }
  }

  async #enter(range: string, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    if (this.#inside.has(range) || this.#inside.size < this.#limit()) return this.#admit(range)
    const turn = Promise.withResolvers<void>()
    const waiting: Waiting = { range, admit: turn.resolve }
    this.#waiting.push(waiting)
    try {
      await untilAborted(turn.promise, signal)
    } catch (error) {
      const at = this.#waiting.indexOf(waiting)
      if (at !== -1) this.#waiting.splice(at, 1)
      else this.#leave(range)
      throw error
    }
  }

  #admit(range: string): void {
    this.#inside.set(range, (this.#inside.get(range) ?? 0) + 1)
  }

  #leave(range: string): void {
    const left = (this.#inside.get(range) ?? 1) - 1
    if (left > 0) this.#inside.set(range, left)
    else this.#inside.delete(range)
    for (let next = this.#next(); next !== undefined; next = this.#next()) {
      this.#waiting.splice(this.#waiting.indexOf(next), 1)
      this.#admit(next.range)
      next.admit()
    }
  }

  /** Who waits and may go in: first those whose range is inside already. */
  #next(): Waiting | undefined {
    const joining = this.#waiting.find(({ range }) => this.#inside.has(range))
    return joining ?? (this.#inside.size < this.#limit() ? this.#waiting[0] : undefined)
  }
}

/** The outputs that write through one pool of the caller's. */
export class SharedPool {
  readonly turns = new RangeTurns(() => this.#ranges)
  readonly #max: number
  readonly #outputs = new Set<object>()

  /** @param max - how many connections the pool has at the most */
  constructor(max: number) {
    this.#max = max
  }

  /** @throws ConfigError where the pool cannot give each of its outputs a connection at a time */
  join(output: object, name: string): void {
    this.#outputs.add(output)
    if (this.#max >= this.#outputs.size) return
    const needed = this.#outputs.size
    this.#outputs.delete(output)
    throw new ConfigError(
      `The pool of ${name} has at most ${this.#max} ${this.#max === 1 ? 'connection' : 'connections'}, and ${needed} outputs of this process write through ` +
        `it, which need one each at a time: new pg.Pool({ max: ${needed + 1} }) or more.`,
      { details: { max: this.#max, needed } },
    )
  }

  leave(output: object): void {
    this.#outputs.delete(output)
  }

  /** One connection stays for fences, looks, small tasks, and whoever else uses the pool. */
  get #ranges(): number {
    return Math.max(1, Math.floor((this.#max - 1) / Math.max(1, this.#outputs.size)))
  }
}
