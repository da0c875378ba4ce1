import { AuthError, ConfigError, ConnectionError, DecodeError, type TidemarkError, UnsupportedError } from '../../../src/core/errors.ts'

/**
 * What a reader does about an error code of the broker (kafka-clients' `Errors` and `FetchCollector`):
 * - `refresh`: somebody else leads, or the topic moved: ask for metadata anew, then try again
 * - `retry`: the broker is not ready or behind: wait, try again
 * - `unknown-topic`: as `refresh`, but not for ever, since the topic may be gone
 * - `out-of-range`: compare with the log's ends, it may be data loss
 * - `reconnect`: once more over a fresh connection, then give up
 * - `fatal`: no try will help
 */
export type Reaction = 'refresh' | 'retry' | 'unknown-topic' | 'out-of-range' | 'reconnect' | 'fatal'

type KnownError = { readonly name: string; readonly reaction: Reaction; readonly make?: (what: string) => TidemarkError }

const denied = (right: string) => (what: string) =>
  new AuthError(`${what}: not allowed (${right}). Grant the user Describe and Read on the topic, and Describe on the group it names.`)

const KNOWN = new Map<number, KnownError>([
  [-1, { name: 'UNKNOWN_SERVER_ERROR', reaction: 'retry' }],
  [1, { name: 'OFFSET_OUT_OF_RANGE', reaction: 'out-of-range' }],
  [
    2,
    {
      name: 'CORRUPT_MESSAGE',
      reaction: 'reconnect',
      make: what => new DecodeError(`${what}: the broker says the records are corrupt (CORRUPT_MESSAGE).`),
    },
  ],
  [3, { name: 'UNKNOWN_TOPIC_OR_PARTITION', reaction: 'unknown-topic' }],
  [5, { name: 'LEADER_NOT_AVAILABLE', reaction: 'refresh' }],
  [6, { name: 'NOT_LEADER_OR_FOLLOWER', reaction: 'refresh' }],
  [7, { name: 'REQUEST_TIMED_OUT', reaction: 'retry' }],
  [8, { name: 'BROKER_NOT_AVAILABLE', reaction: 'refresh' }],
  [9, { name: 'REPLICA_NOT_AVAILABLE', reaction: 'refresh' }],
  [13, { name: 'NETWORK_EXCEPTION', reaction: 'retry' }],
  [14, { name: 'COORDINATOR_LOAD_IN_PROGRESS', reaction: 'retry' }],
  [15, { name: 'COORDINATOR_NOT_AVAILABLE', reaction: 'retry' }],
  [16, { name: 'NOT_COORDINATOR', reaction: 'refresh' }],
  [
    17,
    {
      name: 'INVALID_TOPIC_EXCEPTION',
      reaction: 'fatal',
      make: what => new ConfigError(`${what}: that is no name a topic can have (letters, digits, ".", "_" and "-", at most 249).`),
    },
  ],
  [24, { name: 'INVALID_GROUP_ID', reaction: 'fatal', make: what => new ConfigError(`${what}: that is no name a group can have.`) }],
  [29, { name: 'TOPIC_AUTHORIZATION_FAILED', reaction: 'fatal', make: denied('TOPIC_AUTHORIZATION_FAILED') }],
  [30, { name: 'GROUP_AUTHORIZATION_FAILED', reaction: 'fatal', make: denied('GROUP_AUTHORIZATION_FAILED') }],
  [31, { name: 'CLUSTER_AUTHORIZATION_FAILED', reaction: 'fatal', make: denied('CLUSTER_AUTHORIZATION_FAILED') }],
  [
    35,
    {
      name: 'UNSUPPORTED_VERSION',
      reaction: 'reconnect',
      make: what => new UnsupportedError(`${what}: the broker refuses the version that it said it speaks (UNSUPPORTED_VERSION).`),
    },
  ],
  [43, { name: 'UNSUPPORTED_FOR_MESSAGE_FORMAT', reaction: 'fatal' }],
  [56, { name: 'KAFKA_STORAGE_ERROR', reaction: 'refresh' }],
  [74, { name: 'FENCED_LEADER_EPOCH', reaction: 'refresh' }],
  [75, { name: 'UNKNOWN_LEADER_EPOCH', reaction: 'retry' }],
  [
    76,
    {
      name: 'UNSUPPORTED_COMPRESSION_TYPE',
      reaction: 'fatal',
      make: what =>
        new UnsupportedError(
          `${what}: the broker is too old to send zstd (it needs Kafka 2.1). Upgrade it, or change the topic's compression.type.`,
        ),
    },
  ],
  [78, { name: 'OFFSET_NOT_AVAILABLE', reaction: 'retry' }],
  [87, { name: 'INVALID_RECORD', reaction: 'fatal' }],
  [88, { name: 'UNSTABLE_OFFSET_COMMIT', reaction: 'retry' }],
  [89, { name: 'THROTTLING_QUOTA_EXCEEDED', reaction: 'retry' }],
  [100, { name: 'UNKNOWN_TOPIC_ID', reaction: 'unknown-topic' }],
  [103, { name: 'INCONSISTENT_TOPIC_ID', reaction: 'unknown-topic' }],
  [109, { name: 'OFFSET_MOVED_TO_TIERED_STORAGE', reaction: 'retry' }],
])

export function reactionTo(code: number): Reaction {
  return KNOWN.get(code)?.reaction ?? 'fatal'
}

/** `NOT_LEADER_OR_FOLLOWER (6)`. */
export function showErrorCode(code: number): string {
  return `${KNOWN.get(code)?.name ?? 'error'} (${code})`
}

/** The error for a code, once nothing more is tried. `what` says what was asked, such as `Fetch of orders/3 at 120`. */
export function errorOfCode(code: number, what: string): TidemarkError {
  const known = KNOWN.get(code)
  if (known?.make !== undefined) return known.make(what)
  const message = `${what}: the broker answered ${showErrorCode(code)}.`
  if (known === undefined || known.reaction === 'fatal') return new UnsupportedError(message, { details: { code } })
  return new ConnectionError(message, { details: { code } })
}
