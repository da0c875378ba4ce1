// Orders from Kafka into a table of Postgres. Nothing here knows of crashes.
import { stream } from 'tidemark'
import { json, kafkaSource } from 'tidemark/kafka'
import { postgresOffsets } from 'tidemark/offsets/postgres'
import { postgresSink } from 'tidemark/postgres'

type Order = { id: number; customer: string; items: { price: number; quantity: number }[] }

const { KAFKA_BROKERS = 'localhost:9092', TOPIC_PREFIX = '', DATABASE_URL } = process.env

export default stream({
  name: 'orders',
  offsets: postgresOffsets({ connectionString: DATABASE_URL }),
  batchIntervalMs: 0,
  limits: { maxRecordsPerBatch: 5_000 },
  // So that after a kill nobody waits long.
  leaseTtlMs: 2_000,
  guarantee: 'exactly-once',
})
  .from(kafkaSource({ kafka: { brokers: KAFKA_BROKERS.split(',') }, topics: [`${TOPIC_PREFIX}orders`] }))
  .map(json<Order>())
  .map(({ id, customer, items }) => ({ id, customer, total: items.reduce((sum, { price, quantity }) => sum + price * quantity, 0) }))
  .filter(order => order.total > 0)
  .to(postgresSink({ connectionString: DATABASE_URL, table: 'orders', columns: ['id', 'customer', 'total'] }))
