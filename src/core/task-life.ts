import type { Clock } from './clock.ts'
import { isTidemarkError } from './errors.ts'

export type LifeOptions = {
  readonly clock: Clock
  /** Of whoever gave the tasks: when it aborts they end. */
  readonly signal: AbortSignal
  readonly timeoutMs: number
  /** How long code that was told to stop may take to do so, ms; then the tasks end without it. */
  readonly graceMs: number
  /** Made when the time is over. */
  readonly tooLate: () => Error
}

/** Made once: an error with its stack costs more than the rest of a small task. */
const ENDED = new Error('the task has ended')

/**
 * One run of a range's tasks: what tells them to stop, and for how long they may go on after that. One controller and one timer, for a batch may have ten
 * thousand ranges, and each signal that follows others costs as much as the rest of a small one.
 */
export class TaskLife {
  readonly #options: LifeOptions
  /** What sources and sinks listen to. */
  readonly #abort = new AbortController()
  readonly #onAbort = () => this.#stop(this.#options.signal.reason)
  /** Why it was stopped from outside: by whoever gave the tasks, or by the deadline. */
  #stopped: { readonly reason: unknown } | undefined
  /** For what is done after a failure. */
  #rest: AbortController | undefined
  #onLate: ((reason: unknown) => void) | undefined
  #isLate = false
  #cancelTimer: () => void
  #cancelGrace: (() => void) | undefined
  #isOver = false

  constructor(options: LifeOptions) {
    this.#options = options
    if (options.signal.aborted) this.#stop(options.signal.reason)
    else options.signal.addEventListener('abort', this.#onAbort)
    this.#cancelTimer = options.clock.after(options.timeoutMs, () => this.#stopLate())
  }

  /** Aborts when the tasks are to end: they were stopped, one of them failed, or all are over. */
  get signal(): AbortSignal {
    return this.#abort.signal
  }

  /** One of the tasks failed: the others end. What is done about it may go on until the time is over. */
  fail(error: unknown): void {
    if (!this.#abort.signal.aborted) this.#abort.abort(error)
  }

  /** All rows were drawn: nothing listens to the signal any more, and it need not tell. */
  end(): void {
    this.#isOver = true
  }

  /** Aborts when the tasks were stopped from outside, and not for their own failures. */
  get restSignal(): AbortSignal {
    if (this.#rest === undefined) {
      this.#rest = new AbortController()
      if (this.#stopped !== undefined) this.#rest.abort(this.#stopped.reason)
    }
    return this.#rest.signal
  }

  /** Why something failed: the deadline, where it failed because of that. */
  causeOf(error: unknown): unknown {
    // Only what the deadline caused is its echo: a task that failed before, or was refused meanwhile, must not be tried again as one that was slow.
    const isEcho = this.#isLate && this.#abort.signal.reason === this.#stopped?.reason && !this.#options.signal.aborted
    return isEcho && !isVerdict(error) ? this.#stopped?.reason : error
  }

  /** Waits for the work, and not for ever once it was stopped: code that listens to no signal may never end. Rejects with why it was stopped, if it was too late. */
  async within<T>(work: Promise<T>): Promise<T> {
    try {
      return await new Promise<T>((resolve, reject) => {
        this.#onLate = reject
        if (this.#stopped !== undefined) this.#endAfterGrace(this.#stopped.reason)
        work.then(resolve, reject)
      })
    } catch (error) {
      throw this.causeOf(error)
    } finally {
      this.#options.signal.removeEventListener('abort', this.#onAbort)
      this.#cancelTimer()
      this.#cancelGrace?.()
      if (!this.#isOver) this.#abort.abort(ENDED)
      this.#rest?.abort(ENDED)
    }
  }

  #stopLate(): void {
    this.#isLate = true
    this.#stop(this.#options.tooLate())
  }

  #stop(reason: unknown): void {
    if (this.#stopped !== undefined) return
    this.#stopped = { reason }
    this.#abort.abort(reason)
    this.#rest?.abort(reason)
    this.#endAfterGrace(reason)
  }

  #endAfterGrace(reason: unknown): void {
    const { clock, graceMs } = this.#options
    const onLate = this.#onLate
    if (onLate === undefined) return
    this.#cancelGrace = clock.after(graceMs, () => onLate(reason))
  }
}

/** An error of ours that trying again does not help: a refusal, a bad record, lost data. */
function isVerdict(error: unknown): boolean {
  return isTidemarkError(error) && !error.retryable
}
