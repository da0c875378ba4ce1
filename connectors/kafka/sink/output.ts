import { ConfigError, ConnectionError, type TidemarkError } from '../../../src/core/errors.ts'
import { type FenceRow, taskFenced } from '../../../src/core/fence-rules.ts'
import type { Task, TopicPartition } from '../../../src/core/values.ts'
import { LEDGER_PARTITION, Ledger } from './ledger/ledger.ts'
import { encodeLedgerRecord, type LedgerOwner, type LedgerRecord } from './ledger/ledger-records.ts'
import type { SinkCluster } from './producer/sink-cluster.ts'
import { type FilledBatch, type ProducerOptions, TransactionalProducer } from './producer/transactional-producer.ts'
import { BatchBuilder } from './records/batch-builder.ts'

/** What an output needs of its sink's options. */
export type OutputOptions = Omit<ProducerOptions, 'transactionalId'> & {
  /** How the place is called in messages. */
  readonly destination: string
  readonly ledgerTopic: string
  readonly maxRequestBytes: number
}

/**
 * One output of one stream in this process: its ledger, and the transactional ids in its hands.
 *
 * An id that a transaction was committed under is kept for the next task of the same index, and then neither initialised nor followed by a read of the
 * ledger. That is safe because whoever commits under an id must be the last who initialised it: if another has run a task of this index since, our id is
 * dead, and the first request of the transaction says so. If nobody has, then all that was ever committed under it was either read by us after our own
 * init or written by us, so the ledger rows that we know of for this index are all there are.
 */
export class Output {
  readonly owner: LedgerOwner
  readonly ledger: Ledger
  readonly options: OutputOptions
  readonly cluster: SinkCluster
  readonly #idle = new Map<number, TransactionalProducer>()

  constructor(cluster: SinkCluster, options: OutputOptions, owner: LedgerOwner) {
    this.cluster = cluster
    this.options = options
    this.owner = owner
    this.ledger = new Ledger(cluster.session, options.ledgerTopic, owner)
  }

  /** Where fences and ledger rows are written. */
  get ledgerAt(): TopicPartition {
    return { topic: this.options.ledgerTopic, partition: LEDGER_PARTITION }
  }

  /** `fence` or a task's index: whoever runs a task again fences the attempt before it. */
  transactionalId(of: 'fence' | number): string {
    return `tidemark-${this.owner.streamId}-${this.owner.output}-${of}`
  }

  /** Takes an id over from whoever holds it. */
  init(of: 'fence' | number, signal: AbortSignal): Promise<TransactionalProducer> {
    const { transactionTimeoutMs, compression } = this.options
    return TransactionalProducer.init(
      this.cluster,
      { transactionalId: this.transactionalId(of), transactionTimeoutMs, compression },
      signal,
    )
  }

  /** An id that is ours as far as we know, for one attempt alone: a second attempt of the same task beside it finds none, and takes the id over. */
  takeIdle(index: number): TransactionalProducer | undefined {
    const producer = this.#idle.get(index)
    this.#idle.delete(index)
    return producer
  }

  /** Keeps an id whose transaction is committed, or that has begun none. */
  keep(index: number, producer: TransactionalProducer): void {
    this.#idle.set(index, producer)
  }

  /** The fence that counts for this stream. A stream of another id under the same name has its own rows. */
  fenceFor(task: Task): FenceRow | undefined {
    const { fence } = this.ledger.view
    if (fence !== undefined && fence.streamId !== this.owner.streamId) throw taskFenced(this.options.destination, fence, task)
    return fence
  }

  /** Ledger records as batches for the ledger's partition. */
  batchesOf(records: readonly LedgerRecord[]): FilledBatch[] {
    const batches: FilledBatch[] = []
    const now = Date.now()
    let builder: BatchBuilder | undefined
    for (const record of records) {
      const { key, value } = encodeLedgerRecord(this.owner, record)
      const bytes = Buffer.from(key)
      if (builder?.append(bytes, bytes.length, value, now)) continue
      builder = new BatchBuilder(this.options.maxRequestBytes)
      if (!builder.append(bytes, bytes.length, value, now)) {
        throw new ConfigError(
          `A ledger record of output ${this.owner.output} does not fit maxRequestBytes, ${this.options.maxRequestBytes}. Raise it.`,
        )
      }
      batches.push({ ...this.ledgerAt, records: builder })
    }
    return batches
  }
}

/** What an attempt, or a driver, ends with that lost its id to another while nothing says that the other may have it. */
export function idTakenOver(transactionalId: string, cause: unknown): TidemarkError {
  return new ConnectionError(
    `Transactional id ${transactionalId} was initialised by another, or its transaction took longer than transactionTimeoutMs; nothing of it is in. It is ` +
      'tried again.',
    { cause, details: { transactionalId } },
  )
}
