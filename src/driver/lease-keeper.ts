import { isTidemarkError } from '../core/errors.ts'
import type { Lease, OffsetStore } from '../core/offset-store.ts'
import type { World } from './driver-job.ts'

const MAX_STANDBY_WAIT_MS = 1_000

/**
 * Acquires the stream's lease. While another owner's is alive it stands by and asks again, at least every second; `onHeld` hears of it once, and `onTrouble` of
 * every time the store could not be asked.
 * A store that cannot be reached fails at once: at start that is a mistake to mend, not an outage to wait out.
 */
export async function acquireLease(
  store: OffsetStore,
  request: { readonly stream: string; readonly owner: string; readonly ttlMs: number; readonly steal: boolean },
  { clock }: World,
  {
    signal,
    onHeld,
    onTrouble,
  }: {
    readonly signal: AbortSignal
    readonly onHeld: (error: Error) => void
    readonly onTrouble: (error: Error) => void
  },
): Promise<Lease> {
  let wasHeld = false
  for (;;) {
    try {
      return await store.acquire(request.stream, request.owner, request.ttlMs, { steal: request.steal, signal })
    } catch (error) {
      const isHeld = isTidemarkError(error, 'LEASE_HELD')
      // Once it stands by, an outage of the store is waited out like the lease itself.
      if (!isHeld && !(wasHeld && isTidemarkError(error) && error.retryable)) throw error
      if (!isHeld) onTrouble(error)
      else if (!wasHeld) onHeld(error)
      wasHeld = true
      await clock.sleep(Math.min(request.ttlMs / 4, MAX_STANDBY_WAIT_MS), signal)
    }
  }
}

/** Renews a lease three times a `ttlMs` until it is ended. A lapsed lease is renewed too: only a newer epoch ends it. */
export class LeaseKeeper {
  readonly lease: Lease
  readonly #store: OffsetStore
  readonly #end = new AbortController()
  readonly #ended: Promise<void>

  /** `onLost` hears of the `FencedError` once; `onTrouble` of every other failure, which is tried again. */
  constructor(
    store: OffsetStore,
    lease: Lease,
    { clock }: World,
    { onLost, onTrouble }: { readonly onLost: (error: unknown) => void; readonly onTrouble: (error: unknown) => void },
  ) {
    this.#store = store
    this.lease = lease
    this.#ended = this.#keep(clock, onLost, onTrouble)
  }

  async #keep(clock: World['clock'], onLost: (error: unknown) => void, onTrouble: (error: unknown) => void): Promise<void> {
    const { signal } = this.#end
    for (;;) {
      try {
        await clock.sleep(this.lease.ttlMs / 3, signal)
        await this.#store.renew(this.lease, { signal })
      } catch (error) {
        if (signal.aborted) return
        if (isTidemarkError(error, 'FENCED')) return onLost(error)
        onTrouble(error)
      }
    }
  }

  /** Stops renewing and releases the lease, so that the next driver need not wait. Safe to call when the lease is already lost. */
  async end(): Promise<void> {
    this.#end.abort(new Error('the lease is being released'))
    await this.#ended
    try {
      await this.#store.release(this.lease)
    } catch (error) {
      if (!isTidemarkError(error, 'FENCED')) throw error
    }
  }
}
