/** Time, behind a seam so that a test or a simulated world can own it. */
export interface Clock {
  /** The wall clock, ms since the epoch. It may jump; nothing that must be right rests on it. */
  now(): number
  /** Milliseconds that only grow, from an arbitrary start: for measuring and waiting. */
  monotonic(): number
  /** Resolves after `ms`; rejects with the signal's reason when it aborts. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>
  /** Calls `call` after `ms`, unless what it gives is called before: `sleep` for those who have no promise to spare. */
  after(ms: number, call: () => void): () => void
}

/** The machine's own time. */
export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  after: (ms, call) => {
    const timer = setTimeout(call, ms)
    return () => clearTimeout(timer)
  },
  sleep: (ms, signal) =>
    new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason)
      const abort = () => {
        clearTimeout(timer)
        reject(signal?.reason)
      }
      const timer = setTimeout(() => {
        signal?.removeEventListener('abort', abort)
        resolve()
      }, ms)
      signal?.addEventListener('abort', abort, { once: true })
    }),
}
