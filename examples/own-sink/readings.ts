// Readings of sensors into a table of SQLite, by a sink of one's own.
import { stream } from 'tidemark'
import { json, kafkaSource } from 'tidemark/kafka'
import { sqliteOffsets } from 'tidemark/offsets/sqlite'
import { sqliteSink } from './sqlite-sink.ts'

type Reading = { id: number; sensor: string; celsius: number }

const { KAFKA_BROKERS = 'localhost:9092', TOPIC_PREFIX = '', EXAMPLE_DIRECTORY = '.' } = process.env

export default stream({
  name: 'readings',
  offsets: sqliteOffsets({ path: `${EXAMPLE_DIRECTORY}/offsets.db` }),
  batchIntervalMs: 0,
  limits: { maxRecordsPerBatch: 2_000, maxRecordsPerTask: 500 },
  leaseTtlMs: 1_000,
  guarantee: 'exactly-once',
})
  .from(kafkaSource({ kafka: { brokers: KAFKA_BROKERS.split(',') }, topics: [`${TOPIC_PREFIX}readings`] }))
  .map(json<Reading>())
  .to(sqliteSink<Reading>({ path: `${EXAMPLE_DIRECTORY}/readings.db`, table: 'readings', columns: ['id', 'sensor', 'celsius'] }))
