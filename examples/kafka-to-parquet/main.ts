// Plays orders.ts: produces orders, kills the job in the midst of a batch, runs it again, and asks DuckDB what is in the files.
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { DuckDBInstance } from '@duckdb/node-api'
import { listFiles } from 'tidemark/files'
import { sqliteOffsets } from 'tidemark/offsets/sqlite'
import { killInsideBatch } from '../support/kill-inside-batch.ts'
import { runTidemark, startTidemark } from '../support/run-tidemark.ts'
import { createTopic, sendMessages } from '../support/topics.ts'

const ORDERS = 50_000
const DAYS = 3
const job = join(import.meta.dirname, 'orders.ts')
const folder = process.env.EXAMPLE_DIRECTORY ?? '.'
const directory = join(folder, 'orders')

const topic = await createTopic('orders')
const firstDay = Date.parse('2026-11-18T00:00:00Z')
const orders = Array.from({ length: ORDERS }, (_, id) => ({
  id,
  customer: `customer-${id % 500}`,
  total: ((id % 90_000) / 100).toFixed(2),
  at: new Date(firstDay + Math.floor((id * DAYS * 86_400_000) / ORDERS)).toISOString(),
  ...(id % 10 === 0 && { note: 'a gift, "wrapped"' }),
}))
await sendMessages(
  topic,
  orders.map(order => ({ key: order.customer, value: JSON.stringify(order) })),
)
console.error(`${ORDERS} orders are in ${topic}`)

await using store = sqliteOffsets({ path: join(folder, 'offsets.db') })
const batch = await killInsideBatch(startTidemark('run', job, '--until', 'latest', '--progress'), store, 'orders')
const before = await listFiles(directory)
console.error(`killed with SIGKILL: batch ${batch.id} is begun and not committed; the manifest has ${before.length} files`)

const { code } = await runTidemark('run', job, '--until', 'latest', '--progress')
assert.equal(code, 0)

const files = await listFiles(directory)
const connection = await (await DuckDBInstance.create()).connect()
const paths = files.map(({ path }) => `'${path.replaceAll("'", "''")}'`).join(', ')
const read = await connection.runAndReadAll(`
  select strftime(dt, '%Y-%m-%d') as dt, count(*)::int as orders, count(distinct id)::int as ids, sum(total)::varchar as total, count(note)::int as notes
  from read_parquet([${paths}], hive_partitioning = true, hive_types = {'dt': DATE}) group by all order by all`)
const days = read.getRowObjectsJson()
console.error(days.map(day => `  ${JSON.stringify(day)}`).join('\n'))

const expected = Map.groupBy(orders, ({ at }) => at.slice(0, 10))
assert.deepEqual(
  days,
  [...expected].map(([dt, all]) => ({
    dt,
    orders: all.length,
    ids: all.length,
    total: (all.reduce((cents, { total }) => cents + Math.round(Number(total) * 100), 0) / 100).toFixed(2),
    notes: all.filter(({ note }) => note !== undefined).length,
  })),
)
const found = days.reduce((sum, day) => sum + Number(day.orders), 0)
console.log(`kafka-to-parquet: ${ORDERS} orders, ${found} rows in ${files.length} files of ${days.length} days`)
