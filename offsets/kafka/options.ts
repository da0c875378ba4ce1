import type { Kafka, KafkaConfig } from 'kafkajs'
import { z } from 'zod'
import { kafkajsInput } from '../../src/util/kafkajs-input.ts'
import { parseOptions } from '../../src/util/parse-options.ts'

/** What users hand over: kafkajs' configuration, or the client they made of it. */
export type KafkajsInput = KafkaConfig | Kafka

export type KafkaOffsetsOptions = {
  /** kafkajs' configuration (brokers, ssl, sasl, clientId, …), or a `Kafka` made of it. */
  readonly kafka: KafkajsInput
  /** The compacted topic that offsets live in. It is made when a stream is first acquired. @default 'tidemark-offsets' */
  readonly topic?: string
  /**
   * A consumer group that is told every committed offset in the same transaction, so that Kafka's own tools show the lag. Nothing reads it back,
   * and what fails there is a warning of the process. Its topics must be in the same cluster. @default none
   */
  readonly group?: string
}

const schema = z.strictObject({
  kafka: kafkajsInput<KafkajsInput>(),
  topic: z
    .string()
    .regex(/^[A-Za-z0-9._-]{1,249}$/, { error: "a topic's name: at most 249 letters, digits, dots, dashes and underscores" })
    .default('tidemark-offsets'),
  group: z.string().min(1, { error: 'the name of a consumer group' }).optional(),
})

/** A store's options with every default in. */
export type CompleteKafkaOffsetsOptions = {
  readonly kafka: KafkajsInput
  readonly topic: string
  readonly group: string | undefined
}

/** Checks and completes a store's options. @throws ConfigError listing every mistake with its path */
export function completeOptions(options: KafkaOffsetsOptions): CompleteKafkaOffsetsOptions {
  const { kafka, topic, group } = parseOptions(schema, options, 'kafkaOffsets')
  return { kafka, topic, group }
}
