import type { Held, Thread } from './thread.ts'

/** How often it looks, ms: so often, at most, is a task's progress told. */
const LOOK_EVERY_MS = 200
/** What a group may take beyond its deadline or its cancellation, ms: the task runner gives up after 5 s, and its answer needs its way. */
const GRACE_MS = 7_000

/**
 * Looks at the boards of all threads while groups are at work: tells progress, and finds the groups that should have ended long ago, whose thread cannot
 * be told so by a message.
 */
export class Watch {
  readonly #threads: Iterable<Thread>
  readonly #onOverdue: (thread: Thread, overdue: readonly Held[]) => void
  #timer: NodeJS.Timeout | undefined
  #lookedAt = 0
  /**
   * Time in which this process was awake, ms. By a clock that runs on while the process is stopped, or busy for long, every answer that came meanwhile
   * and was not read yet would be overdue, and healthy threads would be ended.
   */
  #awakeMs = 0

  constructor(threads: Iterable<Thread>, onOverdue: (thread: Thread, overdue: readonly Held[]) => void) {
    this.#threads = threads
    this.#onOverdue = onOverdue
  }

  /** Looks until no thread has a group. */
  start(): void {
    if (this.#timer !== undefined) return
    this.#lookedAt = performance.now()
    this.#timer = setInterval(() => this.#look(), LOOK_EVERY_MS)
  }

  stop(): void {
    clearInterval(this.#timer)
    this.#timer = undefined
  }

  #look(): void {
    const now = performance.now()
    this.#awakeMs += Math.min(now - this.#lookedAt, 2 * LOOK_EVERY_MS)
    this.#lookedAt = now
    let isAtWork = false
    for (const thread of this.#threads) {
      const overdue = [...thread.held.values()].filter(held => this.#isOverdue(held))
      if (overdue.length > 0) this.#onOverdue(thread, overdue)
      isAtWork ||= thread.load > 0
    }
    if (!isAtWork) this.stop()
  }

  #isOverdue(held: Held): boolean {
    const { group, scope, onProgress } = held.entry
    const seen = held.look()
    if (seen !== held.seen) {
      // The first note is that it began.
      if (held.seen !== 0 || seen !== 1) onProgress?.()
      held.begunAt ??= this.#awakeMs
      held.seen = seen
    }
    if (scope.signal.aborted) held.cancelledAt ??= this.#awakeMs
    return this.#isPast(held.cancelledAt, GRACE_MS) || this.#isPast(held.begunAt, group.timeoutMs + GRACE_MS)
  }

  #isPast(since: number | undefined, ms: number): boolean {
    return since !== undefined && this.#awakeMs - since > ms
  }
}
