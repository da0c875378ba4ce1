import type { Source } from '../../../src/core/source.ts'
import { completeOptions, type KafkaSourceOptions } from '../options.ts'
import type { KafkaRecord } from '../record.ts'
import { AliasedSource } from './aliased-source.ts'
import { KafkaSource } from './kafka-source.ts'

/**
 * Reads topics of a Kafka cluster by offset ranges: no consumer group, no position kept, any range at any time. Connects when it is first
 * asked something; closed, it opens again when it is asked again.
 *
 *     kafkaSource({ kafka: { brokers: ['localhost:9092'] }, topics: ['orders'], startingOffsets: { at: 'earliest' } })
 *
 * @throws ConfigError listing every option that is wrong
 */
export function kafkaSource(options: KafkaSourceOptions): Source<KafkaRecord> & AsyncDisposable {
  const complete = completeOptions(options)
  const source = new KafkaSource(complete)
  return complete.alias === undefined ? source : new AliasedSource(source, complete.alias)
}
