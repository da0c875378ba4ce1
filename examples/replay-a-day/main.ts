// Plays orders.ts: three days of orders, the second read by a job with a mistake, and that day run again when the mistake is mended.
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { Client } from 'pg'
import { runTidemark } from '../support/run-tidemark.ts'
import { createTopic, sendMessages } from '../support/topics.ts'

const DAY_MS = 86_400_000
/** The last three whole days: a broker by its defaults keeps no record that is a week old, and takes none from the future. */
const now = Date.now()
const [before, replayed, after] = [3, 2, 1].map(ago => new Date(now - ago * DAY_MS).toISOString().slice(0, 10)) as [string, string, string]
const DAYS = [before, replayed, after]
const ORDERS_A_DAY = 8_640
const ONE_EVERY_MS = 10_000
const job = join(import.meta.dirname, 'orders.ts')

const database = new Client({ connectionString: process.env.DATABASE_URL })
await database.connect()
await database.query('create table orders (id integer primary key, day text not null, net integer not null)')
const topic = await createTopic('orders')

for (const [at, day] of DAYS.entries()) {
  const orders = Array.from({ length: ORDERS_A_DAY }, (_, nth) => ({ id: at * ORDERS_A_DAY + nth, day, cents: 120 * (1 + (nth % 50)) }))
  await sendMessages(
    topic,
    orders.map((order, nth) => ({ key: String(order.id), value: JSON.stringify(order), timestamp: Date.parse(day) + nth * ONE_EVERY_MS })),
  )
  if (day === replayed) process.env.MISTAKE = 'tax is left in'
  else delete process.env.MISTAKE
  assert.equal((await runTidemark('run', job, '--until', 'latest', '--progress')).code, 0)
}
const wrong = await countWrong()
console.error(`the mistake is mended, and ${wrong} orders of ${replayed} are still wrong in the table`)

const day = ['backfill', job, '--from', replayed, '--to', after] as const
assert.equal((await runTidemark(...day, '--dry-run')).code, 0)
const { code, stdout } = await runTidemark(...day, '--max-rate', '5000', '--yes', '--progress', '--json')
assert.equal(code, 0)
const { records } = JSON.parse(stdout)

const { rows } = await database.query('select day, count(*)::int as orders from orders group by day order by day')
assert.deepEqual(
  rows,
  DAYS.map(name => ({ day: name, orders: ORDERS_A_DAY })),
)
console.log(`replay-a-day: ${wrong} orders were wrong, ${records} were run again, ${await countWrong()} are wrong now`)
await database.end()

/** Orders whose price still has its tax: all prices are multiples of 120 with it, and of 100 without. */
async function countWrong(): Promise<number> {
  const { rows } = await database.query('select count(*)::int as wrong from orders where net <> 100 * (1 + (id % $1) % 50)', [ORDERS_A_DAY])
  return rows[0].wrong
}
