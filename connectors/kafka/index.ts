/**
 * Kafka as a source, read by offset ranges, and as an exactly-once output, over connections that kafkajs opens.
 *
 *     import { json, kafkaSink, kafkaSource } from 'tidemark/kafka'
 */
export { type DecodedRecordBatches, type DecodeRecordBatchesOptions, decodeRecordBatches } from './decode-record-batches.ts'
export type { KafkaSourceOptions } from './options.ts'
export type { KafkaHeader, KafkaRecord } from './record.ts'
export { kafkaSink } from './sink/create-sink.ts'
export type { KafkaContent, KafkaHeaders, KafkaSinkOptions } from './sink/options.ts'
export { kafkaSource } from './source/create-source.ts'
export { hasValue, json, type RecordWithValue, text } from './values.ts'
