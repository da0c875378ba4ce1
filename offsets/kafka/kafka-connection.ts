import type { Kafka } from 'kafkajs'
import { ConnectionError, isTidemarkError } from '../../src/core/errors.ts'
import { listedBrokers } from '../../src/util/kafkajs-input.ts'
import { explainKafkaError, hasMoved, isConnectionLost } from './kafka-error.ts'
import {
  connectionOf,
  createCluster,
  type KafkajsBroker,
  type KafkajsCluster,
  type KafkajsConnectionPool,
  kafkajsClient,
  type RawRequest,
} from './kafkajs-cluster.ts'
import type { CompleteKafkaOffsetsOptions } from './options.ts'

/** How long finding any broker may take, ms: what takes connections and never answers is given up then. */
const CONNECT_TIMEOUT_MS = 5_000
/** How many bootstrap addresses to try where the configuration does not list them. */
const UNLISTED_BOOTSTRAPS = 3

const TRANSACTION = 1
const GROUP = 0

type OpenCluster = { readonly cluster: KafkajsCluster; readonly pools: KafkajsConnectionPool[] }

/**
 * The brokers, and which of them leads or coordinates what. Connects on first use; after anything that leaves a connection in doubt all of them are
 * given up, and the next call connects anew.
 */
export class KafkaConnection {
  readonly topic: string
  /** The bootstrap addresses, for messages. */
  readonly name: string
  readonly #options: CompleteKafkaOffsetsOptions
  readonly #bootstraps: number
  readonly #coordinators = new Map<string, number>()
  #kafka: Kafka | undefined
  #open: Promise<OpenCluster> | undefined

  constructor(options: CompleteKafkaOffsetsOptions) {
    const listed = listedBrokers(options.kafka)
    this.#options = options
    this.#bootstraps = listed?.length ?? UNLISTED_BOOTSTRAPS
    this.name = listed?.join(',') ?? 'the given brokers'
    this.topic = options.topic
  }

  /**
   * Runs something that asks brokers, and says in our words what fails. Whatever shows that a connection is lost, or that somebody else leads now,
   * has the next call look anew.
   */
  async run<T>(work: (cluster: KafkajsCluster) => Promise<T>): Promise<T> {
    let opened: Promise<OpenCluster> | undefined
    try {
      opened = this.#connected()
      return await work((await opened).cluster)
    } catch (error) {
      if (isConnectionLost(error) || isTidemarkError(error, 'CONNECTION')) this.#giveUp(opened)
      else if (hasMoved(error)) {
        this.#coordinators.clear()
        await (await opened)?.cluster.refreshMetadata().catch(() => {})
      }
      throw this.explain(error)
    }
  }

  explain(error: unknown): unknown {
    return explainKafkaError(error, `The offsets in topic ${this.topic}`, this.name)
  }

  /** The broker that leads a partition of the topic. */
  async leader(cluster: KafkajsCluster, partition: number): Promise<KafkajsBroker> {
    await cluster.addTargetTopic(this.topic)
    const found = cluster.findTopicPartitionMetadata(this.topic).find(({ partitionId }) => partitionId === partition)
    if (found === undefined)
      throw new ConnectionError(`Topic ${this.topic} has no partition ${partition} at this moment. Look at the topic.`)
    return cluster.findBroker({ nodeId: found.leader })
  }

  /** A request of our own bytes to the leader of a partition. */
  async ask<T>(cluster: KafkajsCluster, partition: number, request: RawRequest<T>): Promise<T> {
    return (await connectionOf(await this.leader(cluster, partition))).send(request)
  }

  /** The broker that keeps a transactional id. */
  transactionCoordinator(cluster: KafkajsCluster, transactionalId: string): Promise<KafkajsBroker> {
    return this.#coordinator(cluster, transactionalId, TRANSACTION)
  }

  /** The broker that keeps a consumer group. */
  groupCoordinator(cluster: KafkajsCluster, group: string): Promise<KafkajsBroker> {
    return this.#coordinator(cluster, group, GROUP)
  }

  /** Has the next call ask anew who coordinates. */
  forgetCoordinators(): void {
    this.#coordinators.clear()
  }

  async close(): Promise<void> {
    const opened = this.#open
    this.#open = undefined
    this.#coordinators.clear()
    const { cluster } = (await opened?.catch(() => undefined)) ?? {}
    await cluster?.disconnect()
  }

  async #coordinator(cluster: KafkajsCluster, id: string, coordinatorType: number): Promise<KafkajsBroker> {
    const key = `${coordinatorType}:${id}`
    const known = this.#coordinators.get(key)
    if (known !== undefined) return cluster.findBroker({ nodeId: known })
    const anybody = await this.leader(cluster, 0)
    const { coordinator } = await anybody.findGroupCoordinator({ groupId: id, coordinatorType })
    this.#coordinators.set(key, coordinator.nodeId)
    return cluster.findBroker(coordinator)
  }

  #connected(): Promise<OpenCluster> {
    if (this.#open !== undefined) return this.#open
    const opened = this.#connect()
    this.#open = opened
    // Also where the credentials were refused: the next call may find them right.
    opened.catch(() => {
      if (this.#open === opened) this.#open = undefined
    })
    return opened
  }

  async #connect(): Promise<OpenCluster> {
    this.#kafka ??= kafkajsClient(this.#options.kafka)
    const pools: KafkajsConnectionPool[] = []
    const cluster = createCluster(this.#kafka, pool => pools.push(pool))
    const late = Promise.withResolvers<never>()
    const timer = setTimeout(() => late.reject(notInTime(this.name)), CONNECT_TIMEOUT_MS)
    try {
      await Promise.race([this.#tryBootstraps(cluster), late.promise])
      return { cluster, pools }
    } catch (error) {
      endAll(pools)
      throw asUnreachable(this.explain(error))
    } finally {
      clearTimeout(timer)
    }
  }

  /** kafkajs goes on to the next address each time. */
  async #tryBootstraps(cluster: KafkajsCluster): Promise<void> {
    for (let left = this.#bootstraps; ; left--) {
      try {
        await cluster.connect()
        return
      } catch (error) {
        if (left <= 1 || !isConnectionLost(error)) throw error
      }
    }
  }

  #giveUp(opened: Promise<OpenCluster> | undefined): void {
    // Another call may have connected anew already.
    if (opened === undefined || this.#open !== opened) return
    this.#open = undefined
    this.#coordinators.clear()
    opened.then(
      ({ pools }) => endAll(pools),
      () => {},
    )
  }
}

/** With an error, which is how kafkajs ends whatever waits on a connection; a disconnect would wait for the answers. */
function endAll(pools: readonly KafkajsConnectionPool[]): void {
  const reason = new Error('the connection was given up')
  for (const { pool } of pools) for (const { socket } of pool) socket?.destroy(reason)
}

/** Nothing was sent, so whoever called need not wonder what became of it. */
function asUnreachable(error: unknown): unknown {
  if (!isTidemarkError(error, 'CONNECTION')) return error
  return new ConnectionError(error.message, { cause: error.cause ?? error, details: { isUnreachable: true } })
}

function notInTime(name: string): ConnectionError {
  return new ConnectionError(
    `No answer from Kafka at ${name} within ${CONNECT_TIMEOUT_MS} ms. Check the address, and whether a broker listens there and can be reached.`,
  )
}
