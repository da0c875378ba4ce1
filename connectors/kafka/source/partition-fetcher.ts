import { DataLossError, isRetryable, isTidemarkError, TimeoutError } from '../../../src/core/errors.ts'
import type { Isolation } from '../../../src/core/source.ts'
import { type OffsetRange, showPartition, showRange } from '../../../src/core/values.ts'
import { backOff } from '../cluster/back-off.ts'
import type { BrokerClient } from '../cluster/broker-client.ts'
import { LEADER_EPOCH_CALL, REQUEST_TIMEOUT_MS } from '../cluster/calls.ts'
import { errorOfCode, reactionTo, showErrorCode } from '../cluster/kafka-errors.ts'
import { listOffsets } from '../cluster/list-offsets.ts'
import type { Leader, TopicView } from '../cluster/metadata-cache.ts'
import { sendFetch } from '../cluster/send-fetch.ts'
import type { FetchPartition, FetchResponse } from '../protocol/fetch.ts'
import { LIST_OFFSETS_AT } from '../protocol/list-offsets.ts'
import { type BrokerAddress, showAddress } from '../transport/kafka-transport.ts'
import type { Session } from './session.ts'

/** How long a broker may hold a fetch back while there is nothing, ms. Planned ranges are there, so this is the exception. */
const MAX_WAIT_MS = 500
/** How long a read may go without a single record batch before it is given up, ms; the driver then tries again under a new attempt. */
const NO_PROGRESS_MS = 60_000
/** How often what will not pass by waiting is tried: a corrupt answer once more over a fresh connection, an unknown topic a few times. */
const MAX_RECONNECTS = 1
const MAX_UNKNOWN_TOPIC = 6
const UNKNOWN = -1

/** Where a fetch begins. `lastEpoch` is the leader epoch of the batch before, −1 where it is not known. */
export type FetchPosition = { readonly offset: number; readonly lastEpoch: number; readonly maxBytes: number }

/**
 * Fetches one range's partition from whoever leads it, over a connection of its own. What passes is waited out; what is no answer to this range
 * any more ends in an error: lost data, a topic made again, a right that is missing.
 */
export class PartitionFetcher {
  readonly #session: Session
  #range: OffsetRange
  readonly #isolation: Isolation
  readonly #signal: AbortSignal
  #client: BrokerClient | undefined
  /** The leader epoch for which the range was found to be whole. */
  #validatedEpoch: number
  #isFetching = false
  #needsFresh = false
  #unknownTopic = 0

  constructor(session: Session, range: OffsetRange, isolation: Isolation, signal: AbortSignal) {
    this.#session = session
    this.#range = range
    this.#isolation = isolation
    this.#signal = signal
    this.#validatedEpoch = range.leaderEpoch ?? Number.POSITIVE_INFINITY
  }

