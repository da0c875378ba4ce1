import type { Isolation } from '../../../src/core/source.ts'
import { type OffsetRange, partitionKey } from '../../../src/core/values.ts'
import { untilAborted } from '../../../src/util/until-aborted.ts'
import { REQUEST_TIMEOUT_MS } from '../cluster/calls.ts'
import type { Cluster } from '../cluster/list-offsets.ts'
import type { ClusterView } from '../cluster/metadata-cache.ts'
import { sendFetch } from '../cluster/send-fetch.ts'
import type { FetchPartition, FetchResponse } from '../protocol/fetch.ts'
import { scanBatches } from '../record-batch/scan-batches.ts'
import type { ByteBudget } from './byte-budget.ts'
import type { FetchSizes } from './fetch-sizes.ts'

/** Ranges that are expected to weigh more are fetched alone: a broker serves only the first partition of a fetch from tiered storage. */
const MAX_SHARED_RANGE_BYTES = 262_144
/** What an offset is taken to weigh while nobody knows. */
const UNKNOWN_BYTES_PER_OFFSET = 1_024
/** Partitions of one request: as many as give it a weight that is worth a round trip. */
const MAX_PARTITIONS = 128
/** Ranges held ahead of their reads; more are fetched when half of them have been read. */
const MAX_HELD = 512
const UNKNOWN = -1

/** What shared fetches need of a session. */
export type SharedFetchParts = Cluster & { readonly budget: ByteBudget; readonly sizes: FetchSizes }

/** Ranges that were handed over together: they are dropped together. */
type Wave = { readonly isolation: Isolation; readonly signal: AbortSignal }

/** A range that will be read. Until it is fetched it has no answer and no bytes. */
type Ahead = {
  readonly key: string
  readonly range: OffsetRange
  readonly wave: Wave
  bytes: number
  answer: Promise<FetchPartition | undefined> | undefined
  /** Its bytes are given back when the answer is here, for until then they may still come. */
  isDropped: boolean
  hasArrived: boolean
}

/**
 * Fetches small ranges of one leader by one request, ahead of the reads that will want them: a thousand partitions with a hundred records each
 * would cost a thousand round trips otherwise. Only a head start: a range whose answer is empty, failed or cut short is read on by its own
 * fetches.
 *
 * What is held ahead stays within half of the byte budget, also where answers are larger than was thought. A read that has begun and waits for
 * its bytes would otherwise wait for ranges that are read after it, and those for its slot.
 */
export class SharedFetches {
  readonly #session: SharedFetchParts
  readonly #byKey = new Map<string, Ahead>()
  /** Those not asked for yet, in the order they will be read. */
  readonly #wanted = new Set<Ahead>()
  /** Those asked for and not taken by their reads. */
  readonly #held = new Set<Ahead>()
  #heldBytes = 0

  constructor(session: SharedFetchParts) {
    this.#session = session
  }

