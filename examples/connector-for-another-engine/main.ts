// Plays totals.ts: produces payments, kills the engine three times in the midst of a batch, lets it end, and adds up.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { sqliteOffsets } from 'tidemark/offsets/sqlite'
import { killInsideBatch } from '../support/kill-inside-batch.ts'
import { createTopic, sendMessages } from '../support/topics.ts'

const PAYMENTS = 30_000
const KILLS = 3
const { EXAMPLE_DIRECTORY = '.' } = process.env

const topic = await createTopic('payments', { partitions: 3 })
const payments = Array.from({ length: PAYMENTS }, (_, at) => ({ customer: `customer-${at % 97}`, cents: 1 + ((at * 7919) % 10_000) }))
await sendMessages(
  topic,
  payments.map((payment, at) => ({ partition: at % 3, value: JSON.stringify(payment) })),
)
console.error(`${PAYMENTS} payments are in ${topic}`)

const start = () =>
  spawn(process.execPath, [join(import.meta.dirname, 'totals.ts')], {
    stdio: ['ignore', process.stderr.fd, 'inherit'],
    env: { ...process.env, TIDEMARK_LOG_LEVEL: 'warn' },
  })

await using store = sqliteOffsets({ path: `${EXAMPLE_DIRECTORY}/offsets.db` })
for (let kill = 1; kill <= KILLS; kill++) {
  const batch = await killInsideBatch(start(), store, 'totals', { afterBatches: 3 * kill })
  console.error(`killed with SIGKILL: batch ${batch.id} is begun, of ${batch.ranges.length} ranges`)
}
const last = start()
const [code] = await once(last, 'exit')
assert.equal(code, 0)

using database = new DatabaseSync(`${EXAMPLE_DIRECTORY}/totals.db`, { readOnly: true })
const found = database.prepare('select customer, cents from totals order by customer').all()
const expected = [...Map.groupBy(payments, ({ customer }) => customer)]
  .map(([customer, some]) => ({ customer, cents: some.reduce((sum, { cents }) => sum + cents, 0) }))
  .sort((a, b) => (a.customer < b.customer ? -1 : 1))
assert.deepEqual(
  found.map(row => ({ ...row })),
  expected,
)
const committed = (await store.read('totals')).offsets.reduce((sum, { offset }) => sum + offset, 0)
assert.equal(committed, PAYMENTS)
console.log(
  `connector-for-another-engine: ${committed} payments committed, the sums of ${found.length} customers exact after ${KILLS} kills`,
)
