import { AuthError, ConfigError, errorMessage, isRetryable, isTidemarkError, TimeoutError } from '../../../src/core/errors.ts'
import { type PartitionOffset, showPartition, type TopicPartition } from '../../../src/core/values.ts'
import type { BrokerAddress } from '../transport/kafka-transport.ts'
import { backOff } from './back-off.ts'
import { OFFSET_COMMIT_CALL, REQUEST_TIMEOUT_MS } from './calls.ts'
import { type Attempt, findCoordinator } from './committed-offsets.ts'
import { errorOfCode, reactionTo, showErrorCode } from './kafka-errors.ts'
import type { Cluster } from './list-offsets.ts'

const UNKNOWN_TOPIC_OR_PARTITION = 3
const TOPIC_AUTHORIZATION_FAILED = 29
const GROUP_AUTHORIZATION_FAILED = 30

/** What a coordinator answers whoever is no member while others are: by generation, by member, or while they sort themselves out. */
const HAS_MEMBERS = new Set([22, 25, 27, 113])

/** Longer than this nobody waits for something that only tools look at. */
const GIVE_UP_AFTER_MS = 10_000

/**
 * Writes positions into a consumer group as no member of it, so that Kafka's own tools show them and the lag. Partitions that the cluster does not
 * have are left out. A group has no compare-and-set, so nothing may rest on what it holds.
 *
 * @throws ConfigError where the group has members, AuthError where it may not be written, TimeoutError (retryable) where no coordinator takes it
 */
export async function commitOffsets(
  cluster: Cluster,
  group: string,
  positions: readonly PartitionOffset[],
  signal: AbortSignal,
): Promise<void> {
  if (positions.length === 0) return
  const deadline = performance.now() + GIVE_UP_AFTER_MS
  for (let tries = 0; ; tries++) {
    const attempt = await tryOnce(cluster, group, positions, signal)
    if ('found' in attempt) return
    if (performance.now() > deadline) {
      throw new TimeoutError(`Group ${group} took no offsets for ${GIVE_UP_AFTER_MS} ms: ${attempt.why}`)
    }
    await backOff(tries, signal)
  }
}

async function tryOnce(
  cluster: Cluster,
  group: string,
  positions: readonly PartitionOffset[],
  signal: AbortSignal,
): Promise<Attempt<undefined>> {
  try {
    const view = await cluster.metadata.view(signal)
    const coordinator = await findCoordinator(cluster, view, group, signal)
    return 'why' in coordinator ? coordinator : await send(cluster, coordinator.found, group, positions, signal)
  } catch (error) {
    signal.throwIfAborted()
    if (isTidemarkError(error, 'AUTH') && error.message.includes('GROUP_AUTHORIZATION_FAILED')) throw mayNotWrite(group, error)
    // The coordinator went away; another broker takes the group over.
    if (!isRetryable(error) || isTidemarkError(error, 'DECODE')) throw error
    return { why: errorMessage(error) }
  }
}

async function send(
  { pool }: Cluster,
  coordinator: BrokerAddress,
  group: string,
  positions: readonly PartitionOffset[],
  signal: AbortSignal,
): Promise<Attempt<undefined>> {
  const byTopic = Map.groupBy(positions, ({ topic }) => topic)
  const topics = Array.from(byTopic, ([name, own]) => ({
    name,
    partitions: own.map(({ partition, offset, leaderEpoch = -1 }) => ({ partitionIndex: partition, offset, leaderEpoch })),
  }))
  const response = await pool.with(coordinator, signal, client =>
    client.call(OFFSET_COMMIT_CALL, { group, topics }, { timeoutMs: REQUEST_TIMEOUT_MS, signal }),
  )
  const answers = response.topics.flatMap(({ name: topic, partitions }) =>
    partitions.map(({ partitionIndex: partition, errorCode }) => ({ topic, partition, errorCode })),
  )
  const refused = answers.find(({ errorCode }) => errorCode !== 0 && errorCode !== UNKNOWN_TOPIC_OR_PARTITION)
  return refused === undefined ? { found: undefined } : judge(refused, group)
}

function judge({ errorCode, ...at }: TopicPartition & { readonly errorCode: number }, group: string): Attempt<undefined> {
  const what = `The offset of ${showPartition(at)} was not committed to group ${group}`
  const details = { group, ...at, code: errorCode }
  if (HAS_MEMBERS.has(errorCode)) {
    throw new ConfigError(
      `${what}: the group has members, and only they may commit. Name a group of the stream's own in alsoCommitToGroup, or stop its consumers.`,
      { details },
    )
  }
  if (errorCode === GROUP_AUTHORIZATION_FAILED) throw mayNotWrite(group)
  if (errorCode === TOPIC_AUTHORIZATION_FAILED) {
    throw new AuthError(`${what}: not allowed (${showErrorCode(errorCode)}). Grant the user Read on the topic.`, { details })
  }
  const reaction = reactionTo(errorCode)
  if (reaction === 'retry' || reaction === 'refresh') return { why: `${what}: the broker answered ${showErrorCode(errorCode)}.` }
  throw errorOfCode(errorCode, what)
}

function mayNotWrite(group: string, cause?: unknown): AuthError {
  return new AuthError(
    `Group ${group} was not told the offsets: not allowed (GROUP_AUTHORIZATION_FAILED). Grant the user Read on the group.`,
    {
      details: { group },
      ...(cause !== undefined && { cause }),
    },
  )
}
