/** A header of a record. Names may repeat, so headers are a list. */
export type KafkaHeader = readonly [string, Buffer | null]

/**
 * A record as Kafka holds it. `timestamp` is milliseconds since the epoch, −1 where the format has none (magic 0); one beyond 2^53, which
 * only a producer's mistake makes, is the nearest number.
 * `key` and `value` are views of the fetched bytes: a view keeps its whole fetch alive, so copy what you keep or send to a thread.
 */
export type KafkaRecord = {
  readonly topic: string
  readonly partition: number
  readonly offset: number
  readonly timestamp: number
  readonly key: Buffer | null
  readonly value: Buffer | null
  readonly headers: readonly KafkaHeader[]
}
