import type { Isolation } from '../../../src/core/source.ts'
import { type OffsetRange, partitionKey } from '../../../src/core/values.ts'
import { FETCH_CALL, REQUEST_TIMEOUT_MS } from '../cluster/calls.ts'
import type { Cluster } from '../cluster/list-offsets.ts'
import type { ClusterView } from '../cluster/metadata-cache.ts'
import { FETCH_BY_TOPIC_ID, type FetchPartition, type FetchResponse } from '../protocol/fetch.ts'
import type { ByteBudget } from './byte-budget.ts'
import type { FetchSizes } from './fetch-sizes.ts'

/** Ranges that are expected to weigh more are fetched alone: a broker serves only the first partition of a fetch from tiered storage. */
const MAX_SHARED_RANGE_BYTES = 262_144
/** What an offset is taken to weigh while nobody knows. */
const UNKNOWN_BYTES_PER_OFFSET = 1_024
/** Partitions of one request: as many as give it a weight that is worth a round trip. */
const MAX_PARTITIONS = 128
const UNKNOWN = -1

/** What shared fetches need of a session. */
export type SharedFetchParts = Cluster & { readonly budget: ByteBudget; readonly sizes: FetchSizes }

type Held = { readonly answer: Promise<FetchPartition | undefined>; bytes: number }

/**
 * Fetches small ranges of one leader by one request, ahead of the reads that will want them: a thousand partitions with a hundred records each
 * would cost a thousand round trips otherwise. Only a head start: a range whose answer is empty, failed or cut short is read on by its own
 * fetches, and what nobody asks for is dropped when the next are fetched.
 */
export class SharedFetches {
  readonly #session: SharedFetchParts
  readonly #held = new Map<string, Held>()

  constructor(session: SharedFetchParts) {
    this.#session = session
  }

