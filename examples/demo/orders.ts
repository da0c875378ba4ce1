// The job that the demo runs, kills and runs again: parse, project, write. Nothing in it knows of crashes.
import { stream } from 'tidemark'
import { jsonlSink } from 'tidemark/files'
import { json, kafkaSource } from 'tidemark/kafka'
import { sqliteOffsets } from 'tidemark/offsets/sqlite'

type Order = { id: number; customer: string; items: { sku: string; quantity: number; price: number }[]; currency: string; placedAt: string }

const {
  DEMO_BROKERS = 'localhost:9092',
  DEMO_TOPIC = 'demo-orders',
  DEMO_DIRECTORY = '.tidemark/demo',
  DEMO_BATCH_RECORDS = '50000',
} = process.env

export default stream({
  name: 'demo-orders',
  offsets: sqliteOffsets({ path: `${DEMO_DIRECTORY}/offsets.db` }),
  batchIntervalMs: 0,
  limits: { maxRecordsPerBatch: Number(DEMO_BATCH_RECORDS) },
  // The demo kills the driver, and nobody wants to wait for its lease.
  leaseTtlMs: 2_000,
})
  .from(kafkaSource({ kafka: { brokers: DEMO_BROKERS.split(',') }, topics: [DEMO_TOPIC] }))
  .map(json<Order>())
  .map(function project({ id, customer, items, currency, placedAt }) {
    const total = items.reduce((sum, item) => sum + item.quantity * item.price, 0)
    return { id, customer, total: Math.round(total * 100) / 100, currency, placedAt }
  })
  .to(jsonlSink({ directory: `${DEMO_DIRECTORY}/orders` }), { name: 'orders' })
