import { ConfigError, isRetryable } from '../../../src/core/errors.ts'
import { untilAborted } from '../../../src/util/until-aborted.ts'
import type { FetchPartition, NodeEndpoint } from '../protocol/fetch.ts'
import type { MetadataResponse } from '../protocol/metadata.ts'
import type { BrokerAddress } from '../transport/kafka-transport.ts'
import { backOff } from './back-off.ts'
import { METADATA_CALL, REQUEST_TIMEOUT_MS } from './calls.ts'
import type { ConnectionPool } from './connection-pool.ts'
import { errorOfCode, reactionTo } from './kafka-errors.ts'

/** Who leads a partition. */
export type Leader = { readonly leaderId: number; readonly leaderEpoch: number }

export type TopicView = { readonly topicId: string | undefined; readonly leaders: ReadonlyMap<number, Leader> }

/** What a cluster looked like at one time. */
export type ClusterView = {
  readonly brokers: ReadonlyMap<number, BrokerAddress>
  /** Only topics that exist, and of them all partitions. */
  readonly topics: ReadonlyMap<string, TopicView>
}

/** How long a topic that a job names may be unknown before that is believed: a topic just made reaches the brokers one by one. */
const UNKNOWN_TOPIC_MS = 5_000

/**
 * What is known of brokers, topics and leaders, at most `maxAgeMs` old; older, or stale by a broker's own word, it is asked for anew.
 * Many who ask at once share one request.
 */
export class MetadataCache {
  readonly #pool: ConnectionPool
  readonly #topics: readonly string[] | RegExp
  readonly #maxAgeMs: number
  readonly #bootstraps: number
  readonly #closing: AbortSignal
  #view: ClusterView = { brokers: new Map(), topics: new Map() }
  readonly #everSeen = new Set<string>()
  /** Told of and not looked for yet: the first answer without them is no more believed than one that drops what was there. */
  readonly #remembered = new Set<string>()
  #fetchedAt = Number.NEGATIVE_INFINITY
  #refreshing: Promise<ClusterView> | undefined

  constructor(
    pool: ConnectionPool,
    options: {
      readonly topics: readonly string[] | RegExp
      readonly maxAgeMs: number
      readonly bootstraps: number
      readonly closing: AbortSignal
    },
  ) {
    this.#pool = pool
    this.#topics = options.topics
    this.#maxAgeMs = options.maxAgeMs
    this.#bootstraps = options.bootstraps
    this.#closing = options.closing
  }

  /** What is known now, however old; undefined before the first answer. */
  get known(): ClusterView | undefined {
    return this.#view.brokers.size === 0 ? undefined : this.#view
  }

  /** What is known, asked for anew where it is too old. */
  async view(signal: AbortSignal): Promise<ClusterView> {
    signal.throwIfAborted()
    if (performance.now() - this.#fetchedAt < this.#maxAgeMs) return this.#view
    return this.refresh(signal)
  }

  /**
   * Asks the cluster. Named topics that do not exist are waited for a little while, once; then those that were there before are left out, and
   * @throws ConfigError for those that never were; AuthError where describing is not allowed
   */
  async refresh(signal: AbortSignal): Promise<ClusterView> {
    signal.throwIfAborted()
    this.#refreshing ??= this.#fetchComplete().finally(() => {
      this.#refreshing = undefined
    })
    return untilAborted(this.#refreshing, signal)
  }