  /** Begins to fetch those of the ranges that are small and not on their way, as far as the byte budget has room. */
  prefetch(ranges: readonly OffsetRange[], isolation: Isolation, signal: AbortSignal): void {
    const wanted = new Set(ranges.map(range => keyOf(range, isolation)))
    for (const key of this.#held.keys()) if (!wanted.has(key)) this.#drop(key)
    const view = this.#session.metadata.known
    if (view === undefined) return
    const small = ranges.filter(range => !this.#held.has(keyOf(range, isolation)) && this.#bytesOf(range) <= MAX_SHARED_RANGE_BYTES)
    const byLeader = Map.groupBy(small, range => leaderOf(view, range))
    byLeader.delete(UNKNOWN)
    for (const [leaderId, own] of byLeader) {
      for (let first = 0; first < own.length; first += MAX_PARTITIONS) {
        if (!this.#fetch(view, leaderId, own.slice(first, first + MAX_PARTITIONS), isolation, signal)) return
      }
    }
  }

  /** The answer that was fetched for the range, once; undefined where there is none or it brought nothing. Its bytes are the caller's to give back. */
  async take(range: OffsetRange, isolation: Isolation): Promise<FetchPartition | undefined> {
    const key = keyOf(range, isolation)
    const held = this.#held.get(key)
    if (held === undefined) return undefined
    const answer = await held.answer
    // Dropped meanwhile, with its bytes.
    if (!this.#held.delete(key)) return undefined
    if (answer === undefined) this.#session.budget.give(held.bytes)
    return answer
  }

  clear(): void {
    for (const key of this.#held.keys()) this.#drop(key)
  }

  /** Whether there was room. */
  #fetch(view: ClusterView, leaderId: number, ranges: readonly OffsetRange[], isolation: Isolation, signal: AbortSignal): boolean {
    const { budget } = this.#session
    const bytes = ranges.map(range => this.#bytesOf(range))
    const total = bytes.reduce((sum, own) => sum + own, 0)
    if (this.#heldBytes() + total > budget.halfBytes || !budget.tryTake(total)) return false
    const response = this.#ask(view, leaderId, ranges, bytes, isolation, signal)
    ranges.forEach((range, at) => {
      const held: Held = {
        bytes: bytes[at] ?? 0,
        answer: response.then(
          answers => this.#answerOf(answers, view, range, held),
          () => undefined,
        ),
      }
      this.#held.set(keyOf(range, isolation), held)
    })
    return true
  }

  #answerOf(answers: FetchResponse, view: ClusterView, range: OffsetRange, held: Held): FetchPartition | undefined {
    const topicId = view.topics.get(range.topic)?.topicId
    const topic = answers.responses.find(found => (found.topicId === undefined ? found.topic === range.topic : found.topicId === topicId))
    const answer = topic?.partitions.find(found => found.partitionIndex === range.partition)
    if (answer === undefined || answer.errorCode !== 0 || answer.divergingEpoch !== undefined || answer.records.length === 0)
      return undefined
    this.#session.budget.give(held.bytes - answer.records.length)
    held.bytes = answer.records.length
    return answer
  }

  async #ask(
    view: ClusterView,
    leaderId: number,
    ranges: readonly OffsetRange[],
    bytes: readonly number[],
    isolation: Isolation,
    signal: AbortSignal,
  ): Promise<FetchResponse> {
    const sizes = new Map(ranges.map((range, at) => [partitionKey(range), bytes[at] ?? 0]))
    const byTopic = Map.groupBy(ranges, range => range.topic)
    const topics = Array.from(byTopic, ([topic, own]) => ({
      topic,
      topicId: view.topics.get(topic)?.topicId,
      partitions: own.map(range => ({
        partition: range.partition,
        currentLeaderEpoch: view.topics.get(topic)?.leaders.get(range.partition)?.leaderEpoch ?? UNKNOWN,
        fetchOffset: range.fromOffset,
        lastFetchedEpoch: UNKNOWN,
        partitionMaxBytes: sizes.get(partitionKey(range)) ?? 0,
      })),
    }))
    const maxBytes = bytes.reduce((sum, own) => sum + own, 0)
    const isolationLevel = isolation === 'read_committed' ? 1 : 0
    const request = { maxWaitMs: 0, minBytes: 0, maxBytes, isolationLevel, topics, rackId: '' } as const
    const maxVersion = topics.some(({ topicId }) => topicId === undefined) ? { maxVersion: FETCH_BY_TOPIC_ID - 1 } : {}
    return this.#session.pool.with(view.brokers.get(leaderId), signal, client =>
      client.call(FETCH_CALL, request, { timeoutMs: REQUEST_TIMEOUT_MS, signal, ...maxVersion }),
    )
  }

  #heldBytes(): number {
    let sum = 0
    for (const { bytes } of this.#held.values()) sum += bytes
    return sum
  }

  #bytesOf(range: OffsetRange): number {
    return (
      this.#session.sizes.estimate(range, range.untilOffset - range.fromOffset) ??
      (range.untilOffset - range.fromOffset) * UNKNOWN_BYTES_PER_OFFSET
    )
  }

  #drop(key: string): void {
    const held = this.#held.get(key)
    if (held === undefined) return
    this.#held.delete(key)
    // Its bytes are held until they are here and can go.
    held.answer.then(() => this.#session.budget.give(held.bytes))
  }
}

function keyOf(range: OffsetRange, isolation: Isolation): string {
  return `${isolation}:${range.fromOffset}:${range.untilOffset}:${partitionKey(range)}`
}

/** The leader to ask, or −1 where a range must be looked at by itself: no leader, another topic, or an election since it was planned. */
function leaderOf(view: ClusterView, range: OffsetRange): number {
  const topic = view.topics.get(range.topic)
  const leader = topic?.leaders.get(range.partition)
  if (leader === undefined || !view.brokers.has(leader.leaderId)) return UNKNOWN
  if (range.topicId !== undefined && topic?.topicId !== undefined && range.topicId !== topic.topicId) return UNKNOWN
  if (range.leaderEpoch !== undefined && leader.leaderEpoch !== range.leaderEpoch) return UNKNOWN
  return leader.leaderId
}
