import { isRetryable, isTidemarkError } from '../../../../src/core/errors.ts'
import { partitionKey, showPartition, type TopicPartition } from '../../../../src/core/values.ts'
import type { BrokerClient } from '../../cluster/broker-client.ts'
import { REQUEST_TIMEOUT_MS } from '../../cluster/calls.ts'
import { reactionTo } from '../../cluster/kafka-errors.ts'
import { type BrokerAddress, showAddress } from '../../transport/kafka-transport.ts'
import { ADD_PARTITIONS_TO_TXN_CALL, type TransactionalWriter } from '../protocol/add-partitions-to-txn.ts'
import { END_TXN_CALL } from '../protocol/end-txn.ts'
import { INIT_PRODUCER_ID_CALL, RENEW_PRODUCER_ID_CALL } from '../protocol/init-producer-id.ts'
import { PRODUCE_CALL } from '../protocol/produce.ts'
import type { BatchBuilder } from '../records/batch-builder.ts'
import type { Compression } from '../records/compress.ts'
import { isTakenOver, OPERATION_NOT_ATTEMPTED, producerError } from './producer-errors.ts'
import type { SinkCluster } from './sink-cluster.ts'

/** How many requests are on their way at a time. */
const MAX_IN_FLIGHT = 4
/** How long a broker may take to write, ms. */
const PRODUCE_TIMEOUT_MS = 30_000
/** How long a coordinator may be away before a transaction is begun, and when it is to be committed, ms. */
const BEGIN_FOR_MS = 10_000
const COMMIT_FOR_MS = 60_000
/** How long the attempt to abort may take: what it leaves open, the next one to initialise the id aborts. */
const ABORT_FOR_MS = 2_000
const MAX_SEQUENCE = 2 ** 31

/** A batch that is ready to go. */
export type FilledBatch = TopicPartition & { readonly records: BatchBuilder }

/** How a producer is made. */
export type ProducerOptions = {
  readonly transactionalId: string
  readonly transactionTimeoutMs: number
  readonly compression: Compression
}

/**
 * One transactional id in our hands, and its transactions one after another. Whoever initialises the id next ends this: everything here then fails
 * with an error that `isTakenOver`. After any error it is thrown away; nothing is sent again on it but what ends a transaction.
 */
export class TransactionalProducer {
  readonly #cluster: SinkCluster
  readonly #options: ProducerOptions
  readonly #writer: TransactionalWriter
  /** The next sequence of each partition: they go on from transaction to transaction. */
  readonly #sequences = new Map<string, number>()
  /** Partitions of the transaction under way. */
  readonly #added = new Set<string>()
  readonly #clients = new Map<string, BrokerClient>()
  readonly #inFlight = new Set<Promise<void>>()
  #failure: { readonly error: unknown } | undefined
  #hasUnanswered = false

  private constructor(cluster: SinkCluster, options: ProducerOptions, writer: TransactionalWriter) {
    this.#cluster = cluster
    this.#options = options
    this.#writer = writer
  }

  /** Takes the id over. When it resolves, whatever its holders before had open is aborted or committed, and the markers are in the logs. */
  static async init(cluster: SinkCluster, options: ProducerOptions, signal: AbortSignal): Promise<TransactionalProducer> {
    const { transactionalId, transactionTimeoutMs } = options
    const { producerId, producerEpoch } = await cluster.coordinator.call(
      INIT_PRODUCER_ID_CALL,
      { transactionalId, transactionTimeoutMs },
      {
        transactionalId,
        what: `InitProducerId of ${transactionalId}`,
        codeOf: response => ({ code: response.errorCode }),
        retryForMs: COMMIT_FOR_MS,
        signal,
      },
    )
    return new TransactionalProducer(cluster, options, { transactionalId, producerId, producerEpoch })
  }

  /** Kafka's number for the id's holder: what the ledger's batches say they were written by. */
  get producerId(): number {
    return this.#writer.producerId
  }

  /**
   * Whether another transaction may be begun. Not after an answer was lost: the request may still lie with the broker, and a commit that arrives late
   * would commit half of the next transaction (KIP-890).
   */
  get isReusable(): boolean {
    return !this.#hasUnanswered && this.#added.size === 0
  }