  /** Topics that were there once, by somebody else's word: where they are missing they were deleted, and their names were never wrong. */
  remember(topics: readonly string[]): void {
    for (const topic of topics) {
      if (this.#everSeen.has(topic)) continue
      this.#everSeen.add(topic)
      this.#remembered.add(topic)
    }
  }

  /** The next view is asked for anew. */
  markStale(): void {
    this.#fetchedAt = Number.NEGATIVE_INFINITY
  }

  /** Takes over a new leader that a fetch response named (KIP-951), so that nothing has to be asked. Returns whether it was news. */
  learnLeader(topic: string, { partitionIndex, currentLeader }: FetchPartition, endpoints: readonly NodeEndpoint[]): boolean {
    const view = this.#view.topics.get(topic)
    const known = view?.leaders.get(partitionIndex)
    if (view === undefined || known === undefined || currentLeader === undefined) return false
    if (currentLeader.leaderId < 0 || currentLeader.leaderEpoch <= known.leaderEpoch) return false
    const brokers = new Map(this.#view.brokers)
    for (const { nodeId, host, port } of endpoints) brokers.set(nodeId, { host, port })
    if (!brokers.has(currentLeader.leaderId)) return false
    const leaders = new Map(view.leaders).set(partitionIndex, currentLeader)
    this.#view = { brokers, topics: new Map(this.#view.topics).set(topic, { ...view, leaders }) }
    return true
  }

  async #fetchComplete(): Promise<ClusterView> {
    const before = this.#view
    const giveUpAt = performance.now() + UNKNOWN_TOPIC_MS
    for (let tries = 0; ; tries++) {
      const response = await this.#fetch()
      const missing = this.#missing(response)
      const neverSeen = missing.filter(topic => !this.#everSeen.has(topic))
      // That a deleted topic is gone was waited out when it went.
      const isNews = neverSeen.length > 0 || missing.some(topic => before.topics.has(topic) || this.#remembered.has(topic))
      if (!isNews || performance.now() > giveUpAt) {
        if (neverSeen.length > 0) throw unknownTopics(neverSeen, this.#pool.name)
        this.#remembered.clear()
        this.#view = this.#toView(response)
        for (const topic of this.#view.topics.keys()) this.#everSeen.add(topic)
        this.#fetchedAt = performance.now()
        return this.#view
      }
      await backOff(tries, this.#closing)
    }
  }

  /** Asks the brokers one after another, those known first, until one answers. */
  async #fetch(): Promise<MetadataResponse> {
    const known = [...this.#view.brokers.values()]
    const candidates: (BrokerAddress | undefined)[] = [...known, ...Array.from({ length: this.#bootstraps }, () => undefined)]
    let failure: unknown
    for (const address of candidates) {
      try {
        return await this.#pool.with(address, this.#closing, client =>
          client.call(
            METADATA_CALL,
            { topics: this.#topics instanceof RegExp ? null : this.#topics },
            { timeoutMs: REQUEST_TIMEOUT_MS, signal: this.#closing },
          ),
        )
      } catch (error) {
        if (!isRetryable(error)) throw error
        failure = error
      }
    }
    throw failure
  }

  /** Named topics that are not there yet, and what was there and is not: one thin answer of a broker that just started is not believed. */
  #missing(response: MetadataResponse): string[] {
    if (response.errorCode !== 0) throw errorOfCode(response.errorCode, 'Metadata')
    const counts = new Map(response.topics.map(({ name, partitions }) => [name, partitions.length]))
    const missing = Array.from(this.#view.topics).flatMap(([name, { leaders }]) => ((counts.get(name) ?? 0) < leaders.size ? [name] : []))
    for (const name of this.#remembered) if ((counts.get(name) ?? 0) === 0 && !missing.includes(name)) missing.push(name)
    for (const { name, errorCode } of response.topics) {
      if (errorCode === 0 || name === null || this.#topics instanceof RegExp) continue
      const reaction = reactionTo(errorCode)
      if (reaction === 'fatal' || reaction === 'reconnect') throw errorOfCode(errorCode, `Metadata of topic ${name}`)
      if (!missing.includes(name)) missing.push(name)
    }
    return missing
  }

  #toView(response: MetadataResponse): ClusterView {
    const brokers = new Map(response.brokers.map(({ nodeId, host, port }) => [nodeId, { host, port }]))
    const topics = new Map<string, TopicView>()
    for (const { name, errorCode, isInternal, topicId, partitions } of response.topics) {
      if (name === null || errorCode !== 0) continue
      if (this.#topics instanceof RegExp && (isInternal || name.search(this.#topics) < 0)) continue
      const leaders = new Map(partitions.map(({ partitionIndex, leaderId, leaderEpoch }) => [partitionIndex, { leaderId, leaderEpoch }]))
      topics.set(name, { topicId, leaders })
    }
    return { brokers, topics }
  }
}

function unknownTopics(topics: readonly string[], cluster: string): ConfigError {
  const [which, verb] = topics.length === 1 ? [`Topic ${topics[0]}`, 'does'] : [`Topics ${topics.join(', ')}`, 'do']
  return new ConfigError(`${which} ${verb} not exist on ${cluster}. Create it, or mend topics in the job.`, { details: { topics } })
}
