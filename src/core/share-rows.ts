import type { Clock } from './clock.ts'

type Rows = AsyncIterable<readonly unknown[]>

/** What becomes of a reader that the others wait for. */
export type Patience = {
  readonly clock: Clock
  /** How long the others wait for one of them over the whole read, ms. */
  readonly maxWaitMs: number
  /** The rows from behind what every reader has, for one that is left behind; undefined where nobody can give them, and then it is waited for. */
  readonly resume: (reader: number) => Rows | undefined
}

/**
 * Gives several readers the same arrays of rows from one read, in step: the next array is fetched when every reader that is still there has
 * asked for it, so nothing is buffered. A reader leaves by ending its iteration or through `leave`, also one that never began.
 *
 * With `patience`, a reader that has kept the others waiting for too long, in one go or bit by bit, is left behind: it goes on with rows of its own, from
 * behind those it has, and the others go on without it.
 */
export function shareRows(
  rows: Rows,
  readers: number,
  patience?: Patience,
): { readonly branches: readonly Rows[]; leave(reader: number): void } {
  const iterator = rows[Symbol.asyncIterator]()
  const present = new Set(Array.from({ length: readers }, (_, reader) => reader))
  const watch = patience === undefined ? undefined : new Watch(patience, { present, lagging, onLate: leaveSlowBehind })
  let waiting: { reader: number; resolve: (result: IteratorResult<readonly unknown[]>) => void; reject: (error: unknown) => void }[] = []
  const own = new Map<number, AsyncIterator<readonly unknown[]>>()
  let isPulling = false

  function pullIfAllAsked() {
    if (isPulling || waiting.length === 0 || waiting.length < present.size) return
    isPulling = true
    const asked = waiting
    waiting = []
    watch?.endRound()
    iterator.next().then(
      result => {
        isPulling = false
        if (result.done) watch?.stop()
        for (const { resolve } of asked) resolve(result)
      },
      error => {
        isPulling = false
        watch?.stop()
        for (const { reject } of asked) reject(error)
      },
    )
  }

  /** Those that the others wait for. */
  function lagging(): number[] {
    const asked = new Set(waiting.map(({ reader }) => reader))
    return [...present].filter(reader => !asked.has(reader))
  }

  function leaveSlowBehind() {
    if (waiting.length === 0) return
    for (const reader of lagging()) {
      if (!watch?.isTooSlow(reader)) continue
      // Nothing is being pulled, for this one has not asked: every reader has just what has been given.
      const rest = patience?.resume(reader)
      watch.excuse(reader)
      if (rest === undefined) continue
      own.set(reader, rest[Symbol.asyncIterator]())
      present.delete(reader)
    }
    pullIfAllAsked()
  }

  function leave(reader: number) {
    own
      .get(reader)
      ?.return?.()
      ?.catch(() => {})
    if (!present.delete(reader)) return
    for (const left of waiting.filter(entry => entry.reader === reader)) left.resolve({ done: true, value: undefined })
    waiting = waiting.filter(entry => entry.reader !== reader)
    // The last one out closes the read; an error of closing has nobody left to concern.
    if (present.size === 0) {
      watch?.stop()
      iterator.return?.().catch(() => {})
    } else pullIfAllAsked()
  }

  const branch = (reader: number): Rows => ({
    [Symbol.asyncIterator]: () => ({
      next: () => {
        const rest = own.get(reader)
        if (rest !== undefined) return rest.next()
        return new Promise((resolve, reject) => {
          if (!present.has(reader)) return resolve({ done: true, value: undefined })
          waiting.push({ reader, resolve, reject })
          if (waiting.length < present.size) watch?.asked(reader)
          else watch?.askedLast(reader)
          pullIfAllAsked()
        })
      },
      return: async () => {
        leave(reader)
        return { done: true, value: undefined }
      },
    }),
  })

  return { branches: Array.from(present, branch), leave }
}

type Watched = {
  readonly present: ReadonlySet<number>
  readonly lagging: () => Iterable<number>
  /** Called when one may be too slow. */
  readonly onLate: () => void
}

/** Counts for how long each reader kept the others waiting, and calls when that may be too long for one. One timer a read, and none while all are quick. */
class Watch {
  readonly #patience: Patience
  readonly #watched: Watched
  readonly #heldUpMs = new Map<number, number>()
  readonly #excused = new Set<number>()
  /** When the first of those that wait now asked. */
  #since: number | undefined
  #cancelTimer: (() => void) | undefined
  /** Whether the timer is of those that were waited for when it was set: others may have less time left. */
  #isOfSome = false
  #isOver = false

  constructor(patience: Patience, watched: Watched) {
    this.#patience = patience
    this.#watched = watched
  }

  asked(reader: number): void {
    if (this.#since === undefined) {
      this.#since = this.#patience.clock.monotonic()
      if (this.#cancelTimer !== undefined && !this.#isOfSome) return
      this.#isOfSome = false
      this.#arm(this.#watched.present)
    } else this.askedLast(reader)
  }

  /** The one that all others waited for. */
  askedLast(reader: number): void {
    if (this.#since === undefined) return
    this.#heldUpMs.set(reader, (this.#heldUpMs.get(reader) ?? 0) + this.#patience.clock.monotonic() - this.#since)
  }

  endRound(): void {
    this.#since = undefined
  }

  isTooSlow(reader: number): boolean {
    if (this.#since === undefined || this.#excused.has(reader)) return false
    const now = this.#patience.clock.monotonic() - this.#since
    return (this.#heldUpMs.get(reader) ?? 0) + now >= this.#patience.maxWaitMs
  }

  /** It is gone, or is waited for however long it takes. */
  excuse(reader: number): void {
    this.#excused.add(reader)
  }

  stop(): void {
    this.#isOver = true
    this.#cancelTimer?.()
    this.#cancelTimer = undefined
  }

  /** Looks again when the slowest of the readers so far would have used up its time, were it the one that is waited for. */
  #arm(readers: Iterable<number>): void {
    this.#cancelTimer?.()
    this.#cancelTimer = undefined
    const { clock, maxWaitMs } = this.#patience
    const heldUp = Array.from(readers, reader => (this.#excused.has(reader) ? undefined : (this.#heldUpMs.get(reader) ?? 0)))
    const longest = heldUp.reduce<number | undefined>((most, ms) => (ms === undefined ? most : Math.max(most ?? 0, ms)), undefined)
    if (longest === undefined || this.#isOver) return
    const waited = this.#since === undefined ? 0 : clock.monotonic() - this.#since
    this.#cancelTimer = clock.after(Math.max(1, Math.ceil(maxWaitMs - longest - waited)), () => {
      this.#cancelTimer = undefined
      this.#watched.onLate()
      if (this.#since === undefined) return
      // Those that have asked are not waited for: a timer for them would be due again at once, and again.
      this.#isOfSome = true
      this.#arm(this.#watched.lagging())
    })
  }
}
