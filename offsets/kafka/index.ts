import type { OffsetStore } from '../../src/core/offset-store.ts'
import { KafkaOffsetStore } from './kafka-offset-store.ts'
import { completeOptions, type KafkaOffsetsOptions } from './options.ts'

export type { KafkaOffsetsOptions } from './options.ts'

/**
 * Offsets in a compacted topic of Kafka, for those who want no other system beside it. The topic is made when a stream is first acquired, with
 * `cleanup.policy=compact`, `message.timestamp.type=LogAppendTime` and `unclean.leader.election.enable=false`; one that is there is checked for them.
 * Each write is one transaction of the stream's own transactional id, about 5 ms; leases live by the clock of the brokers. Kafka 2.1 or newer.
 *
 *     stream({ name: 'orders', offsets: kafkaOffsets({ kafka: { brokers: ['localhost:9092'] } }) })
 *
 * With `group`, Kafka's own tools show the stream's lag. Rights: on the topic Describe, DescribeConfigs, Read, Write (and Create); on transactional
 * ids with the prefix `tidemark-offsets-` Describe and Write; on the group Read.
 *
 * Throws `ConfigError` for options, and from its calls also for a topic that is set otherwise, `AuthError`, and `ConnectionError` while brokers are
 * away. A store that was closed opens again when it is used again; a `Kafka` that was given is left to whoever made it.
 */
export function kafkaOffsets(options: KafkaOffsetsOptions): OffsetStore & AsyncDisposable {
  return new KafkaOffsetStore(completeOptions(options))
}