  /**
   * Resolves to an answer with at least one batch.
   *
   * @throws DataLossError where records of the range are gone, TimeoutError (retryable) where nothing comes, and what {@link errorOfCode} makes
   */
  async fetch(position: FetchPosition): Promise<FetchPartition> {
    const giveUpAt = performance.now() + NO_PROGRESS_MS
    let reconnects = 0
    this.#unknownTopic = 0
    let why = 'no broker answered'
    for (let tries = 0; ; tries++) {
      if (performance.now() > giveUpAt) throw this.#timedOut(position, why)
      let answer: { readonly partition: FetchPartition; readonly response: FetchResponse } | string
      try {
        answer = await this.#try(position)
      } catch (error) {
        this.#signal.throwIfAborted()
        // A broker that went away takes its leaderships with it.
        if (!isRetryable(error) || isTidemarkError(error, 'DECODE')) throw error
        this.#drop()
        this.#session.metadata.markStale()
        answer = (error as Error).message
      }
      if (typeof answer === 'string') {
        why = answer
        await backOff(tries, this.#signal)
        continue
      }
      const { partition, response } = answer
      if (partition.errorCode === 0 && partition.divergingEpoch !== undefined) {
        // They part somewhere in front of the position, whatever the end of an epoch that the leader does know.
        throw this.#truncated(Math.min(partition.divergingEpoch.endOffset, position.offset))
      }
      if (partition.errorCode === 0 && partition.records.length > 0) return partition
      if (partition.errorCode === 0) {
        why = `the broker has nothing there yet (it shows records up to ${this.#visibleEnd(partition)})`
      } else {
        why = `the broker answered ${showErrorCode(partition.errorCode)}`
        const reaction = reactionTo(partition.errorCode)
        switch (reaction) {
          case 'out-of-range':
            why = await this.#explainOutOfRange(position)
            break
          case 'refresh':
            this.#release()
            if (!this.#session.metadata.learnLeader(this.#range.topic, partition, response.nodeEndpoints))
              this.#session.metadata.markStale()
            break
          case 'unknown-topic':
            if (++this.#unknownTopic > MAX_UNKNOWN_TOPIC) throw errorOfCode(partition.errorCode, this.#what(position))
            this.#session.metadata.markStale()
            break
          case 'reconnect':
            if (++reconnects > MAX_RECONNECTS) throw errorOfCode(partition.errorCode, this.#what(position))
            this.reconnect()
            break
          case 'retry':
            break
          case 'fatal':
            throw errorOfCode(partition.errorCode, this.#what(position))
          default:
            reaction satisfies never
        }
      }
      await backOff(tries, this.#signal)
    }
  }

  /** What a round trip to the partition's leader costs, ms; infinite before there was one. */
  get latencyMs(): number {
    return this.#client?.latencyMs ?? Number.POSITIVE_INFINITY
  }

  /** Gives up what lies at and after `untilOffset`: the log was cut there, and that is known now. */
  narrow(untilOffset: number): void {
    this.#range = { ...this.#range, untilOffset }
  }

  /** Has the next fetch come over a connection that nobody has used: the bytes of this one cannot be trusted. */
  reconnect(): void {
    this.#drop()
    this.#needsFresh = true
  }

  /** Gives the connection back; one with a fetch still on its way is closed, for its answer would come to whoever is next. */
  close(): void {
    if (this.#isFetching) this.#drop()
    else this.#release()
  }

  /** One request; a text says why it could not even be sent. */
  async #try(position: FetchPosition): Promise<{ partition: FetchPartition; response: FetchResponse } | string> {
    const { topic, partition } = this.#range
    const view = await this.#session.metadata.view(this.#signal)
    const topicView = view.topics.get(topic)
    const leader = topicView?.leaders.get(partition)
    const address = leader === undefined ? undefined : view.brokers.get(leader.leaderId)
    if (topicView !== undefined) this.#checkIncarnation(topicView, position)
    if (leader === undefined && ++this.#unknownTopic > MAX_UNKNOWN_TOPIC) throw this.#removed(position)
    if (topicView === undefined || leader === undefined || address === undefined) {
      this.#session.metadata.markStale()
      return leader === undefined ? 'the partition does not exist' : 'the partition has no leader'
    }
    const client = await this.#connect(address)
    const uncheckedEpoch = await this.#checkEpoch(client, leader, position)
    if (uncheckedEpoch !== undefined) return uncheckedEpoch
    const request = {
      maxWaitMs: MAX_WAIT_MS,
      minBytes: 1,
      maxBytes: position.maxBytes,
      isolationLevel: this.#isolation === 'read_committed' ? 1 : 0,
      topics: [
        {
          topic,
          topicId: topicView.topicId,
          partitions: [
            {
              partition,
              currentLeaderEpoch: leader.leaderEpoch,
              fetchOffset: position.offset,
              lastFetchedEpoch: position.lastEpoch,
              partitionMaxBytes: position.maxBytes,
            },
          ],
        },
      ],
      rackId: '',
    } as const
    this.#isFetching = true
    try {
      const response = await sendFetch(client, request, { timeoutMs: MAX_WAIT_MS + REQUEST_TIMEOUT_MS, signal: this.#signal })
      if (response.errorCode !== 0) return `the broker answered ${showErrorCode(response.errorCode)}`
      const answer = response.responses[0]?.partitions[0]
      return answer === undefined ? 'the broker left the partition out of its answer' : { partition: answer, response }
    } finally {
      this.#isFetching = false
    }
  }

  async #connect(address: BrokerAddress): Promise<BrokerClient> {
    if (this.#client !== undefined && (!this.#client.isOpen || showAddress(this.#client.address) !== showAddress(address))) this.#release()
    if (this.#client === undefined) {
      const client = await this.#session.pool.take(address, this.#signal, { fresh: this.#needsFresh })
      this.#needsFresh = false
      // The read ended while the connection was on its way: `close` has been here and will not come again.
      if (this.#signal.aborted) this.#session.pool.give(client)
      this.#signal.throwIfAborted()
      this.#client = client
    }
    return this.#client
  }

  #release(): void {
    if (this.#client !== undefined) this.#session.pool.give(this.#client)
    this.#client = undefined
  }

  #drop(): void {
    this.#client?.close()
    this.#release()
  }

  #checkIncarnation({ topicId }: TopicView, position: FetchPosition): void {
    const range = this.#range
    if (range.topicId === undefined || topicId === undefined || range.topicId === topicId) return
    const missing = { ...range, fromOffset: position.offset }
    throw new DataLossError(
      'recreated',
      `${showRange(missing)} is gone: topic ${range.topic} was deleted and created again after ${showRange(range)} was planned (its id was ` +
        `${range.topicId} and is ${topicId}).`,
      [missing],
    )
  }

  /**
   * After an election, asks the new leader where the planned epoch ended in its log: the only proof that the range was cut. A text says why it
   * did not tell; then nothing is fetched either, for the records could be others than those planned.
   */
  async #checkEpoch(client: BrokerClient, leader: Leader, position: FetchPosition): Promise<string | undefined> {
    const { topic, partition, leaderEpoch, untilOffset } = this.#range
    if (leaderEpoch === undefined || leader.leaderEpoch <= this.#validatedEpoch) return undefined
    const request = { topics: [{ topic, partitions: [{ partition, currentLeaderEpoch: leader.leaderEpoch, leaderEpoch }] }] }
    const response = await client.call(LEADER_EPOCH_CALL, request, { timeoutMs: REQUEST_TIMEOUT_MS, signal: this.#signal })
    const answer = response.topics[0]?.partitions[0]
    if (answer === undefined) return 'the broker left the partition out of its answer'
    if (answer.errorCode !== 0) {
      const reaction = reactionTo(answer.errorCode)
      if (reaction === 'fatal') throw errorOfCode(answer.errorCode, this.#what(position))
      if (reaction !== 'retry') this.#session.metadata.markStale()
      return `the broker answered ${showErrorCode(answer.errorCode)}`
    }
    if (answer.endOffset === UNKNOWN || answer.endOffset < untilOffset) throw this.#truncated(Math.max(0, answer.endOffset))
    this.#validatedEpoch = leader.leaderEpoch
    return undefined
  }

  /** Out of range below the log's start is retention; above its end it may still be a watermark that lags, which waiting tells. */
  async #explainOutOfRange(position: FetchPosition): Promise<string> {
    const { topic, partition, untilOffset } = this.#range
    const at = [{ topic, partition }]
    const options = { isolation: this.#isolation, signal: this.#signal }
    const [earliest] = await listOffsets(this.#session, at, { ...options, timestamp: LIST_OFFSETS_AT.earliest })
    if (earliest !== undefined && position.offset < earliest.offset) {
      const missing = { ...this.#range, fromOffset: position.offset, untilOffset: Math.min(earliest.offset, untilOffset) }
      throw new DataLossError(
        'retention',
        `${showRange(missing)} is gone: the log of ${showPartition(missing)} begins at ${earliest.offset} now. Retention or DeleteRecords removed it before it was read.`,
        [missing],
        { resumeAt: earliest.offset },
      )
    }
    this.#session.metadata.markStale()
    return `the broker answered OFFSET_OUT_OF_RANGE for ${position.offset}, and its log begins at ${earliest?.offset}`
  }

  #truncated(endOffset: number): DataLossError {
    const missing = { ...this.#range, fromOffset: Math.max(endOffset, this.#range.fromOffset) }
    return new DataLossError(
      'truncation',
      `${showRange(missing)} is gone: after an election the log of ${showPartition(missing)} was cut at ${endOffset}, and what is there now are other records.`,
      [missing],
      { resumeAt: endOffset },
    )
  }

  #removed(position: FetchPosition): DataLossError {
    const missing = { ...this.#range, fromOffset: position.offset }
    return new DataLossError(
      'removed',
      `${showRange(missing)} is gone: the topic, or its partition, was deleted after the range was planned.`,
      [missing],
    )
  }

  #visibleEnd({ highWatermark, lastStableOffset }: FetchPartition): number {
    return this.#isolation === 'read_committed' && lastStableOffset >= 0 ? lastStableOffset : highWatermark
  }

  #what(position: FetchPosition): string {
    return `Fetch of ${showPartition(this.#range)} at ${position.offset}`
  }

  #timedOut(position: FetchPosition, why: string): TimeoutError {
    return new TimeoutError(`${this.#what(position)} brought nothing for ${NO_PROGRESS_MS} ms: ${why}.`, {
      details: { ...this.#range, at: position.offset },
    })
  }
}
