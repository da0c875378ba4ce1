// Plays orders.ts: a topic with a past, a live stream that begins at its end, and a backfill beside it that is killed and goes on.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { Client } from 'pg'
import { postgresOffsets } from 'tidemark/offsets/postgres'
import { killInsideBatch } from '../support/kill-inside-batch.ts'
import { runTidemark, startTidemark } from '../support/run-tidemark.ts'
import { createTopic, sendMessages } from '../support/topics.ts'

const PAST = 30_000
const LIVE = 5_000
const SENT_AT_A_TIME = 500
const LOOK_EVERY_MS = 50
const job = join(import.meta.dirname, 'orders.ts')
const connectionString = process.env.DATABASE_URL

const database = new Client({ connectionString })
await database.connect()
// No unique key: a row that came twice would be there twice.
await database.query('create table orders (id integer not null, customer text not null, total numeric not null)')

const topic = await createTopic('orders')
const send = (first: number, count: number) =>
  sendMessages(
    topic,
    Array.from({ length: count }, (_, at) => first + at).map(id => ({
      key: `customer-${id % 500}`,
      value: JSON.stringify({ id, customer: `customer-${id % 500}`, total: 1 + (id % 90) }),
    })),
  )
await send(0, PAST)
console.error(`${PAST} orders were in ${topic} before the stream began`)

await using store = postgresOffsets({ connectionString })
const live = startTidemark('run', job, '--no-progress')
while ((await store.read('orders')).offsets.length === 0) {
  assert.equal(live.exitCode, null, 'the live stream ended before it began')
  await delay(LOOK_EVERY_MS)
}
const sending = (async () => {
  for (let first = PAST; first < PAST + LIVE; first += SENT_AT_A_TIME) await send(first, SENT_AT_A_TIME)
})()

const backfill = ['backfill', job, '--from', 'earliest', '--until-live', '--yes', '--progress'] as const
const batch = await killInsideBatch(startTidemark(...backfill), store, 'orders~backfill-1')
console.error(`killed with SIGKILL: batch ${batch.id} of the backfill is begun and not committed; the live stream goes on`)
assert.equal((await runTidemark(...backfill)).code, 0)

await sending
live.kill('SIGTERM')
await once(live, 'exit')
// What was sent last may not have been read by then.
assert.equal((await runTidemark('run', job, '--until', 'latest')).code, 0)

const {
  rows: [found],
} = await database.query('select count(*)::int as rows, count(distinct id)::int as ids from orders')
await database.end()
assert.deepEqual(found, { rows: PAST + LIVE, ids: PAST + LIVE })
console.log(
  `backfill-beside-live: ${PAST} orders of the past, ${LIVE} live ones, ${found.rows} rows in the table, ${found.ids} different ids`,
)
