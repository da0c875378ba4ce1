import type { Kafka } from 'kafkajs'
import { ConfigError, ConnectionError } from '../../../src/core/errors.ts'
import type { CallOptions, Isolation, ReadOptions, Source, StartingOffsets } from '../../../src/core/source.ts'
import {
  comparePartitions,
  type OffsetRange,
  type PartitionOffset,
  partitionKey,
  showRange,
  type TopicPartition,
} from '../../../src/core/values.ts'
import { commitOffsets } from '../cluster/commit-offsets.ts'
import { committedOffsets } from '../cluster/committed-offsets.ts'
import { epochEndOffsets } from '../cluster/epoch-end-offsets.ts'
import { listOffsets } from '../cluster/list-offsets.ts'
import type { CompleteKafkaSourceOptions } from '../options.ts'
import { LIST_OFFSETS_AT } from '../protocol/list-offsets.ts'
import type { KafkaRecord } from '../record.ts'
import { KafkajsTransport, kafkajsClient } from '../transport/kafkajs-transport.ts'
import { describeTarget } from './describe-target.ts'
import { readRange } from './read-range.ts'
import { Session } from './session.ts'

/** How many bootstrap addresses to try where the configuration does not list them. */
const UNLISTED_BOOTSTRAPS = 3

/** {@link kafkaSource} without an alias: topics have the names the cluster gives them. */
export class KafkaSource implements Source<KafkaRecord>, AsyncDisposable {
  readonly name: string
  readonly target?: string
  readonly startingOffsets: StartingOffsets
  readonly isolation: Isolation
  readonly findsTopics: boolean
  /** Only where there is a group: who has none is not told of every commit. */
  readonly commitToGroup?: NonNullable<Source<KafkaRecord>['commitToGroup']>
  readonly #options: CompleteKafkaSourceOptions
  #kafka: Kafka | undefined
  #session: Session | undefined

  constructor(options: CompleteKafkaSourceOptions) {
    const { kafka, topics, startingOffsets, isolation, alsoCommitToGroup: group } = options
    this.name = `kafka:${topics instanceof RegExp ? String(topics) : topics.join(',')}`
    const target = describeTarget(kafka, topics instanceof RegExp ? `topics ${topics}` : `topics ${topics.toSorted().join(',')}`)
    if (target !== undefined) this.target = target
    this.startingOffsets = startingOffsets
    this.isolation = isolation
    this.findsTopics = topics instanceof RegExp
    this.#options = options
    if (group !== undefined) this.commitToGroup = (offsets, about) => this.#commitTo(group, offsets, about)
  }

  names(topic: string): boolean {
    const { topics } = this.#options
    return topics instanceof RegExp ? topic.search(topics) >= 0 : topics.includes(topic)
  }

  remember(topics: readonly string[]): void {
    this.#open().metadata.remember(topics)
  }

  async partitions({ signal }: CallOptions = {}): Promise<TopicPartition[]> {
    const view = await this.#open().metadata.view(this.#open().signalOf(signal))
    const all = Array.from(view.topics, ([topic, { leaders }]) => Array.from(leaders.keys(), partition => ({ topic, partition })))
    return all.flat().sort(comparePartitions)
  }

  async earliestOffsets(options?: CallOptions): Promise<PartitionOffset[]> {
    return this.#list(LIST_OFFSETS_AT.earliest, options)
  }

  async latestOffsets(options?: CallOptions): Promise<PartitionOffset[]> {
    return this.#list(LIST_OFFSETS_AT.latest, options)
  }

  async offsetsForTimestamp(timestamp: number, options?: CallOptions): Promise<PartitionOffset[]> {
    if (!Number.isSafeInteger(timestamp) || timestamp < 0) {
      throw new ConfigError(`offsetsForTimestamp takes milliseconds since 1970, and got ${timestamp}.`)
    }
    const found = await this.#list(timestamp, options)
    if (found.every(({ offset }) => offset >= 0)) return found
    const latest = new Map((await this.latestOffsets(options)).map(end => [partitionKey(end), end]))
    return found.map(at => (at.offset >= 0 ? at : (latest.get(partitionKey(at)) ?? at)))
  }

  async committedOffsets(group: string, { signal }: CallOptions = {}): Promise<PartitionOffset[]> {
    const session = this.#open()
    const partitions = await this.partitions({ signal })
    return committedOffsets(session, group, partitions, session.signalOf(signal))
  }

  async #commitTo(group: string, offsets: readonly PartitionOffset[], { signal }: CallOptions = {}): Promise<void> {
    const session = this.#open()
    const own = offsets.filter(({ topic }) => this.names(topic))
    await commitOffsets(session, group, own, session.signalOf(signal))
  }

  async epochEndOffsets(positions: readonly PartitionOffset[], { signal }: CallOptions = {}): Promise<PartitionOffset[]> {
    const session = this.#open()
    return epochEndOffsets(session, positions, session.signalOf(signal))
  }

  async awaitRecords(from: readonly PartitionOffset[], { signal }: CallOptions = {}): Promise<PartitionOffset[]> {
    const session = this.#open()
    return session.watch.wait(from, session.signalOf(signal))
  }

  /** Hands over ranges that will be read soon, so that small ones of one leader can share a request. */
  prefetch(ranges: readonly OffsetRange[], { isolation = this.isolation, signal }: ReadOptions = {}): void {
    const session = this.#open()
    session.shared.prefetch(ranges, isolation, session.signalOf(signal))
  }

  read(range: OffsetRange, options: ReadOptions = {}): AsyncGenerator<readonly KafkaRecord[]> {
    return this.readAs(range, range.topic, options)
  }

  /** Reads a range whose records call their topic by another name. */
  readAs(range: OffsetRange, recordTopic: string, options: ReadOptions): AsyncGenerator<readonly KafkaRecord[]> {
    const { fromOffset, untilOffset } = range
    if (!Number.isSafeInteger(fromOffset) || !Number.isSafeInteger(untilOffset) || fromOffset < 0 || fromOffset > untilOffset) {
      throw new ConfigError(
        `${showRange(range)} is no range: offsets are whole numbers from 0 to 2^53 - 1, and the first is not above the last.`,
      )
    }
    if (!this.names(range.topic)) {
      throw new ConfigError(`${showRange(range)} cannot be read from ${this.name}: topics does not name ${range.topic}.`)
    }
    return readRange(this.#open(), range, recordTopic, options)
  }

  async close(): Promise<void> {
    this.#session?.close(new ConnectionError(`${this.name} was closed.`, { retryable: false }))
    this.#session = undefined
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  async #list(timestamp: number, { signal }: CallOptions = {}): Promise<PartitionOffset[]> {
    const session = this.#open()
    const partitions = await this.partitions({ signal })
    return listOffsets(session, partitions, { timestamp, isolation: this.isolation, signal: session.signalOf(signal) })
  }

  #client(): Kafka {
    this.#kafka ??= kafkajsClient(this.#options.kafka)
    return this.#kafka
  }

  #open(): Session {
    if (this.#session === undefined) {
      const { kafka } = this.#options
      const listed = 'brokers' in kafka && Array.isArray(kafka.brokers) ? kafka.brokers : undefined
      const transport = new KafkajsTransport(this.#client(), listed?.join(',') ?? 'the cluster')
      this.#session = new Session(this.#options, transport, listed?.length ?? UNLISTED_BOOTSTRAPS)
    }
    return this.#session
  }
}
