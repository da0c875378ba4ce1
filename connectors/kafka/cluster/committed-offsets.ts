import { errorMessage, isRetryable, isTidemarkError, TimeoutError } from '../../../src/core/errors.ts'
import { comparePartitions, type PartitionOffset, showPartition, type TopicPartition } from '../../../src/core/values.ts'
import type { BrokerAddress } from '../transport/kafka-transport.ts'
import { backOff } from './back-off.ts'
import { FIND_COORDINATOR_CALL, OFFSET_FETCH_CALL, REQUEST_TIMEOUT_MS } from './calls.ts'
import { errorOfCode, reactionTo, showErrorCode } from './kafka-errors.ts'
import type { Cluster } from './list-offsets.ts'
import type { ClusterView } from './metadata-cache.ts'

/** An answer, or why there was none and another try may get one. */
export type Attempt<T> = { readonly found: T } | { readonly why: string }

/**
 * What a consumer group has committed for partitions, as the broker that coordinates it tells; partitions it has nothing for are left out.
 * Offsets that a transaction is about to move are waited for, as Java's consumer does (KIP-447).
 *
 * @throws AuthError where the group may not be described, TimeoutError (retryable) where no coordinator answers
 */
export async function committedOffsets(
  cluster: Cluster,
  group: string,
  partitions: readonly TopicPartition[],
  signal: AbortSignal,
): Promise<PartitionOffset[]> {
  const view = await cluster.metadata.view(signal)
  const deadline = performance.now() + REQUEST_TIMEOUT_MS
  for (let tries = 0; ; tries++) {
    const attempt = await tryOnce(cluster, view, group, partitions, signal)
    if ('found' in attempt) return attempt.found.sort(comparePartitions)
    if (performance.now() > deadline) {
      throw new TimeoutError(`The offsets of group ${group} were not told for ${REQUEST_TIMEOUT_MS} ms: ${attempt.why}`)
    }
    await backOff(tries, signal)
  }
}

async function tryOnce(
  cluster: Cluster,
  view: ClusterView,
  group: string,
  partitions: readonly TopicPartition[],
  signal: AbortSignal,
): Promise<Attempt<PartitionOffset[]>> {
  const coordinator = await findCoordinator(cluster, view, group, signal)
  if ('why' in coordinator) return coordinator
  try {
    return await fetchOffsets(cluster, view, coordinator.found, group, partitions, signal)
  } catch (error) {
    signal.throwIfAborted()
    // The coordinator went away; another broker takes the group over.
    if (!isRetryable(error) || isTidemarkError(error, 'DECODE')) throw error
    return { why: errorMessage(error) }
  }
}

/** Any broker knows. One after another is asked, so that a dead one does not hide the others; where none answers, that is the error. */
export async function findCoordinator(
  { pool }: Cluster,
  view: ClusterView,
  group: string,
  signal: AbortSignal,
): Promise<Attempt<BrokerAddress>> {
  let failure: unknown
  for (const address of view.brokers.values()) {
    try {
      const response = await pool.with(address, signal, client =>
        client.call(FIND_COORDINATOR_CALL, { group }, { timeoutMs: REQUEST_TIMEOUT_MS, signal }),
      )
      const [coordinator] = response.coordinators
      if (coordinator === undefined) return { why: 'the broker named no coordinator.' }
      if (coordinator.errorCode === 0) return { found: { host: coordinator.host, port: coordinator.port } }
      return judge(coordinator.errorCode, `FindCoordinator of group ${group}`)
    } catch (error) {
      signal.throwIfAborted()
      if (!isRetryable(error)) throw error
      failure = error
    }
  }
  throw failure
}

async function fetchOffsets(
  { pool }: Cluster,
  view: ClusterView,
  coordinator: BrokerAddress,
  group: string,
  partitions: readonly TopicPartition[],
  signal: AbortSignal,
): Promise<Attempt<PartitionOffset[]>> {
  const byTopic = Map.groupBy(partitions, at => at.topic)
  const topics = Array.from(byTopic, ([name, own]) => ({ name, partitionIndexes: own.map(({ partition }) => partition) }))
  const request = { group, topics, requireStable: true }
  const response = await pool.with(coordinator, signal, client =>
    client.call(OFFSET_FETCH_CALL, request, { timeoutMs: REQUEST_TIMEOUT_MS, signal }),
  )
  if (response.errorCode !== 0) return judge(response.errorCode, `OffsetFetch of group ${group}`)
  const found: PartitionOffset[] = []
  for (const { name: topic, partitions: own } of response.topics) {
    const topicId = view.topics.get(topic)?.topicId
    for (const { partitionIndex: partition, committedOffset: offset, committedLeaderEpoch: leaderEpoch, errorCode } of own) {
      if (errorCode !== 0) return judge(errorCode, `OffsetFetch of group ${group} for ${showPartition({ topic, partition })}`)
      if (offset < 0) continue
      // Kafka forgets a topic's offsets when it is deleted, so what is there belongs to the topic of today.
      found.push({ topic, partition, offset, ...(topicId !== undefined && { topicId }), ...(leaderEpoch >= 0 && { leaderEpoch }) })
    }
  }
  return { found }
}

function judge(errorCode: number, what: string): { readonly why: string } {
  const reaction = reactionTo(errorCode)
  if (reaction === 'retry' || reaction === 'refresh') return { why: `${what} was answered ${showErrorCode(errorCode)}.` }
  throw errorOfCode(errorCode, what)
}
