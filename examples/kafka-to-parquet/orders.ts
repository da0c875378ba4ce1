// Orders from Kafka into Parquet: typed columns, a folder a day, files of a useful size.
import { join } from 'node:path'
import { stream } from 'tidemark'
import { parquetSink } from 'tidemark/files'
import { json, kafkaSource } from 'tidemark/kafka'
import { sqliteOffsets } from 'tidemark/offsets/sqlite'

type Order = { id: number; customer: string; total: string; at: string; note?: string }

const { KAFKA_BROKERS = 'localhost:9092', TOPIC_PREFIX = '', EXAMPLE_DIRECTORY = '.' } = process.env

export default stream({
  name: 'orders',
  offsets: sqliteOffsets({ path: join(EXAMPLE_DIRECTORY, 'offsets.db') }),
  batchIntervalMs: 0,
  limits: { maxRecordsPerBatch: 5_000 },
  // So that after a kill nobody waits long.
  leaseTtlMs: 2_000,
})
  .from(kafkaSource({ kafka: { brokers: KAFKA_BROKERS.split(',') }, topics: [`${TOPIC_PREFIX}orders`] }))
  .map(json<Order>())
  .to(
    parquetSink({
      directory: join(EXAMPLE_DIRECTORY, 'orders'),
      columns: {
        id: { type: 'int64', nullable: false },
        customer: 'string',
        total: { type: 'decimal', precision: 12, scale: 2 },
        at: 'timestamp',
        note: 'string',
      },
      partitionBy: { dt: { time: 'at', pattern: 'yyyy-MM-dd' } },
      // Small, so that an example has some files to show; 128 MiB is usual.
      rollBytes: 200_000,
    }),
  )
