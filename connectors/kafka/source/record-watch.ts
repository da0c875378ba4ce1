import { ConnectionError, isRetryable } from '../../../src/core/errors.ts'
import type { Isolation } from '../../../src/core/source.ts'
import type { PartitionOffset } from '../../../src/core/values.ts'
import { untilAborted } from '../../../src/util/until-aborted.ts'
import { REQUEST_TIMEOUT_MS } from '../cluster/calls.ts'
import type { Cluster } from '../cluster/list-offsets.ts'
import type { ClusterView } from '../cluster/metadata-cache.ts'
import { sendFetch } from '../cluster/send-fetch.ts'
import type { FetchResponse } from '../protocol/fetch.ts'

/** How long a broker holds a fetch back while there is nothing, ms: how often an idle stream asks. */
const MAX_WAIT_MS = 5_000
const UNKNOWN = -1

/**
 * Waits for records by one fetch a broker that is answered when there are some: an idle stream costs a request every five seconds and hears of
 * a record as soon as it is readable. A fetch that is not answered when another broker's was stays on its way, for the next call that waits
 * for the same.
 */
export class RecordWatch {
  readonly #cluster: Cluster
  readonly #isolation: Isolation
  readonly #watches = new Map<string, Promise<PartitionOffset[]>>()
  readonly #closing = new AbortController()

  constructor(cluster: Cluster, isolation: Isolation) {
    this.#cluster = cluster
    this.#isolation = isolation
  }

  /** Resolves to the ends of partitions that reach beyond `from`, or to none after a while or when a leader has moved. */
  async wait(from: readonly PartitionOffset[], signal: AbortSignal): Promise<PartitionOffset[]> {
    const view = await this.#cluster.metadata.view(signal)
    signal.throwIfAborted()
    const byLeader = Map.groupBy(from, at => view.topics.get(at.topic)?.leaders.get(at.partition)?.leaderId ?? UNKNOWN)
    // Whoever leads a partition without a leader is not known yet: the next look at the offsets finds out.
    byLeader.delete(UNKNOWN)
    const waits = Array.from(byLeader, ([leaderId, own]) => this.#watch(view, leaderId, own))
    if (waits.length === 0) {
      this.#cluster.metadata.markStale()
      return []
    }
    return untilAborted(Promise.race(waits), signal)
  }

  close(): void {
    this.#closing.abort(new ConnectionError('the source was closed', { retryable: false }))
  }

  #watch(view: ClusterView, leaderId: number, from: readonly PartitionOffset[]): Promise<PartitionOffset[]> {
    // Several jobs may share a source, each at offsets of its own; what nobody waits for any more ends by itself within seconds.
    const key = [leaderId, ...from.map(at => `${at.partition}:${at.offset}:${at.topic}`)].join('\n')
    const known = this.#watches.get(key)
    if (known !== undefined) return known
    const news = this.#ask(view, leaderId, from, this.#closing.signal).finally(() => this.#watches.delete(key))
    // Whoever waits hears of it; one that ends between two waits has nobody to tell.
    news.catch(() => {})
    this.#watches.set(key, news)
    return news
  }

  async #ask(view: ClusterView, leaderId: number, from: readonly PartitionOffset[], signal: AbortSignal): Promise<PartitionOffset[]> {
    const { pool, metadata } = this.#cluster
    const byTopic = Map.groupBy(from, at => at.topic)
    const topics = Array.from(byTopic, ([topic, own]) => ({
      topic,
      topicId: view.topics.get(topic)?.topicId,
      partitions: own.map(({ partition, offset }) => ({
        partition,
        currentLeaderEpoch: view.topics.get(topic)?.leaders.get(partition)?.leaderEpoch ?? UNKNOWN,
        fetchOffset: offset,
        lastFetchedEpoch: UNKNOWN,
        // The records are fetched by whoever runs the task; here it is enough to hear of them.
        partitionMaxBytes: 1,
      })),
    }))
    const isolationLevel = this.#isolation === 'read_committed' ? 1 : 0
    const request = { maxWaitMs: MAX_WAIT_MS, minBytes: 1, maxBytes: 1, isolationLevel, topics, rackId: '' } as const
    try {
      const response = await pool.with(view.brokers.get(leaderId), signal, client =>
        sendFetch(client, request, { timeoutMs: MAX_WAIT_MS + REQUEST_TIMEOUT_MS, signal }),
      )
      return this.#news(view, from, response)
    } catch (error) {
      if (isRetryable(error)) metadata.markStale()
      throw error
    }
  }

  #news(view: ClusterView, from: readonly PartitionOffset[], response: FetchResponse): PartitionOffset[] {
    const topicOf = new Map(Array.from(view.topics, ([name, { topicId }]) => [topicId, name]))
    const ends = new Map<string, PartitionOffset>()
    if (response.errorCode !== 0) this.#cluster.metadata.markStale()
    for (const { topic = '', topicId, partitions } of response.responses) {
      const name = topicId === undefined ? topic : topicOf.get(topicId)
      const topicView = name === undefined ? undefined : view.topics.get(name)
      if (name === undefined || topicView === undefined) continue
      for (const { partitionIndex: partition, errorCode, highWatermark, lastStableOffset } of partitions) {
        if (errorCode !== 0) {
          this.#cluster.metadata.markStale()
          continue
        }
        const offset = this.#isolation === 'read_committed' && lastStableOffset >= 0 ? lastStableOffset : highWatermark
        const leaderEpoch = topicView.leaders.get(partition)?.leaderEpoch
        const id = topicView.topicId
        ends.set(`${partition}:${name}`, {
          topic: name,
          partition,
          offset,
          ...(id !== undefined && { topicId: id }),
          ...(leaderEpoch !== undefined && { leaderEpoch }),
        })
      }
    }
    return from.flatMap(at => {
      const end = ends.get(`${at.partition}:${at.topic}`)
      return end !== undefined && end.offset > at.offset ? [end] : []
    })
  }
}
