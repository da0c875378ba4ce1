import { z } from 'zod'
import { parseOptions } from '../../../src/util/parse-options.ts'
import type { KafkajsInput } from '../transport/kafkajs-transport.ts'
import type { Compression } from './records/compress.ts'

/** A key or a value: text is written as UTF-8. */
export type KafkaContent = Buffer | string | null
/** Headers of a record that is written. Names may repeat, so they are a list. */
export type KafkaHeaders = readonly (readonly [name: string, value: KafkaContent])[]

/** What `kafkaSink` takes. */
export type KafkaSinkOptions<Row> = {
  /** kafkajs' configuration (brokers, ssl, sasl, clientId, …), or a `Kafka` made of it. */
  readonly kafka: KafkajsInput
  /** Where rows go: a topic, or a function that names one a row. Topics are there already; none is made. */
  readonly topic: string | ((row: Row) => string)
  /** @default the key of a row that is a record, none for any other */
  readonly key?: (row: Row) => KafkaContent
  /** @default the value of a row that is a record, the JSON of any other */
  readonly value?: (row: Row) => KafkaContent
  /** @default the headers of a row that is a record, none for any other */
  readonly headers?: (row: Row) => KafkaHeaders
  /** @default by the key's hash, as Java's producer does; rows without a key fill one partition after another */
  readonly partition?: (row: Row) => number
  /** @default 'none' */
  readonly compression?: Compression
  /** The compacted topic that holds fences and ledgers, on the same cluster; made on first use. @default 'tidemark-ledger' */
  readonly ledgerTopic?: string
  /** After how long Kafka aborts a transaction by itself, ms: the longest that a task may take here. @default 600_000 */
  readonly transactionTimeoutMs?: number
  /** The most bytes of one batch of records before compression, and so of one record; the topic's `max.message.bytes` must allow it. @default 1 MiB */
  readonly maxRequestBytes?: number
}

const aFunction = <T>(form: string) => z.custom<T>(value => typeof value === 'function', { error: form })
const TOPIC_NAME = /^[A-Za-z0-9._-]{1,249}$/

/** Whether a topic can be called so. */
export function isTopicName(name: unknown): name is string {
  return typeof name === 'string' && TOPIC_NAME.test(name)
}

const topicName = z.string().regex(TOPIC_NAME, { error: 'the name of a topic: letters, digits, ".", "_" and "-"' })

function schemaOf<Row>() {
  return z.strictObject({
    kafka: z.custom<KafkajsInput>(value => typeof value === 'object' && value !== null, {
      error: "kafkajs' configuration with at least { brokers: ['host:port'] }, or a Kafka made of it",
    }),
    topic: z.union([topicName, aFunction<(row: Row) => string>('')], {
      error: 'the name of a topic, or a function of the row that gives one',
    }),
    key: aFunction<(row: Row) => KafkaContent>('a function of the row that gives a Buffer, text or null').optional(),
    value: aFunction<(row: Row) => KafkaContent>('a function of the row that gives a Buffer, text or null').optional(),
    headers: aFunction<(row: Row) => KafkaHeaders>('a function of the row that gives a list of [name, value]').optional(),
    partition: aFunction<(row: Row) => number>('a function of the row that gives the number of a partition').optional(),
    compression: z.enum(['none', 'gzip', 'snappy', 'lz4', 'zstd']).default('none'),
    ledgerTopic: topicName.default('tidemark-ledger'),
    transactionTimeoutMs: z.number().int().min(1_000, { error: 'a whole number of milliseconds from 1000' }).default(600_000),
    maxRequestBytes: z
      .number()
      .int()
      .min(1_024, { error: 'a whole number of bytes from 1024' })
      .max(2 ** 30, { error: 'at most 1073741824 bytes' })
      .default(1_048_576),
  })
}

/** A sink's options with every default in. */
export type CompleteKafkaSinkOptions<Row> = Required<Omit<KafkaSinkOptions<Row>, 'key' | 'value' | 'headers' | 'partition'>> & {
  readonly key: ((row: Row) => KafkaContent) | undefined
  readonly value: ((row: Row) => KafkaContent) | undefined
  readonly headers: ((row: Row) => KafkaHeaders) | undefined
  readonly partition: ((row: Row) => number) | undefined
}

/** Checks and completes a sink's options. @throws ConfigError listing every mistake with its path */
export function completeSinkOptions<Row>(options: KafkaSinkOptions<Row>): CompleteKafkaSinkOptions<Row> {
  const { key, value, headers, partition, ...rest } = parseOptions(schemaOf<Row>(), options, 'kafkaSink')
  return { ...rest, key, value, headers, partition }
}
