import { errorMessage, isRetryable, isTidemarkError, TimeoutError } from '../../../src/core/errors.ts'
import type { Isolation } from '../../../src/core/source.ts'
import { comparePartitions, type PartitionOffset, partitionKey, showPartition, type TopicPartition } from '../../../src/core/values.ts'
import type { ListOffsetsPartition, ListOffsetsResponse } from '../protocol/list-offsets.ts'
import { backOff } from './back-off.ts'
import { LIST_OFFSETS_CALL, REQUEST_TIMEOUT_MS } from './calls.ts'
import type { ConnectionPool } from './connection-pool.ts'
import { errorOfCode, reactionTo, showErrorCode } from './kafka-errors.ts'
import type { ClusterView, MetadataCache } from './metadata-cache.ts'

const UNKNOWN = -1

/** An offset as the broker answered it: −1 where a time was asked for that no record reaches. */
export type ListedOffset = PartitionOffset

/** What the offsets of a partition are asked of. */
export type Cluster = { readonly pool: ConnectionPool; readonly metadata: MetadataCache }

type Outcome = {
  readonly found: ListedOffset[]
  readonly again: { readonly at: TopicPartition; readonly why: string }[]
  needsRefresh: boolean
}

/**
 * Asks the leaders for the offsets of partitions: one request a broker, all at once. Partitions whose leader is moving or has gone are asked
 * again until the deadline; the others wait for them. Where no broker at all is left, the cluster's metadata says so at once.
 *
 * `timestamp` is in milliseconds, or one of `LIST_OFFSETS_AT`. @throws TimeoutError (retryable) naming the partition that had no leader
 */
export async function listOffsets(
  cluster: Cluster,
  partitions: readonly TopicPartition[],
  { timestamp, isolation, signal }: { readonly timestamp: number; readonly isolation: Isolation; readonly signal: AbortSignal },
): Promise<ListedOffset[]> {
  const found: ListedOffset[] = []
  const deadline = performance.now() + REQUEST_TIMEOUT_MS
  let open: readonly TopicPartition[] = partitions
  for (let tries = 0; open.length > 0; tries++) {
    const view = await cluster.metadata.view(signal)
    const outcome: Outcome = { found, again: [], needsRefresh: false }
    const byLeader = groupByLeader(view, open, outcome)
    await Promise.all(
      Array.from(byLeader, ([leaderId, own]) => askLeader(cluster, view, leaderId, own, timestamp, isolation, signal, outcome)),
    )
    open = outcome.again.map(({ at }) => at)
    if (open.length === 0) break
    if (performance.now() > deadline) {
      const { at, why } = outcome.again[0] as Outcome['again'][number]
      throw new TimeoutError(`${showPartition(at)} gave no offset for ${REQUEST_TIMEOUT_MS} ms: ${why}`)
    }
    if (outcome.needsRefresh) cluster.metadata.markStale()
    await backOff(tries, signal)
  }
  return found.sort(comparePartitions)
}

function groupByLeader(view: ClusterView, partitions: readonly TopicPartition[], outcome: Outcome): Map<number, TopicPartition[]> {
  const byLeader = new Map<number, TopicPartition[]>()
  for (const at of partitions) {
    const leaderId = view.topics.get(at.topic)?.leaders.get(at.partition)?.leaderId ?? UNKNOWN
    if (!view.brokers.has(leaderId)) {
      outcome.again.push({ at, why: 'it has no leader.' })
      outcome.needsRefresh = true
      continue
    }
    const own = byLeader.get(leaderId)
    if (own === undefined) byLeader.set(leaderId, [at])
    else own.push(at)
  }
  return byLeader
}

async function askLeader(
  { pool }: Cluster,
  view: ClusterView,
  leaderId: number,
  partitions: readonly TopicPartition[],
  timestamp: number,
  isolation: Isolation,
  signal: AbortSignal,
  outcome: Outcome,
): Promise<void> {
  const byTopic = Map.groupBy(partitions, at => at.topic)
  const request = {
    isolationLevel: isolation === 'read_committed' ? 1 : 0,
    topics: Array.from(byTopic, ([name, own]) => ({
      name,
      partitions: own.map(({ partition }) => ({
        partitionIndex: partition,
        currentLeaderEpoch: view.topics.get(name)?.leaders.get(partition)?.leaderEpoch ?? UNKNOWN,
        timestamp,
      })),
    })),
    timeoutMs: REQUEST_TIMEOUT_MS,
  } as const
  const options = { timeoutMs: REQUEST_TIMEOUT_MS, signal }
  let response: ListOffsetsResponse
  try {
    response = await pool.with(view.brokers.get(leaderId), signal, client => client.call(LIST_OFFSETS_CALL, request, options))
  } catch (error) {
    signal.throwIfAborted()
    // A broker that went away takes its leaderships with it, and until the metadata is asked anew every call would run into it.
    if (!isRetryable(error) || isTidemarkError(error, 'DECODE')) throw error
    outcome.needsRefresh = true
    for (const at of partitions) outcome.again.push({ at, why: errorMessage(error) })
    return
  }
  const answers = new Map<string, ListOffsetsPartition>()
  for (const { name, partitions: listed } of response.topics) {
    for (const answer of listed) answers.set(partitionKey({ topic: name, partition: answer.partitionIndex }), answer)
  }
  for (const at of partitions) {
    const answer = answers.get(partitionKey(at))
    if (answer === undefined) outcome.again.push({ at, why: 'the leader left it out of its answer.' })
    else if (answer.errorCode === 0) outcome.found.push(listed(view, at, answer))
    else judge(at, answer, outcome)
  }
}

function listed(view: ClusterView, at: TopicPartition, { offset, leaderEpoch }: ListOffsetsPartition): ListedOffset {
  const topicId = view.topics.get(at.topic)?.topicId
  const { topic, partition } = at
  return { topic, partition, offset, ...(topicId !== undefined && { topicId }), ...(leaderEpoch !== UNKNOWN && { leaderEpoch }) }
}

function judge(at: TopicPartition, { errorCode }: ListOffsetsPartition, outcome: Outcome): void {
  const UNSUPPORTED_FOR_MESSAGE_FORMAT = 43
  // Segments of before timestamps were indexed: as if no record reached the time.
  if (errorCode === UNSUPPORTED_FOR_MESSAGE_FORMAT) {
    outcome.found.push({ topic: at.topic, partition: at.partition, offset: UNKNOWN })
    return
  }
  const reaction = reactionTo(errorCode)
  if (reaction === 'fatal' || reaction === 'out-of-range') throw errorOfCode(errorCode, `ListOffsets of ${showPartition(at)}`)
  if (reaction !== 'retry') outcome.needsRefresh = true
  outcome.again.push({ at, why: `the broker answered ${showErrorCode(errorCode)}.` })
}
