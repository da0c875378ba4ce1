import type { PartitionOffset } from '../core/values.ts'
import type { JobSource, World } from './driver-job.ts'
import type { Planner } from './planner.ts'

/** How often to ask for offsets, and so to find new partitions, while waiting tells how far the known ones reach (ms). */
const LOOK_EVERY_MS = 5_000
/** How often to ask sources that cannot wait by themselves (ms). */
const POLL_MS = 100
/** The longest wait (ms). Sources end theirs within five seconds; one that does not must not hide partitions that come or go. */
const MAX_WAIT_MS = 6_000
/**
 * A wait that ends sooner than this (ms) and brings nothing did not wait: a watermark moved without a record to read, or a broker refused.
 * Pauses then grow from 5 ms to a second, so that it is not asked again and again.
 */
const SHORT_WAIT_MS = 50
const FIRST_PAUSE_MS = 5
const MAX_PAUSE_MS = 1_000

/**
 * Keeps the planner's view fresh at the least cost: while a source can wait for records itself (a fetch that the broker answers when there
 * are some), nothing is polled, and what the wait tells of latest offsets saves the next request for them.
 */
export class RecordWaiter {
  readonly #planner: Planner
  readonly #world: World
  readonly #mayWaitFirst: boolean
  #isFresh = false
  #lookedAt = Number.NEGATIVE_INFINITY
  #shortWaits = 0

  constructor(planner: Planner, world: World, batchIntervalMs: number) {
    this.#planner = planner
    this.#world = world
    this.#mayWaitFirst = batchIntervalMs === 0
  }

  /** Makes sure the planner's view is fit to plan from. */
  async look(signal: AbortSignal): Promise<void> {
    const now = this.#world.clock.monotonic()
    if (this.#isFresh && now - this.#lookedAt < LOOK_EVERY_MS) {
      // With an interval a tick asks anew, so that its batch has all there is; without one, the wait was just now.
      this.#isFresh = false
      if (this.#mayWaitFirst) return
    }
    await this.#planner.look({ signal })
    this.#lookedAt = now
  }

  /** Resolves when there may be something to read, or after a while. */
  async wait(committed: ReadonlyMap<string, PartitionOffset>, signal: AbortSignal): Promise<void> {
    const positions = this.#planner.positions(committed)
    const startedAt = this.#world.clock.monotonic()
    const others = new AbortController()
    const waitSignal = AbortSignal.any([signal, others.signal])
    try {
      const waits = [...positions].filter(([, from]) => from.length > 0).map(([source, from]) => this.#waitFor(source, from, waitSignal))
      for (const wait of waits) wait.catch(() => {})
      const longestMs = this.#planner.isStalled ? MAX_PAUSE_MS : MAX_WAIT_MS
      const found = await (waits.length > 0 ? Promise.race([...waits, this.#giveUp(longestMs, waitSignal)]) : this.#poll(waitSignal))
      this.#isFresh = true
      // Waiting for the others brings no news of what may not be read yet.
      if (this.#planner.isStalled && !found) this.#lookedAt = Number.NEGATIVE_INFINITY
      if (found || (waits.length > 0 && this.#world.clock.monotonic() - startedAt > SHORT_WAIT_MS)) {
        this.#shortWaits = 0
        return
      }
      // Nothing came: what is known may be why, such as a partition that is gone or may not be read yet.
      this.#lookedAt = Number.NEGATIVE_INFINITY
      this.#shortWaits += 1
      await this.#world.clock.sleep(Math.min(FIRST_PAUSE_MS * 2 ** (this.#shortWaits - 1), MAX_PAUSE_MS), signal)
    } finally {
      others.abort()
    }
  }

  async #waitFor(source: JobSource, from: readonly PartitionOffset[], signal: AbortSignal): Promise<boolean> {
    if (source.source.awaitRecords === undefined) return this.#poll(signal)
    const latest = await source.source.awaitRecords(from, { signal })
    this.#planner.note(source, latest)
    return latest.length > 0
  }

  async #giveUp(afterMs: number, signal: AbortSignal): Promise<boolean> {
    await this.#world.clock.sleep(afterMs, signal)
    return false
  }

  async #poll(signal: AbortSignal): Promise<boolean> {
    await this.#world.clock.sleep(POLL_MS, signal)
    this.#lookedAt = Number.NEGATIVE_INFINITY
    return false
  }
}
