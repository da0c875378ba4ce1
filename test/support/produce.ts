import type { KafkaAddress } from './cluster/kafka-cluster.ts'
import { runJava, SHORT_RUN } from './cluster/run-java.ts'

/** What {@link produce} writes. Values, keys and partitions follow from a record's id alone: record `i` goes to partition `i mod n`. */
export type ProduceOptions = {
  readonly topic: string
  readonly count: number
  /** Size of every value, a JSON object `{id, user, amount, note}`. @default 73 */
  readonly bytes?: number
  /** @default 0 */
  readonly firstId?: number
  /** Whether records have a key. @default false */
  readonly keys?: boolean
  /** Headers a record. @default 0 */
  readonly headers?: number
  /** Of the first record, in ms since 1970. @default the time each is sent */
  readonly timestamp?: number
  /** From one record to the next, in ms; with `timestamp`. @default 0 */
  readonly timestampStep?: number
  /** @default 'none' */
  readonly compression?: 'none' | 'gzip' | 'snappy' | 'lz4' | 'zstd'
  /** The producer's `batch.size`. @default 131072 */
  readonly batchBytes?: number
  /** @default 5 */
  readonly lingerMs?: number
  /** @default true */
  readonly idempotent?: boolean
  /** Records a transaction; 0 for none. @default 0 */
  readonly transactionRecords?: number
  /** Every k-th transaction of a producer is aborted; 0 for none. @default 0 */
  readonly abortEvery?: number
  /** Producers that take turns record by record, each with its own transactional id, so that their transactions interleave. @default 1 */
  readonly producers?: number
  /** Prefix of their transactional ids. @default the topic */
  readonly transactionalId?: string
  /** Records a second; 0 for as fast as it goes. @default 0 */
  readonly perSecond?: number
}

/** What {@link produce} wrote: `committed` are the records that were not aborted, `ms` is the time of sending alone. */
export type ProduceReport = { readonly records: number; readonly committed: number; readonly aborted: number; readonly ms: number }

/** From here on it takes long enough for Java to compile it well. */
const MANY = 100_000

/** Fills a topic with the official Java producer, at about a million small records a second. */
export async function produce(kafka: KafkaAddress, options: ProduceOptions): Promise<ProduceReport> {
  const args = Object.entries({ transactionalId: options.topic, ...options }).map(([name, value]) => `${name}=${value}`)
  const printed = await runJava(kafka, 'Produce.java', brokers => [`brokers=${brokers}`, ...args], {
    jvm: options.count < MANY ? SHORT_RUN : [],
  })
  return JSON.parse(printed)
}
