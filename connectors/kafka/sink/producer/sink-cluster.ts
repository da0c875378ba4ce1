import { ConnectionError } from '../../../../src/core/errors.ts'
import type { TopicPartition } from '../../../../src/core/values.ts'
import { type ClusterView, MetadataCache, type TopicView } from '../../cluster/metadata-cache.ts'
import type { CompleteKafkaSourceOptions } from '../../options.ts'
import { Session } from '../../source/session.ts'
import type { BrokerAddress } from '../../transport/kafka-transport.ts'
import { KafkajsTransport, kafkajsClient } from '../../transport/kafkajs-transport.ts'
import { TransactionCoordinator } from './transaction-coordinator.ts'

/** How many bootstrap addresses to try where the configuration does not list them. */
const UNLISTED_BOOTSTRAPS = 3

/** Everything a sink holds of its cluster while it is open: connections, coordinators, and what is known of the topics that rows go to. */
export class SinkCluster {
  /** Reads the ledger topic, and has the connections that everything goes over. */
  readonly session: Session
  readonly coordinator: TransactionCoordinator
  readonly #bootstraps: number
  readonly #topics = new Map<string, MetadataCache>()

  /** `options` are those of a reader of the ledger topic. */
  constructor(options: CompleteKafkaSourceOptions) {
    const { kafka } = options
    const listed = 'brokers' in kafka && Array.isArray(kafka.brokers) ? kafka.brokers : undefined
    this.#bootstraps = listed?.length ?? UNLISTED_BOOTSTRAPS
    const transport = new KafkajsTransport(kafkajsClient(kafka), listed?.join(',') ?? 'the cluster')
    this.session = new Session(options, transport, this.#bootstraps)
    this.coordinator = new TransactionCoordinator(this.session)
  }

  get name(): string {
    return this.session.pool.name
  }

  /** What is known of a topic. @throws ConfigError where it does not exist: topics are never made by writing to them */
  async topic(name: string, signal: AbortSignal): Promise<TopicView> {
    const metadata = this.#metadataOf(name)
    const found = (await metadata.view(signal)).topics.get(name)
    if (found !== undefined) return found
    metadata.markStale()
    throw new ConnectionError(`Topic ${name} is not there any more on ${this.name}. If it was deleted, create it again.`)
  }

  /** Who leads a partition. @throws ConnectionError (retryable) while nobody does */
  async leaderOf({ topic, partition }: TopicPartition, signal: AbortSignal): Promise<BrokerAddress> {
    const metadata = this.#metadataOf(topic)
    const view: ClusterView = await metadata.view(signal)
    const address = view.brokers.get(view.topics.get(topic)?.leaders.get(partition)?.leaderId ?? -1)
    if (address !== undefined) return address
    metadata.markStale()
    throw new ConnectionError(`${topic}/${partition} has no leader.`)
  }

  /** Leaders have moved, or a broker went away: they are asked for anew before the next use. */
  markStale(): void {
    this.session.metadata.markStale()
    for (const metadata of this.#topics.values()) metadata.markStale()
  }

  close(reason: Error): void {
    this.session.close(reason)
  }

  #metadataOf(topic: string): MetadataCache {
    const known = this.#topics.get(topic)
    if (known !== undefined) return known
    const { metadataMaxAgeMs: maxAgeMs } = this.session.options
    const { pool, closing } = this.session
    const metadata = new MetadataCache(pool, { topics: [topic], maxAgeMs, bootstraps: this.#bootstraps, closing })
    this.#topics.set(topic, metadata)
    return metadata
  }
}
