import { setTimeout as delay } from 'node:timers/promises'
import { errorMessage, TimeoutError } from '../../../src/core/errors.ts'

const LOOK_EVERY_MS = 50

/**
 * Waits for something in another process that sends no event, by looking again and again; an error counts as "not yet".
 *
 * @throws TimeoutError with the last error as its cause
 */
export async function waitUntil(
  what: string,
  look: () => Promise<boolean>,
  { timeoutMs = 60_000, signal }: { timeoutMs?: number; signal?: AbortSignal } = {},
): Promise<void> {
  const endsAt = performance.now() + timeoutMs
  let lastError: unknown
  for (;;) {
    try {
      if (await look()) return
    } catch (error) {
      lastError = error
    }
    signal?.throwIfAborted()
    if (performance.now() > endsAt) {
      const because = lastError === undefined ? '' : `: ${errorMessage(lastError)}`
      throw new TimeoutError(`${what} did not happen within ${timeoutMs} ms${because}`, { cause: lastError })
    }
    await delay(LOOK_EVERY_MS)
  }
}
