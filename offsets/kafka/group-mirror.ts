import type { PartitionOffset } from '../../src/core/values.ts'
import type { KafkaConnection } from './kafka-connection.ts'
import { errorCodeOf, hasMoved, isSessionOver, UNKNOWN_TOPIC_OR_PARTITION } from './kafka-error.ts'
import type { KafkajsCluster, SessionIds } from './kafkajs-cluster.ts'

/** What a topic of Kafka can be called: one under a source's alias has a colon, and no cluster has it. */
const TOPIC = /^[A-Za-z0-9._-]{1,249}$/

/** A group's coordinator may just be moving; after this many looks the group does without. */
const TRIES = 20
const WAIT_MS = 50

/**
 * Tells a consumer group where the stream stands, within the store's own transaction. It is for Kafka's tools: group offsets have no compare-and-set
 * and expire, so they are never read, and what they refuse never keeps an offset from being committed.
 */
export class GroupMirror {
  readonly #connection: KafkaConnection
  readonly #group: string
  #warned: string | undefined

  constructor(connection: KafkaConnection, group: string) {
    this.#connection = connection
    this.#group = group
  }

  /** Adds positions to a transaction. Rejects only where the connection is lost, and so what became of the transaction is not known. */
  async add(cluster: KafkajsCluster, ids: SessionIds, moved: readonly PartitionOffset[]): Promise<void> {
    const byTopic = Map.groupBy(
      moved.filter(({ topic }) => TOPIC.test(topic)),
      ({ topic }) => topic,
    )
    if (byTopic.size === 0) return
    const topics = Array.from(byTopic, ([topic, own]) => ({
      topic,
      partitions: own.map(({ partition, offset }) => ({ partition, offset: String(offset) })),
    }))
    for (let tries = 1; ; tries++) {
      try {
        const coordinator = await this.#connection.transactionCoordinator(cluster, ids.transactionalId)
        await coordinator.addOffsetsToTxn({ ...ids, groupId: this.#group })
        const group = await this.#connection.groupCoordinator(cluster, this.#group)
        await group.txnOffsetCommit({ ...ids, groupId: this.#group, topics })
        return
      } catch (error) {
        const code = errorCodeOf(error)
        if (code === undefined || isSessionOver(error)) throw error
        if (!hasMoved(error) || code === UNKNOWN_TOPIC_OR_PARTITION || tries === TRIES) return this.#warn(error)
        this.#connection.forgetCoordinators()
      }
      await new Promise(resolve => setTimeout(resolve, WAIT_MS))
    }
  }

  #warn(error: unknown): void {
    const text = error instanceof Error ? error.message : String(error)
    if (this.#warned === text) return
    this.#warned = text
    process.emitWarning(
      `Group ${this.#group} does not show all offsets of ${this.#connection.topic}, which are safe there: ${text}. Let the user read the group and ` +
        'its topics, or leave out the option group of kafkaOffsets.',
      { code: 'TIDEMARK_GROUP_MIRROR' },
    )
  }
}
