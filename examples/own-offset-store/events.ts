// A job over the store: events into files.
import { stream } from 'tidemark'
import { jsonlSink } from 'tidemark/files'
import { json, kafkaSource } from 'tidemark/kafka'
import { DocumentOffsetStore } from './document-offsets.ts'
import { VersionedFiles } from './versioned-files.ts'

const { KAFKA_BROKERS = 'localhost:9092', TOPIC_PREFIX = '', EXAMPLE_DIRECTORY = '.' } = process.env

export default stream({
  name: 'events',
  offsets: new DocumentOffsetStore(new VersionedFiles(`${EXAMPLE_DIRECTORY}/offsets`)),
  batchIntervalMs: 0,
  limits: { maxRecordsPerBatch: 1_000 },
  leaseTtlMs: 2_000,
})
  .from(kafkaSource({ kafka: { brokers: KAFKA_BROKERS.split(',') }, topics: [`${TOPIC_PREFIX}events`] }))
  .map(json<{ id: number }>())
  .to(jsonlSink({ directory: `${EXAMPLE_DIRECTORY}/events` }), { name: 'events' })
