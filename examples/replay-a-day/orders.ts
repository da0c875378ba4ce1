// Orders with their price without tax, into a table by key. With MISTAKE set it is the job as it was for a day, before somebody found out.
import { stream } from 'tidemark'
import { json, kafkaSource } from 'tidemark/kafka'
import { postgresOffsets } from 'tidemark/offsets/postgres'
import { postgresSink } from 'tidemark/postgres'

type Order = { id: number; day: string; cents: number }

const { KAFKA_BROKERS = 'localhost:9092', TOPIC_PREFIX = '', DATABASE_URL, MISTAKE } = process.env

export default stream({
  name: 'orders',
  offsets: postgresOffsets({ connectionString: DATABASE_URL }),
  batchIntervalMs: 0,
  limits: { maxRecordsPerBatch: 10_000 },
  guarantee: 'exactly-once',
})
  .from(kafkaSource({ kafka: { brokers: KAFKA_BROKERS.split(',') }, topics: [`${TOPIC_PREFIX}orders`] }))
  .map(json<Order>())
  .map(({ id, day, cents }) => ({ id, day, net: MISTAKE === undefined ? Math.round(cents / 1.2) : cents }))
  .to(postgresSink({ connectionString: DATABASE_URL, table: 'orders', columns: ['id', 'day', 'net'], key: ['id'] }))
