import { Pool } from 'pg'
import { expect, onTestFinished, test } from 'vitest'
import { postgresSink } from '../../../connectors/postgres/index.ts'
import { memoryOffsets } from '../../../offsets/memory/index.ts'
import { silentLog } from '../../../src/core/log.ts'
import { inProcess, stream } from '../../../src/index.ts'
import { memorySource } from '../../../src/testing/index.ts'
import { services } from '../../support/services.ts'
import { makePlace } from './postgres-task.ts'

const ROWS = 12_000
const PARTITIONS = 6

const place = await makePlace()

/** A stream of tasks that are too large to be held, each into two tables over one pool. */
async function runOver(pool: Pool, tables: readonly string[]): Promise<void> {
  onTestFinished(() => pool.end())
  const source = memorySource({ topics: { orders: PARTITIONS } })
  for (let id = 0; id < ROWS; id++) source.append('orders', id % PARTITIONS, { value: `${id}` })
  const job = stream({
    name: tables.join(),
    offsets: memoryOffsets(),
    executor: inProcess({ concurrency: PARTITIONS }),
    taskTimeoutMs: 30_000,
    retry: { forMs: 0 },
    batchIntervalMs: 0,
    log: silentLog,
  })
  const rows = job.from(source).map(record => ({ id: Number(record.value), note: 'n'.repeat(400) }))
  for (const table of tables) {
    await place.query(`create table ${table} (id bigint, note text)`)
    rows.to(postgresSink({ pool, table: `${place.schema}.${table}`, schema: place.schema }))
  }
  await (await job.start({ until: 'latest' })).done
}

test.for([2, 3, 5])('outputs that share a pool of few connections do not wait for each other: %d', async max => {
  const tables = [`first_of_${max}`, `second_of_${max}`]
  await runOver(new Pool({ connectionString: services().postgres, max }), tables)
  for (const table of tables) {
    const [counted] = await place.query<{ rows: string; different: string }>(
      `select count(*) as rows, count(distinct id) as different from ${table}`,
    )
    expect(counted).toEqual({ rows: String(ROWS), different: String(ROWS) })
  }
})

test('a pool with fewer connections than outputs is refused at the start, by what it needs', async () => {
  const pool = new Pool({ connectionString: services().postgres, max: 1 })
  await expect(runOver(pool, ['first_of_1', 'second_of_1'])).rejects.toMatchObject({
    code: 'CONFIG',
    message: expect.stringMatching(/at most 1 connection, and 2 outputs .*max: 3/),
  })
})
