import { TimeoutError } from '../core/errors.ts'

/**
 * Waits for an answer, but not for ever and not past an abort: a server that was stopped, or a network that swallows packets, sends no error. Rejects
 * with the signal's reason, or with `TimeoutError`; the answer may come all the same, to nobody.
 */
export function answerWithin<T>(answer: Promise<T>, ms: number, signal: AbortSignal | undefined): Promise<T> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason)
    const timer = setTimeout(() => end(() => reject(new TimeoutError(`no answer within ${Math.round(ms)} ms`))), ms)
    const abort = () => end(() => reject(signal?.reason))
    const end = (settle: () => void) => {
      clearTimeout(timer)
      signal?.removeEventListener('abort', abort)
      settle()
    }
    signal?.addEventListener('abort', abort, { once: true })
    answer.then(
      value => end(() => resolve(value)),
      error => end(() => reject(error)),
    )
  })
}
