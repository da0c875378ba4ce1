/** What people write by hand: kafkajs' `eachBatch`, multi-row inserts, and the offset in the same transaction. */
import { Kafka, logLevel } from 'kafkajs'
import { Pool } from 'pg'
import { childArguments, giveResult } from '../run-child.ts'
import { COLUMNS, type Order } from './orders-table.ts'

/** A statement has at most 65,535 parameters; more rows than this were no faster. */
const ROWS_PER_INSERT = 5_000

const [brokers, topic, connectionString, table, count] =
  childArguments<[brokers: string[], topic: string, connectionString: string, table: string, count: number]>()

const pool = new Pool({ connectionString })
await pool.query(
  `create table if not exists ${table}_offsets (topic text, partition int, next_offset bigint, primary key (topic, partition))`,
)
await pool.query(`truncate ${table}_offsets`)
const startedAt = performance.now()
const consumer = new Kafka({ brokers, logLevel: logLevel.NOTHING }).consumer({
  groupId: `${topic}-by-hand-${process.pid}`,
  maxBytesPerPartition: 8 << 20,
  maxBytes: 64 << 20,
})
await consumer.connect()
await consumer.subscribe({ topic, fromBeginning: true })
let records = 0
const { promise, resolve } = Promise.withResolvers<void>()
await consumer.run({
  autoCommit: false,
  partitionsConsumedConcurrently: 4,
  eachBatch: async ({ batch }) => {
    const client = await pool.connect()
    await client.query('begin')
    for (let from = 0; from < batch.messages.length; from += ROWS_PER_INSERT) {
      const orders = batch.messages.slice(from, from + ROWS_PER_INSERT).map(({ value }): Order => JSON.parse(String(value)))
      const places = orders.map((_, row) => `($${row * 4 + 1},$${row * 4 + 2},$${row * 4 + 3},$${row * 4 + 4})`)
      const columns = COLUMNS.map(column => `"${column}"`).join(',')
      const values = orders.flatMap(({ id, user, amount, note }) => [id, user, amount, note])
      await client.query(`insert into ${table} (${columns}) values ${places.join(',')}`, values)
    }
    await client.query(
      `insert into ${table}_offsets values ($1, $2, $3) on conflict (topic, partition) do update set next_offset = excluded.next_offset`,
      [topic, batch.partition, Number(batch.lastOffset()) + 1],
    )
    await client.query('commit')
    client.release()
    records += batch.messages.length
    if (records >= count) resolve()
  },
})
await promise
const ms = performance.now() - startedAt
await consumer.disconnect()
await pool.end()
giveResult({ ms, records })
