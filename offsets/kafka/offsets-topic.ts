import type { Clock } from '../../src/core/clock.ts'
import { AuthError, ConfigError } from '../../src/core/errors.ts'
import type { KafkaConnection } from './kafka-connection.ts'
import { errorCodeOf, TOPIC_ALREADY_EXISTS, UNKNOWN_TOPIC_OR_PARTITION } from './kafka-error.ts'
import type { KafkajsCluster } from './kafkajs-cluster.ts'
import { PARTITIONS } from './stream-names.ts'

/** What the topic must be set to, and what becomes of the offsets otherwise. */
const REQUIRED = [
  { name: 'cleanup.policy', value: 'compact', otherwise: 'offsets would be deleted by their age' },
  { name: 'message.timestamp.type', value: 'LogAppendTime', otherwise: 'leases would live by the clocks of clients' },
  { name: 'unclean.leader.election.enable', value: 'false', otherwise: 'a broker that was behind would lose committed offsets' },
  { name: 'compression.type', value: 'producer', or: 'uncompressed', otherwise: 'brokers would rewrite what Tidemark reads' },
] as const

/** Small enough that compaction, which never touches the newest segment, keeps a start's reading short. */
const TUNING = { 'segment.bytes': String(32 << 20), 'min.cleanable.dirty.ratio': '0.1' }

const MOST_REPLICAS = 3
const TOPIC_RESOURCE = 2
const CREATE_TIMEOUT_MS = 5_000
const KNOWN_WITHIN_MS = 10_000
const LOOK_EVERY_MS = 50

/** The topic that holds the offsets: made with the settings it needs, or checked for them once. */
export class OffsetsTopic {
  readonly #connection: KafkaConnection
  readonly #clock: Clock
  #isReady = false

  constructor(connection: KafkaConnection, clock: Clock) {
    this.#connection = connection
    this.#clock = clock
  }

  /** Whether the topic is there, and is what it must be. Throws `ConfigError` with the command that mends it. */
  async isReady(cluster: KafkajsCluster): Promise<boolean> {
    if (this.#isReady) return true
    const { topic } = this.#connection
    try {
      await cluster.addTargetTopic(topic)
    } catch (error) {
      if (errorCodeOf(error) === UNKNOWN_TOPIC_OR_PARTITION) return false
      throw error
    }
    const count = cluster.findTopicPartitionMetadata(topic).length
    if (count < PARTITIONS) {
      throw new ConfigError(
        `Topic ${topic} has ${count} partitions, and offsets are spread over ${PARTITIONS}. Run kafka-topics.sh --bootstrap-server ` +
          `${this.#connection.name} --alter --topic ${topic} --partitions ${PARTITIONS}, or name another topic.`,
        { details: { topic, partitions: count } },
      )
    }
    await this.#checkSettings(cluster)
    this.#isReady = true
    return true
  }

  /** Makes the topic, unless somebody else is just doing so, and waits until its partitions have leaders. */
  async make(cluster: KafkajsCluster): Promise<void> {
    const { topic } = this.#connection
    await cluster.refreshMetadata()
    const replicas = Math.min(MOST_REPLICAS, cluster.brokerPool.metadata?.brokers.length ?? 1)
    const safety = { 'min.insync.replicas': String(replicas < MOST_REPLICAS ? 1 : 2) }
    const required = Object.fromEntries(REQUIRED.map(({ name, value }) => [name, value]))
    const configEntries = Object.entries({ ...required, ...TUNING, ...safety }).map(([name, value]) => ({ name, value }))
    try {
      const controller = await cluster.findControllerBroker()
      const asked = { topic, numPartitions: PARTITIONS, replicationFactor: replicas, configEntries }
      await controller.createTopics({ topics: [asked], timeout: CREATE_TIMEOUT_MS })
    } catch (error) {
      if (errorCodeOf(error) !== TOPIC_ALREADY_EXISTS) throw error
    }
    const giveUpAt = this.#clock.monotonic() + KNOWN_WITHIN_MS
    while (!(await this.#isKnown(cluster)) && this.#clock.monotonic() < giveUpAt) await this.#clock.sleep(LOOK_EVERY_MS)
  }

  /** Has the next call check again. */
  forget(): void {
    this.#isReady = false
  }

  async #isKnown(cluster: KafkajsCluster): Promise<boolean> {
    try {
      await cluster.addTargetTopic(this.#connection.topic)
      await cluster.refreshMetadata()
      return cluster.findTopicPartitionMetadata(this.#connection.topic).length >= PARTITIONS
    } catch (error) {
      // Brokers learn of a topic one after another, and of its leaders a moment later.
      if (errorCodeOf(error) === undefined) throw error
      return false
    }
  }

  async #checkSettings(cluster: KafkajsCluster): Promise<void> {
    const { topic, name: brokers } = this.#connection
    const settings = await this.#settings(cluster)
    const wrong = REQUIRED.filter(({ name, value, ...rest }) => {
      const found = settings.get(name)
      return found !== value && !('or' in rest && found === rest.or)
    })
    if (wrong.length === 0) return
    const found = wrong.map(({ name, otherwise }) => `${name} is ${settings.get(name)} (${otherwise})`)
    const mended = wrong.map(({ name, value }) => `${name}=${value}`).join(',')
    throw new ConfigError(
      `Topic ${topic} cannot hold offsets: ${found.join('; ')}. Run kafka-configs.sh --bootstrap-server ${brokers} --alter --entity-type topics ` +
        `--entity-name ${topic} --add-config ${mended}`,
      { details: { topic, wrong: wrong.map(({ name }) => name) } },
    )
  }

  async #settings(cluster: KafkajsCluster): Promise<Map<string, string | null>> {
    const { topic } = this.#connection
    const leader = await this.#connection.leader(cluster, 0)
    try {
      const { resources } = await leader.describeConfigs({ resources: [{ type: TOPIC_RESOURCE, name: topic }] })
      return new Map(resources[0]?.configEntries.map(({ configName, configValue }) => [configName, configValue]))
    } catch (cause) {
      if (errorCodeOf(cause) !== 29) throw cause
      throw new AuthError(`The settings of topic ${topic} cannot be checked: not allowed. Grant the user DescribeConfigs on the topic.`, {
        cause,
      })
    }
  }
}
