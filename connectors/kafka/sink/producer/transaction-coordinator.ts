import { systemClock } from '../../../../src/core/clock.ts'
import { errorMessage, isRetryable, isTidemarkError, TimeoutError } from '../../../../src/core/errors.ts'
import { backOff } from '../../cluster/back-off.ts'
import type { Call } from '../../cluster/broker-client.ts'
import { REQUEST_TIMEOUT_MS } from '../../cluster/calls.ts'
import { reactionTo, showErrorCode } from '../../cluster/kafka-errors.ts'
import type { Session } from '../../source/session.ts'
import type { BrokerAddress } from '../../transport/kafka-transport.ts'
import { FIND_TRANSACTION_COORDINATOR_CALL } from '../protocol/find-transaction-coordinator.ts'
import { CONCURRENT_TRANSACTIONS, producerError } from './producer-errors.ts'

/** How long to wait for markers of the transaction before, at first and at most, ms. It is a matter of a few on a healthy cluster. */
const FIRST_WAIT_MS = 1
const LONGEST_WAIT_MS = 50

type Answer = { readonly throttleTimeMs: number }

/** What one call to a coordinator is about. */
export type CoordinatorCall<Response> = {
  readonly transactionalId: string
  /** For messages: `InitProducerId of …`. */
  readonly what: string
  /** The code of the answer that counts, and the topic that it is about. */
  readonly codeOf: (response: Response) => { readonly code: number; readonly topic?: string }
  /** How long answers that pass, and connections that break, are waited out, ms. */
  readonly retryForMs: number
  readonly signal: AbortSignal
  /** Told when a request was sent whose answer will not come. It may still be on its way to the broker. */
  readonly onUnanswered?: () => void
}

/** Asks the brokers that keep transactions. Every request it sends may be sent twice: an outcome that is unknown is asked for again. */
export class TransactionCoordinator {
  readonly #session: Session
  readonly #addresses = new Map<string, BrokerAddress>()

  constructor(session: Session) {
    this.#session = session
  }

  /** @throws what {@link producerError} makes of an answer that will not pass, TimeoutError (retryable) where none comes */
  async call<Request, Response extends Answer>(
    api: Call<Request, Response>,
    request: Request,
    { transactionalId, what, codeOf, retryForMs, signal, onUnanswered }: CoordinatorCall<Response>,
  ): Promise<Response> {
    const giveUpAt = performance.now() + retryForMs
    let why: string
    let waitMs = FIRST_WAIT_MS
    for (let tries = 0; ; tries++) {
      try {
        const address = this.#addresses.get(transactionalId) ?? (await this.#find(transactionalId, what, signal))
        const options = { timeoutMs: REQUEST_TIMEOUT_MS, signal }
        const response = await this.#session.pool.with(address, signal, client => client.call(api, request, options))
        const { code, topic } = codeOf(response)
        if (code === 0) return response
        if (code === CONCURRENT_TRANSACTIONS) {
          why = 'the transaction before it does not end (CONCURRENT_TRANSACTIONS); a broker that its markers go to may be away'
          if (performance.now() > giveUpAt) throw new TimeoutError(`${what} did not come through for ${retryForMs} ms: ${why}.`)
          await systemClock.sleep(waitMs, signal)
          waitMs = Math.min(LONGEST_WAIT_MS, waitMs * 2)
          continue
        }
        const reaction = reactionTo(code)
        if (reaction !== 'retry' && reaction !== 'refresh')
          throw producerError(code, what, { transactionalId, ...(topic !== undefined && { topic }) })
        why = `the broker answered ${showErrorCode(code)}`
      } catch (error) {
        if (!isTidemarkError(error) || error.details.code === undefined) onUnanswered?.()
        signal.throwIfAborted()
        const isPassing = isRetryable(error) && isTidemarkError(error) && error.details.code === undefined && error.code !== 'DECODE'
        if (!isPassing || performance.now() > giveUpAt) throw error
        why = errorMessage(error)
      }
      this.#addresses.delete(transactionalId)
      if (performance.now() > giveUpAt) throw new TimeoutError(`${what} did not come through for ${retryForMs} ms: ${why}.`)
      this.#session.metadata.markStale()
      await backOff(tries, signal)
    }
  }

  /** Any broker knows. One after another is asked, so that a dead one does not hide the others. */
  async #find(transactionalId: string, what: string, signal: AbortSignal): Promise<BrokerAddress> {
    const view = await this.#session.metadata.view(signal)
    let failure: unknown = new TimeoutError(`${what}: no broker is known.`)
    for (const address of view.brokers.values()) {
      try {
        const options = { timeoutMs: REQUEST_TIMEOUT_MS, signal }
        const response = await this.#session.pool.with(address, signal, client =>
          client.call(FIND_TRANSACTION_COORDINATOR_CALL, { transactionalId }, options),
        )
        const [found] = response.coordinators
        if (found?.errorCode === 0) {
          this.#addresses.set(transactionalId, { host: found.host, port: found.port })
          return { host: found.host, port: found.port }
        }
        const code = found?.errorCode ?? -1
        if (reactionTo(code) !== 'retry' && reactionTo(code) !== 'refresh') throw producerError(code, what, { transactionalId })
        failure = new TimeoutError(`${what}: no coordinator yet, the broker answered ${showErrorCode(code)}.`)
      } catch (error) {
        signal.throwIfAborted()
        if (!isRetryable(error)) throw error
        failure = error
      }
    }
    throw failure
  }
}
