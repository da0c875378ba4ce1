import type { Clock } from '../../../src/core/clock.ts'
import { errorMessage, TaskFailedError } from '../../../src/core/errors.ts'
import type { Log } from '../../../src/core/log.ts'
import type { HeldPack } from './held-pack.ts'

type LockTimes = { readonly lockMs: number; readonly stallMs: number }

/** How often in a lock's life it is renewed: four may fail, or be late. */
const RENEWALS = 5

/**
 * Renews the locks of packs that move, and aborts those whose lock is gone. It runs in the main thread, so a task that blocks its own keeps its pack
 * until it has stood still for `stallMs`.
 *
 * The sequence it prevents: an executor is cut off from Redis and works on; its lock lapses and its driver gives the pack to another, which finishes;
 * the first goes on writing rows that no ledger refuses (an output that is at-least-once), as long as the cut lasts.
 */
export class LockKeeper {
  readonly #renewLocks: (packs: readonly HeldPack[]) => Promise<readonly HeldPack[]>
  readonly #packs: ReadonlySet<HeldPack>
  readonly #times: LockTimes
  readonly #clock: Clock
  readonly #log: Log
  readonly #timer: NodeJS.Timeout
  readonly #left = new WeakSet<HeldPack>()
  #isAsking = false

  /** @param renewLocks - renews them all, and gives those whose lock is not theirs any more */
  constructor(
    renewLocks: (packs: readonly HeldPack[]) => Promise<readonly HeldPack[]>,
    packs: ReadonlySet<HeldPack>,
    { clock, log, ...times }: LockTimes & { readonly clock: Clock; readonly log: Log },
  ) {
    this.#renewLocks = renewLocks
    this.#packs = packs
    this.#times = times
    this.#clock = clock
    this.#log = log
    this.#timer = setInterval(() => this.#look(), times.lockMs / RENEWALS)
  }

  close(): void {
    clearInterval(this.#timer)
  }

  #look(): void {
    const now = this.#clock.monotonic()
    for (const pack of this.#packs) {
      if (pack.isLost || pack.isReporting || now < pack.lockedUntil) continue
      pack.lose(new TaskFailedError(`The lock of pack ${pack.id} has lapsed: it is left to another executor.`, { retryable: true }))
    }
    // One call at a time: while Redis is away each takes as long as it may.
    if (!this.#isAsking) this.#renew(now)
  }

  async #renew(now: number): Promise<void> {
    const packs = [...this.#packs].filter(pack => !pack.isLost && (pack.isReporting || this.#moves(pack, now)))
    if (packs.length === 0) return
    this.#isAsking = true
    try {
      const lost = new Set(await this.#renewLocks(packs))
      const answeredAt = this.#clock.monotonic()
      for (const pack of packs) {
        if (!lost.has(pack)) pack.lockedUntil = answeredAt + this.#times.lockMs
        // A report takes the lock with it.
        else if (!pack.isReporting) pack.lose(lostTo(pack))
      }
    } catch (error) {
      // What an outage means is told once, by the heartbeat.
      this.#log.debug({ err: error }, `locks could not be renewed: ${errorMessage(error)}`)
    } finally {
      this.#isAsking = false
    }
  }

  #moves(pack: HeldPack, now: number): boolean {
    const { stallMs } = this.#times
    // One that waits behind others is not stuck while they move.
    const movedAt = pack.hasBegun ? pack.movedAt : Math.max(...Array.from(this.#packs, other => other.movedAt))
    if (now - movedAt < stallMs) return true
    if (!this.#left.has(pack)) {
      this.#left.add(pack)
      this.#log.warn(
        { pack: pack.id },
        `pack ${pack.id} has stood still for ${stallMs} ms (stallMs): its lock is left to lapse, and another gets it`,
      )
    }
    return false
  }
}

function lostTo({ id }: HeldPack): TaskFailedError {
  return new TaskFailedError(`The lock of pack ${id} is not this executor's any more: another has the pack.`, { retryable: true })
}
