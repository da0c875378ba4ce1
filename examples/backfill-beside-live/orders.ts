// Orders into a table, from the moment of the first start on: what was there before is for a backfill.
import { stream } from 'tidemark'
import { json, kafkaSource } from 'tidemark/kafka'
import { postgresOffsets } from 'tidemark/offsets/postgres'
import { postgresSink } from 'tidemark/postgres'

type Order = { id: number; customer: string; total: number }

const { KAFKA_BROKERS = 'localhost:9092', TOPIC_PREFIX = '', DATABASE_URL } = process.env

export default stream({
  name: 'orders',
  offsets: postgresOffsets({ connectionString: DATABASE_URL }),
  batchIntervalMs: 200,
  limits: { maxRecordsPerBatch: 5_000 },
  // So that after a kill nobody waits long.
  leaseTtlMs: 2_000,
  guarantee: 'exactly-once',
})
  .from(
    kafkaSource({
      kafka: { brokers: KAFKA_BROKERS.split(',') },
      topics: [`${TOPIC_PREFIX}orders`],
      startingOffsets: { at: 'latest' },
    }),
  )
  .map(json<Order>())
  .to(postgresSink({ connectionString: DATABASE_URL, table: 'orders', columns: ['id', 'customer', 'total'] }))
