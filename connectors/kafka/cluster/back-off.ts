/** Waits before try number `tries` (from 0): from 20 ms, doubling up to a second, with chance in it. Rejects with the signal's reason. */
export async function backOff(tries: number, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted()
  const ms = Math.min(20 * 2 ** tries, 1_000) * (0.5 + Math.random() / 2)
  await new Promise<void>((resolve, reject) => {
    const abort = () => {
      clearTimeout(timer)
      reject(signal.reason)
    }
    const timer = setTimeout(() => {
      signal.removeEventListener('abort', abort)
      resolve()
    }, ms)
    signal.addEventListener('abort', abort, { once: true })
  })
}