  /** Says that the transaction writes to these partitions; the first call begins it. */
  async add(partitions: readonly TopicPartition[], signal: AbortSignal): Promise<void> {
    const added = partitions.filter(at => !this.#added.has(partitionKey(at)))
    if (added.length === 0) return
    // Noted first: where the answer gets lost the transaction may have begun.
    for (const at of added) this.#added.add(partitionKey(at))
    const { transactionalId } = this.#writer
    await this.#cluster.coordinator.call(
      ADD_PARTITIONS_TO_TXN_CALL,
      { ...this.#writer, partitions: added },
      {
        transactionalId,
        what: `AddPartitionsToTxn of ${added.length === 1 ? showPartition(added[0] as TopicPartition) : `${added.length} partitions`}`,
        codeOf: ({ results }) => {
          const failed = results.filter(({ errorCode }) => errorCode !== 0)
          const first = failed.find(({ errorCode }) => errorCode !== OPERATION_NOT_ATTEMPTED) ?? failed[0]
          return first === undefined ? { code: 0 } : { code: first.errorCode, topic: first.topic }
        },
        retryForMs: BEGIN_FOR_MS,
        signal,
        onUnanswered: this.#noteUnanswered,
      },
    )
  }

  /** Sends batches, one request a leader. Resolves when there is room for more, not when they are in: see {@link flush}. */
  async send(batches: readonly FilledBatch[], signal: AbortSignal): Promise<void> {
    await this.add(batches, signal)
    const byLeader = new Map<string, { address: BrokerAddress; batches: FilledBatch[] }>()
    for (const batch of batches) {
      const address = await this.#cluster.leaderOf(batch, signal)
      const own = byLeader.get(showAddress(address))
      if (own === undefined) byLeader.set(showAddress(address), { address, batches: [batch] })
      else own.batches.push(batch)
    }
    for (const { address, batches: own } of byLeader.values()) {
      while (this.#inFlight.size >= MAX_IN_FLIGHT) await Promise.race(this.#inFlight)
      this.#throwFailure()
      const client = await this.#connect(address, signal)
      const sent = this.#produce(client, own, signal)
        .catch(error => {
          this.#failure ??= { error }
        })
        .finally(() => this.#inFlight.delete(sent))
      this.#inFlight.add(sent)
    }
  }

  /** Resolves when everything that was sent is in. */
  async flush(): Promise<void> {
    await Promise.all(this.#inFlight)
    this.#throwFailure()
  }

  /**
   * Ends the transaction for good: when it resolves, what was sent will be seen. Answers that get lost are asked for again; an error leaves open
   * which way it ended.
   */
  async commit(signal: AbortSignal): Promise<void> {
    await this.flush()
    const { transactionalId } = this.#writer
    await this.#cluster.coordinator.call(
      END_TXN_CALL,
      { ...this.#writer, committed: true },
      {
        transactionalId,
        what: `Commit of transaction ${transactionalId}`,
        codeOf: response => ({ code: response.errorCode }),
        retryForMs: COMMIT_FOR_MS,
        signal,
        onUnanswered: this.#noteUnanswered,
      },
    )
    this.#added.clear()
    this.#release()
  }

  /**
   * Ends the transaction with nothing of it in, if it can be said at once, and lets the connections go. `why` is what made the attempt fail. Never throws.
   *
   * Where every request was answered a plain abort does. Where records may still lie with a broker, on a connection that was cut, they could arrive
   * behind the abort, as the beginning of a transaction that nobody ends: then the id is initialised again, which raises its epoch and refuses them. An
   * id that is known to be in other hands is left alone, for initialising it aborts what those have open (tried, also where the epoch is given).
   */
  async abandon(signal: AbortSignal, why?: unknown): Promise<void> {
    const { transactionalId, ...held } = this.#writer
    const { transactionTimeoutMs } = this.#options
    const about = {
      transactionalId,
      what: `Abort of transaction ${transactionalId}`,
      codeOf: (response: { readonly errorCode: number }) => ({ code: response.errorCode }),
      retryForMs: ABORT_FOR_MS,
      signal: AbortSignal.any([signal, AbortSignal.timeout(ABORT_FOR_MS)]),
    }
    const { coordinator } = this.#cluster
    try {
      if (this.#added.size > 0 && !isTakenOver(why)) {
        if (this.#hasUnanswered || this.#inFlight.size > 0) {
          await coordinator.call(RENEW_PRODUCER_ID_CALL, { transactionalId, transactionTimeoutMs, held }, about)
        } else await coordinator.call(END_TXN_CALL, { ...this.#writer, committed: false }, about)
      }
    } catch {
      // Why it is given up is what counts. The next to initialise the id ends what is left open, and so does the broker in time.
    }
    this.#release()
  }

  readonly #noteUnanswered = (): void => {
    this.#hasUnanswered = true
  }

  async #produce(client: BrokerClient, batches: readonly FilledBatch[], signal: AbortSignal): Promise<void> {
    const { transactionalId } = this.#writer
    const encoded = batches.map(batch => ({ topic: batch.topic, partition: batch.partition, bytes: this.#encode(batch) }))
    try {
      const { results } = await client.call(
        PRODUCE_CALL,
        { transactionalId, timeoutMs: PRODUCE_TIMEOUT_MS, batches: encoded },
        { timeoutMs: PRODUCE_TIMEOUT_MS + REQUEST_TIMEOUT_MS, signal },
      )
      for (const { topic, partition, errorCode, errorMessage: said } of results) {
        if (errorCode === 0) continue
        const reaction = reactionTo(errorCode)
        if (reaction === 'refresh' || reaction === 'unknown-topic') this.#cluster.markStale()
        throw producerError(errorCode, `Produce to ${showPartition({ topic, partition })}`, { topic, transactionalId, said })
      }
    } catch (error) {
      if (!isTidemarkError(error) || error.details.code === undefined) this.#hasUnanswered = true
      // A broker that went away takes its leaderships with it.
      if (isRetryable(error)) this.#cluster.markStale()
      throw error
    }
  }

  #encode({ records, ...at }: FilledBatch): Buffer {
    const key = partitionKey(at)
    const baseSequence = this.#sequences.get(key) ?? 0
    this.#sequences.set(key, (baseSequence + records.count) % MAX_SEQUENCE)
    return records.finish(this.#options.compression, { ...this.#writer, baseSequence })
  }

  /** One connection a leader for the whole transaction: the broker takes a connection's requests in order, and sequences must come in order. */
  async #connect(address: BrokerAddress, signal: AbortSignal): Promise<BrokerClient> {
    const key = showAddress(address)
    const open = this.#clients.get(key)
    if (open !== undefined) return open
    const client = await this.#cluster.session.pool.take(address, signal)
    this.#clients.set(key, client)
    return client
  }

  #release(): void {
    // An answer still on its way would come to whoever is next.
    if (this.#inFlight.size > 0) for (const client of this.#clients.values()) client.close()
    for (const client of this.#clients.values()) this.#cluster.session.pool.give(client)
    this.#clients.clear()
  }

  #throwFailure(): void {
    if (this.#failure !== undefined) throw this.#failure.error
  }
}
