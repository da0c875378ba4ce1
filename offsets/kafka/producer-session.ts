import type { Clock } from '../../src/core/clock.ts'
import { ConfigError, ConnectionError } from '../../src/core/errors.ts'
import type { PartitionOffset } from '../../src/core/values.ts'
import type { GroupMirror } from './group-mirror.ts'
import type { KafkaConnection } from './kafka-connection.ts'
import { CONCURRENT_TRANSACTIONS, errorCodeOf, hasMoved } from './kafka-error.ts'
import type { KafkajsCluster, KafkajsMessage, SessionIds } from './kafkajs-cluster.ts'
import { type LogRecord, PARTS_HEADER } from './record-batch.ts'

/** Room for restoring a large stream. Nobody waits for a transaction that hangs: the same id is initialised first, and others look past it. */
const TRANSACTION_TIMEOUT_MS = 60_000

/** How long the coordinator may be busy with what went before, ms. */
const BUSY_FOR_MS = 10_000

/** The most that one request carries: a batch must fit into `max.message.bytes`, and one record may be 512 KiB. */
const REQUEST_BYTES = 768 << 10

/** A transaction: what goes into the topic, and what a group is told. */
export type Transaction = { readonly messages: readonly KafkajsMessage[]; readonly moved: readonly PartitionOffset[] }

/**
 * The right to write in the name of one transactional id, until anybody initialises it again. That is the store's compare-and-set: whoever holds a
 * session that is not fenced knows that nobody has written to the stream since it began.
 *
 * Used for one transaction at a time. After any error but "busy" it is over: what became of its transaction is told by initialising the id again,
 * which aborts what is open and waits for what is committed.
 */
export class ProducerSession {
  readonly #connection: KafkaConnection
  readonly #clock: Clock
  readonly #partition: number
  readonly #ids: SessionIds
  #sequence = 0

  private constructor(connection: KafkaConnection, clock: Clock, partition: number, ids: SessionIds) {
    this.#connection = connection
    this.#clock = clock
    this.#partition = partition
    this.#ids = ids
  }

  /** Fences every session of this id before it. When it resolves, each of their transactions is committed or aborted in the log. */
  static async open(
    connection: KafkaConnection,
    cluster: KafkajsCluster,
    { clock, partition, transactionalId }: { readonly clock: Clock; readonly partition: number; readonly transactionalId: string },
  ): Promise<ProducerSession> {
    const ids = await whileBusy(connection, clock, async () => {
      const coordinator = await connection.transactionCoordinator(cluster, transactionalId)
      return coordinator.initProducerId({ transactionalId, transactionTimeout: TRANSACTION_TIMEOUT_MS })
    })
    const { producerId, producerEpoch } = ids
    return new ProducerSession(connection, clock, partition, { transactionalId, producerId, producerEpoch })
  }

  /** All messages or none. Resolves when the transaction is decided; its marker is in the log a moment later. */
  async commit(cluster: KafkajsCluster, { messages, moved }: Transaction, mirror: GroupMirror | undefined): Promise<LogRecord[]> {
    const connection = this.#connection
    const coordinator = () => connection.transactionCoordinator(cluster, this.#ids.transactionalId)
    const topics = [{ topic: connection.topic, partitions: [this.#partition] }]
    await whileBusy(connection, this.#clock, async () => (await coordinator()).addPartitionsToTxn({ ...this.#ids, topics }))
    const records: LogRecord[] = []
    for (const chunk of chunksOf(messages)) records.push(...(await this.#produce(cluster, chunk)))
    await mirror?.add(cluster, this.#ids, moved)
    await (await coordinator()).endTxn({ ...this.#ids, transactionResult: true })
    return records
  }

  async #produce(cluster: KafkajsCluster, messages: readonly KafkajsMessage[]): Promise<LogRecord[]> {
    const { topic } = this.#connection
    const leader = await this.#connection.leader(cluster, this.#partition)
    const partitions = [{ partition: this.#partition, firstSequence: this.#sequence, messages }]
    const { topics } = await leader.produce({ ...this.#ids, acks: -1, topicData: [{ topic, partitions }] })
    this.#sequence += messages.length
    const baseOffset = Number(topics[0]?.partitions[0]?.baseOffset)
    const appendedAtMs = appendTime(topics[0]?.partitions[0]?.logAppendTime, topic)
    return messages.map(({ key, value, headers }, index) => ({
      offset: baseOffset + index,
      appendedAtMs,
      key,
      value,
      parts: Number(headers?.[PARTS_HEADER] ?? 1),
    }))
  }
}

const CLOCK_KEY = Buffer.from('["","clock"]')

/** What the clock of a partition's leader says, learnt from a record that it appends; compaction keeps one of them. */
export async function brokerNow(connection: KafkaConnection, cluster: KafkajsCluster, partition: number): Promise<number> {
  const { topic } = connection
  const leader = await connection.leader(cluster, partition)
  const messages = [{ key: CLOCK_KEY, value: Buffer.alloc(0) }]
  const { topics } = await leader.produce({ acks: -1, topicData: [{ topic, partitions: [{ partition, firstSequence: 0, messages }] }] })
  return appendTime(topics[0]?.partitions[0]?.logAppendTime, topic)
}

/** A broker that takes the client's time says -1: then a client with a fast clock would take living leases for lapsed ones. */
function appendTime(text: string | undefined, topic: string): number {
  const time = Number(text)
  if (time >= 0) return time
  throw new ConfigError(`Topic ${topic} has lost its message.timestamp.type=LogAppendTime, by which leases live. Set it again.`)
}

/** Repeats what a coordinator refuses for a moment: the marker of the transaction before is being written, or it has just taken over. */
export async function whileBusy<T>(connection: KafkaConnection, clock: Clock, work: () => Promise<T>): Promise<T> {
  const giveUpAt = clock.monotonic() + BUSY_FOR_MS
  for (let waitMs = 1; ; waitMs = Math.min(waitMs * 1.5, 100)) {
    try {
      return await work()
    } catch (error) {
      const isBusy = errorCodeOf(error) === CONCURRENT_TRANSACTIONS
      if (!isBusy && !hasMoved(error)) throw error
      if (clock.monotonic() > giveUpAt) {
        throw new ConnectionError(
          `The transaction coordinator has been busy for ${BUSY_FOR_MS} ms. Look at the topic __transaction_state.`,
          {
            cause: error,
          },
        )
      }
      if (!isBusy) connection.forgetCoordinators()
    }
    await clock.sleep(waitMs)
  }
}

function chunksOf(messages: readonly KafkajsMessage[]): KafkajsMessage[][] {
  const chunks: KafkajsMessage[][] = []
  let room = 0
  for (const message of messages) {
    const bytes = message.key.length + (message.value?.length ?? 0) + 64
    if (chunks.length === 0 || bytes > room) {
      chunks.push([])
      room = REQUEST_BYTES
    }
    chunks.at(-1)?.push(message)
    room -= bytes
  }
  return chunks
}
