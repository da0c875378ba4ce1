// Plays orders.ts: produces orders, kills the job in the midst of a batch, runs it again, and asks the table.
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { Client } from 'pg'
import { postgresOffsets } from 'tidemark/offsets/postgres'
import { killInsideBatch } from '../support/kill-inside-batch.ts'
import { runTidemark, startTidemark } from '../support/run-tidemark.ts'
import { createTopic, sendMessages } from '../support/topics.ts'

const ORDERS = 50_000
const job = join(import.meta.dirname, 'orders.ts')
const connectionString = process.env.DATABASE_URL

const database = new Client({ connectionString })
await database.connect()
// No unique key: a row that came twice would be there twice.
await database.query('create table orders (id integer not null, customer text not null, total numeric not null)')

const topic = await createTopic('orders')
const orders = Array.from({ length: ORDERS }, (_, id) => ({
  id,
  customer: `customer-${id % 500}`,
  items: [{ price: 1 + (id % 90), quantity: 1 + (id % 3) }],
}))
await sendMessages(
  topic,
  orders.map(order => ({ key: order.customer, value: JSON.stringify(order) })),
)
console.error(`${ORDERS} orders are in ${topic}`)

await using store = postgresOffsets({ connectionString })
const batch = await killInsideBatch(startTidemark('run', job, '--until', 'latest', '--progress'), store, 'orders')
console.error(`killed with SIGKILL: batch ${batch.id} is begun and not committed`)

const { code } = await runTidemark('run', job, '--until', 'latest', '--progress')
assert.equal(code, 0)

const {
  rows: [found],
} = await database.query('select count(*)::int as rows, count(distinct id)::int as ids, sum(total)::int as total from orders')
await database.end()
const total = orders.flatMap(({ items }) => items).reduce((sum, { price, quantity }) => sum + price * quantity, 0)
assert.deepEqual(found, { rows: ORDERS, ids: ORDERS, total })
console.log(`kafka-to-postgres: ${ORDERS} orders, ${found.rows} rows in the table, ${found.ids} different ids`)
