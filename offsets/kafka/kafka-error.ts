import {
  AuthError,
  ConfigError,
  ConnectionError,
  errorMessage,
  isTidemarkError,
  type TidemarkError,
  UnsupportedError,
} from '../../src/core/errors.ts'
import { explainConnectError } from '../../src/util/kafka-connect-error.ts'

/** Codes that kafkajs has no name for come as `Unknown error code 90`. */
const UNNAMED = /^Unknown error code (-?\d+)$/

export const UNKNOWN_TOPIC_OR_PARTITION = 3
export const OFFSET_OUT_OF_RANGE = 1
export const TOPIC_ALREADY_EXISTS = 36
export const CONCURRENT_TRANSACTIONS = 51
export const TRANSACTIONAL_ID_AUTHORIZATION_FAILED = 53
export const TRANSACTIONAL_ID_NOT_FOUND = 105

/** Somebody else leads, coordinates or is just about to: ask again, and ask who. */
const MOVED = new Set([3, 5, 6, 7, 8, 9, 13, 14, 15, 16, 56, 78, 19, 20])

/** What a broker answers a producer session that is over: fenced by a newer one, forgotten, or aborted by the coordinator. */
const ENDED_SESSION = new Set([45, 46, 47, 48, 49, 59, 90, 120])

/** Kafka's error code, also of an error that was explained; undefined for what no broker said. */
export function errorCodeOf(error: unknown): number | undefined {
  if (isTidemarkError(error)) return typeof error.details.code === 'number' ? error.details.code : undefined
  const { name, code, message, errors } = (error ?? {}) as { name?: string; code?: unknown; message?: string; errors?: readonly unknown[] }
  if (Array.isArray(errors)) return errors.map(errorCodeOf).find(inner => inner !== undefined)
  const unnamed = UNNAMED.exec(message ?? '')?.[1]
  if (unnamed !== undefined) return Number(unnamed)
  return typeof code === 'number' && /Protocol|Topic|OffsetOutOfRange/.test(name ?? '') ? code : undefined
}

/** Throws what a broker's code in an answer to a request of our own says, in the shape of kafkajs' errors, so that all are told apart in one place. */
export function throwIfRefused(code: number): void {
  if (code === 0) return
  throw Object.assign(new Error(`Unknown error code ${code}`), { name: 'KafkaJSProtocolError', code })
}

/** Whether it says that a producer session is over. Who is in its place is in the topic, and only there. */
export function isSessionOver(error: unknown): boolean {
  return ENDED_SESSION.has(errorCodeOf(error) ?? 0)
}

/** Whether a coordinator or leader is elsewhere or not ready yet. */
export function hasMoved(error: unknown): boolean {
  return MOVED.has(errorCodeOf(error) ?? 0)
}

/** Whether no broker answered: the connections are not to be trusted any more. */
export function isConnectionLost(error: unknown): boolean {
  return isOfKafkajs(error) && errorCodeOf(error) === undefined && !/SASL/.test(nameOf(error))
}

/**
 * What an error of kafkajs or of a broker means; one of neither comes back as it is. `what` says what was done (`Kafka offsets in
 * tidemark-offsets`), `where` at which brokers.
 */
export function explainKafkaError(cause: unknown, what: string, where: string): unknown {
  if (isTidemarkError(cause) || !isOfKafkajs(cause)) return cause
  const code = errorCodeOf(cause)
  return code === undefined ? explainConnection(cause, where) : explainCode(code, cause, what)
}

function explainCode(code: number, cause: unknown, what: string): TidemarkError {
  const options = { cause, details: { code } }
  const said = `${what}: the broker says: ${errorMessage(cause)} (error ${code}).`
  switch (code) {
    case 29:
      return new AuthError(
        `${said} Grant the user Describe, DescribeConfigs, Read and Write on the topic, and Create for the first start.`,
        options,
      )
    case 30:
      return new AuthError(`${said} Grant the user Read on the group, or leave out the option group.`, options)
    case 31:
      return new AuthError(`${said} Grant the user what it needs on the cluster.`, options)
    case 53:
      return new AuthError(`${said} Grant the user Describe and Write on transactional ids with the prefix tidemark-offsets-.`, options)
    case 10:
    case 18:
      return new ConfigError(`${said} Raise the topic's max.message.bytes to 1048588, Kafka's default, or more.`, options)
    case 33:
    case 35:
    case 42:
    case 43:
    case 76:
      return new UnsupportedError(`${said} Kafka 2.1 or newer is needed.`, options)
    case 17:
    case 37:
    case 38:
    case 40:
    case 44:
    case 50:
      return new ConfigError(said, options)
    default:
      return new ConnectionError(said, options)
  }
}

function explainConnection(cause: unknown, where: string): TidemarkError {
  const { broker } = (cause ?? {}) as { broker?: unknown }
  return explainConnectError(cause, { address: typeof broker === 'string' ? broker : where })
}

function isOfKafkajs(error: unknown): boolean {
  return error instanceof Error && (error.name.startsWith('KafkaJS') || 'syscall' in error)
}

function nameOf(error: unknown): string {
  return error instanceof Error ? error.name : ''
}
