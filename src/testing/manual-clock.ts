import { setImmediate } from 'node:timers/promises'
import type { Clock } from '../core/clock.ts'

type Sleeper = { readonly wakeAt: number; readonly wake: () => void }
type Watcher = { readonly count: number; readonly tell: () => void }

/**
 * A clock that stands still until a test moves it: time without waiting for it.
 *
 *     const clock = new ManualClock()
 *     const nap = clock.sleep(1_000)
 *     await clock.advance(1_000)
 *     await nap
 */
export class ManualClock implements Clock {
  #wallMs: number
  #elapsedMs = 0
  #sleepers: Sleeper[] = []
  #watchers: Watcher[] = []

  /** `startMs` is what `now()` says first, ms since the epoch. @default 2024-01-01T00:00:00Z */
  constructor(startMs = Date.UTC(2024, 0, 1)) {
    this.#wallMs = startMs
  }

  now(): number {
    return this.#wallMs
  }

  monotonic(): number {
    return this.#elapsedMs
  }

  after(ms: number, call: () => void): () => void {
    const sleeper: Sleeper = { wakeAt: this.#elapsedMs + Math.max(0, ms), wake: call }
    this.#add(sleeper)
    return () => {
      this.#sleepers = this.#sleepers.filter(other => other !== sleeper)
    }
  }

  /** How many calls of `sleep` and `after` wait. */
  get sleeping(): number {
    return this.#sleepers.length
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason)
      const abort = () => {
        this.#sleepers = this.#sleepers.filter(other => other !== sleeper)
        reject(signal?.reason)
      }
      const sleeper: Sleeper = {
        wakeAt: this.#elapsedMs + Math.max(0, ms),
        wake: () => {
          signal?.removeEventListener('abort', abort)
          resolve()
        },
      }
      signal?.addEventListener('abort', abort, { once: true })
      this.#add(sleeper)
    })
  }

  /** Resolves when at least `count` calls of `sleep` or `after` wait: the event to wait for before `advance`. */
  untilSleeping(count = 1): Promise<void> {
    if (this.#sleepers.length >= count) return Promise.resolve()
    return new Promise(tell => {
      this.#watchers.push({ count, tell })
    })
  }

  /**
   * Moves both clocks on by `ms` and wakes who is due, earliest first. Each sleeper sees the time it asked for and gets a turn of the event loop,
   * so one that sleeps again within `ms` is woken again.
   */
  async advance(ms: number): Promise<void> {
    const until = this.#elapsedMs + ms
    for (;;) {
      const due = this.#nextDue(until)
      if (due === undefined) break
      this.#sleepers = this.#sleepers.filter(other => other !== due)
      this.#moveTo(due.wakeAt)
      due.wake()
      await setImmediate()
    }
    this.#moveTo(until)
    await setImmediate()
  }

  /**
   * Moves both clocks on by `ms` at once and wakes who is due: they find that all of it has passed, as after the machine was suspended.
   */
  skip(ms: number): void {
    this.#moveTo(this.#elapsedMs + ms)
    const due = this.#sleepers.filter(({ wakeAt }) => wakeAt <= this.#elapsedMs).sort((a, b) => a.wakeAt - b.wakeAt)
    this.#sleepers = this.#sleepers.filter(sleeper => !due.includes(sleeper))
    for (const { wake } of due) wake()
  }

  /** Moves the wall clock only, in either direction, as an administrator or NTP does. Wakes nobody. */
  jump(ms: number): void {
    this.#wallMs += ms
  }

  #add(sleeper: Sleeper): void {
    this.#sleepers.push(sleeper)
    for (const watcher of this.#watchers) if (this.#sleepers.length >= watcher.count) watcher.tell()
    this.#watchers = this.#watchers.filter(watcher => this.#sleepers.length < watcher.count)
  }

  #nextDue(until: number): Sleeper | undefined {
    let due: Sleeper | undefined
    for (const sleeper of this.#sleepers) if (sleeper.wakeAt <= until && (due === undefined || sleeper.wakeAt < due.wakeAt)) due = sleeper
    return due
  }

  #moveTo(elapsedMs: number): void {
    const stepMs = Math.max(0, elapsedMs - this.#elapsedMs)
    this.#elapsedMs += stepMs
    this.#wallMs += stepMs
  }
}
