import type { Clock } from './clock.ts'

/**
 * Waits for work that was told by `signal` to stop, but not for ever: code that listens to no signal may never end. Rejects with the signal's
 * reason when the work has not ended `graceMs` after the abort.
 */
export async function endWithin<T>(
  work: Promise<T>,
  { signal, graceMs, clock }: { signal: AbortSignal; graceMs: number; clock: Clock },
): Promise<T> {
  const over = new AbortController()
  const late = Promise.withResolvers<never>()
  const onAbort = () => {
    clock.sleep(graceMs, over.signal).then(
      () => late.reject(signal.reason),
      () => {},
    )
  }
  if (signal.aborted) onAbort()
  else signal.addEventListener('abort', onAbort, { once: true })
  try {
    return await Promise.race([work, late.promise])
  } finally {
    signal.removeEventListener('abort', onAbort)
    over.abort()
  }
}
