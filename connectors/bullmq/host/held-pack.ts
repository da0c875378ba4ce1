import type { PackMessage } from '../messages.ts'

/**
 * A pack of groups that this executor works on. It is held by a lock in Redis that lapses; all times are this process' own, for whoever looks at
 * the lock goes by Redis' clock, and durations are all the two have in common.
 */
export class HeldPack {
  /** The queue job's id. */
  readonly id: string
  /** Shows that the lock is this attempt's. */
  readonly token: string
  readonly streamId: string
  readonly epoch: number
  /** From then on the lock is certainly gone, unless it was renewed. */
  lockedUntil: number
  /** When bytes came or rows went last, or a group began or ended. */
  movedAt: number
  /** Whether any of its groups has begun: until then it waits for those of the packs before it. */
  hasBegun = false
  /** Its groups have ended and the report is on its way, so nobody renews its lock any more. */
  isReporting = false
  readonly #abort = new AbortController()
  #isLost = false

  constructor(id: string, token: string, { streamId, groups }: PackMessage, { now, lockMs }: { now: number; lockMs: number }) {
    this.id = id
    this.token = token
    this.streamId = streamId
    // A message that cannot be read is of no older driver.
    this.epoch = groups?.epoch ?? Number.POSITIVE_INFINITY
    this.movedAt = now
    this.lockedUntil = now + lockMs
  }

  /** Aborts when its tasks are to end. */
  get signal(): AbortSignal {
    return this.#abort.signal
  }

  /** Whether its lock is gone: it is somebody else's, and a report would be refused. */
  get isLost(): boolean {
    return this.#isLost
  }

  move(now: number): void {
    this.movedAt = now
    this.hasBegun = true
  }

  abort(reason: Error): void {
    this.#abort.abort(reason)
  }

  lose(reason: Error): void {
    this.#isLost = true
    this.abort(reason)
  }
}
