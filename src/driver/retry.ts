import { isRetryable, retryAfterOf, type TidemarkError } from '../core/errors.ts'
import type { World } from './driver-job.ts'

export type RetryOptions = {
  /** How long after the first failure to go on trying, ms; with 0 nothing is tried again. */
  readonly forMs: number
  readonly signal: AbortSignal
  /** Told before each wait. */
  readonly onRetry?: (error: TidemarkError, attempt: number, delayMs: number) => void
}

const FIRST_DELAY_MS = 50
const MAX_DELAY_MS = 5_000

/**
 * Calls `attempt` until it succeeds, for errors that are retryable and while `forMs` has not passed since the first; waits between the calls
 * grow from 50 ms to 5 s, each between half and all of its step so that many do not come back at once. The last error is thrown as it is.
 *
 * An error that says when to come back ({@link retryAfterOf}) is waited out however long that takes: its service is known to be away, and a stream that
 * ended after `forMs` would only have to be started again by hand.
 */
export async function retrying<T>(world: World, options: RetryOptions, attempt: (number: number) => Promise<T>): Promise<T> {
  const { clock, random } = world
  let failingSince: number | undefined
  let failures = 0
  for (let number = 1; ; number++) {
    options.signal.throwIfAborted()
    try {
      return await attempt(number)
    } catch (error) {
      const retryAfterMs = options.forMs > 0 ? retryAfterOf(error) : undefined
      let delayMs: number
      if (retryAfterMs !== undefined) {
        failingSince = undefined
        failures = 0
        delayMs = retryAfterMs * (1 + random.number() / 4)
      } else {
        failingSince ??= clock.monotonic()
        failures += 1
        delayMs = Math.min(FIRST_DELAY_MS * 2 ** (failures - 1), MAX_DELAY_MS) * (0.5 + random.number() / 2)
        if (!isRetryable(error) || clock.monotonic() + delayMs - failingSince > options.forMs) throw error
      }
      options.onRetry?.(error as TidemarkError, number, delayMs)
      await clock.sleep(delayMs, options.signal)
    }
  }
}