  /** Hands over ranges in the order they will be read. What is not read when the signal aborts is dropped. */
  prefetch(ranges: readonly OffsetRange[], isolation: Isolation, signal: AbortSignal): void {
    if (signal.aborted || ranges.length === 0) return
    const wave = { isolation, signal }
    const all: Ahead[] = []
    const partitions = new Set<string>()
    for (const range of ranges) {
      const key = keyOf(range, isolation)
      // A request names a partition once. With two slices of one in it, the broker answers one of them and both would take that answer for theirs: the
      // records of the first slice are then passed over without a word. Those behind the first are fetched by their own reads.
      const partition = partitionKey(range)
      if (partitions.has(partition)) continue
      partitions.add(partition)
      if (this.#byKey.has(key)) continue
      const ahead: Ahead = { key, range, wave, bytes: 0, answer: undefined, isDropped: false, hasArrived: false }
      this.#byKey.set(key, ahead)
      this.#wanted.add(ahead)
      all.push(ahead)
    }
    signal.addEventListener(
      'abort',
      () => {
        for (const ahead of all) this.#drop(ahead)
      },
      { once: true },
    )
    this.#fetchMore()
  }

  /**
   * The answer that was fetched for the range, once; undefined where there is none or it brought nothing. Its bytes are the caller's to give
   * back. @throws the signal's reason
   */
  async take(range: OffsetRange, isolation: Isolation, signal: AbortSignal): Promise<FetchPartition | undefined> {
    const ahead = this.#byKey.get(keyOf(range, isolation))
    if (ahead?.answer === undefined) {
      // Its read is here before it was asked for: that fetches by itself now.
      if (ahead !== undefined) this.#drop(ahead)
      return undefined
    }
    // From now on it is this read's, whoever asks next.
    this.#byKey.delete(ahead.key)
    const answer = await untilAborted(ahead.answer, signal).catch(error => {
      this.#drop(ahead)
      throw error
    })
    const isOurs = this.#held.has(ahead)
    this.#leave(ahead)
    this.#fetchMore()
    return isOurs ? answer : undefined
  }

  clear(): void {
    for (const ahead of [...this.#wanted, ...this.#held]) this.#drop(ahead)
  }

  /** Asks for the next ranges when enough of the last have been read, as far as the byte budget has room. */
  #fetchMore(): void {
    const { budget, metadata } = this.#session
    if (this.#wanted.size === 0 || this.#held.size > MAX_HELD / 2 || this.#heldBytes > budget.halfBytes / 2) return
    const view = metadata.known
    if (view === undefined) return
    const next: Ahead[] = []
    let room = budget.halfBytes - this.#heldBytes
    for (const ahead of this.#wanted) {
      if (this.#held.size + next.length >= MAX_HELD) break
      const bytes = this.#bytesOf(ahead.range)
      if (bytes > MAX_SHARED_RANGE_BYTES || leaderOf(view, ahead.range) === UNKNOWN) {
        this.#drop(ahead)
        continue
      }
      if (bytes > room) break
      room -= bytes
      ahead.bytes = bytes
      next.push(ahead)
    }
    for (const [, ofWave] of Map.groupBy(next, ({ wave }) => wave)) {
      for (const [leaderId, own] of Map.groupBy(ofWave, ({ range }) => leaderOf(view, range))) {
        for (let first = 0; first < own.length; first += MAX_PARTITIONS) {
          const some = own.slice(first, first + MAX_PARTITIONS)
          if (!budget.tryTake(some.reduce((sum, { bytes }) => sum + bytes, 0))) return
          this.#fetch(view, leaderId, some)
        }
      }
    }
  }

  #fetch(view: ClusterView, leaderId: number, all: readonly Ahead[]): void {
    const response = this.#ask(view, leaderId, all).then(answersByPartition)
    for (const ahead of all) {
      const { topic, partition } = ahead.range
      const topicId = view.topics.get(topic)?.topicId
      this.#wanted.delete(ahead)
      this.#held.add(ahead)
      this.#heldBytes += ahead.bytes
      ahead.answer = response.then(
        answers => this.#arrive(ahead, answers.get(`${partition}:${topicId ?? topic}`)),
        () => this.#arrive(ahead, undefined),
      )
    }
  }

  /** Settles an answer's bytes: those of the records from here on, or none where there is nothing to begin with. */
  #arrive(ahead: Ahead, answer: FetchPartition | undefined): FetchPartition | undefined {
    const { budget } = this.#session
    ahead.hasArrived = true
    if (ahead.isDropped) {
      budget.give(ahead.bytes)
      return undefined
    }
    const bytes = answer?.records.length ?? 0
    const isUsable = answer !== undefined && isBeginning(answer, ahead.range) && this.#heldBytes - ahead.bytes + bytes <= budget.halfBytes
    const kept = isUsable ? bytes : 0
    this.#heldBytes += kept - ahead.bytes
    const given = ahead.bytes - kept
    ahead.bytes = kept
    budget.give(given)
    // A copy: a view would keep the answers of all the others for as long as this one is held.
    return isUsable ? { ...answer, records: copyOf(answer.records) } : undefined
  }

  async #ask(view: ClusterView, leaderId: number, all: readonly Ahead[]): Promise<FetchResponse> {
    const byTopic = Map.groupBy(all, ({ range }) => range.topic)
    const topics = Array.from(byTopic, ([topic, own]) => ({
      topic,
      topicId: view.topics.get(topic)?.topicId,
      partitions: own.map(({ range, bytes }) => ({
        partition: range.partition,
        currentLeaderEpoch: view.topics.get(topic)?.leaders.get(range.partition)?.leaderEpoch ?? UNKNOWN,
        fetchOffset: range.fromOffset,
        lastFetchedEpoch: UNKNOWN,
        partitionMaxBytes: bytes,
      })),
    }))
    const { isolation, signal } = (all[0] as Ahead).wave
    const maxBytes = all.reduce((sum, { bytes }) => sum + bytes, 0)
    const isolationLevel = isolation === 'read_committed' ? 1 : 0
    const request = { maxWaitMs: 0, minBytes: 0, maxBytes, isolationLevel, topics, rackId: '' } as const
    return this.#session.pool.with(view.brokers.get(leaderId), signal, client =>
      sendFetch(client, request, { timeoutMs: REQUEST_TIMEOUT_MS, signal }),
    )
  }

  #bytesOf(range: OffsetRange): number {
    const offsets = range.untilOffset - range.fromOffset
    return this.#session.sizes.estimate(range, offsets) ?? offsets * UNKNOWN_BYTES_PER_OFFSET
  }

  #drop(ahead: Ahead): void {
    if (this.#byKey.get(ahead.key) === ahead) this.#byKey.delete(ahead.key)
    if (this.#wanted.delete(ahead) || !this.#leave(ahead)) return
    ahead.isDropped = true
    if (ahead.hasArrived) this.#session.budget.give(ahead.bytes)
  }

  /** Whether it was still held. */
  #leave(ahead: Ahead): boolean {
    if (!this.#held.delete(ahead)) return false
    this.#heldBytes -= ahead.bytes
    return true
  }
}

function keyOf(range: OffsetRange, isolation: Isolation): string {
  return `${isolation}:${range.fromOffset}:${range.untilOffset}:${partitionKey(range)}`
}

function answersByPartition({ responses }: FetchResponse): Map<string, FetchPartition> {
  return new Map(
    responses.flatMap(({ topic, topicId, partitions }) =>
      partitions.map(answer => [`${answer.partitionIndex}:${topicId ?? topic}`, answer] as const),
    ),
  )
}

/** Whether an answer brings at least one whole batch of the range: only then has its read somewhere to go on from. */
function isBeginning({ errorCode, divergingEpoch, records }: FetchPartition, { fromOffset }: OffsetRange): boolean {
  return errorCode === 0 && divergingEpoch === undefined && records.length > 0 && scanBatches(records).nextOffset > fromOffset
}

function copyOf(records: Buffer): Buffer {
  const copy = Buffer.allocUnsafeSlow(records.length)
  records.copy(copy)
  return copy
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
