import { fileURLToPath } from 'node:url'
import pg from 'pg'
import { beforeAll, expect, onTestFinished, test } from 'vitest'
import { temporaryFolder } from '../connectors/files/temporary-folder.ts'
import { tidemark } from '../src/cli/tidemark-process.ts'
import { writeJob } from '../src/cli/write-job.ts'
import { createTopic, kafkaCluster, uniqueName } from '../support/kafka.ts'
import { produce } from '../support/produce.ts'
import { services } from '../support/services.ts'
import { type Place, placesByJava } from './files-of-places.ts'

const oracle = fileURLToPath(new URL('../support/oracle.ts', import.meta.url))
let topic: string
let byJava: readonly Place[]

beforeAll(async () => {
  topic = await createTopic(uniqueName('replay'), { partitions: 3 })
  await produce(kafkaCluster(), { topic, count: 500, keys: true })
  byJava = await placesByJava(topic)
})

/** A job that has appended the topic to a table of its own, in batches of 100, with its ledger in a schema of its own. */
async function afterRun() {
  const cwd = temporaryFolder()
  const name = uniqueName('replay').replaceAll('-', '_')
  const client = new pg.Client(services().postgres)
  await client.connect()
  onTestFinished(() => client.end())
  await client.query(`create table ${name} (partition int not null, "offset" bigint not null, crc bigint not null)`)
  writeJob(
    cwd,
    'orders.ts',
    `import { stream } from 'tidemark'
import { kafkaSource } from 'tidemark/kafka'
import { postgresSink } from 'tidemark/postgres'
import { recordCrc } from '${oracle}'
export default stream({ name: 'orders', batchIntervalMs: 0, limits: { maxRecordsPerBatch: 100 }, guarantee: 'exactly-once' })
  .from(kafkaSource({ kafka: { brokers: ${JSON.stringify(kafkaCluster().brokers)} }, topics: ['${topic}'] }))
  .map(record => ({ partition: record.partition, offset: record.offset, crc: recordCrc(record) }))
  .to(postgresSink({ connectionString: '${services().postgres}', table: '${name}', schema: '${name}_ledger' }), { name: 'table' })
`,
  )
  const run = (...args: string[]) => tidemark(args, { cwd })
  expect(await run('run', 'orders.ts', '--until', 'latest')).toMatchObject({ code: 0 })
  return {
    client,
    name,
    run,
    async rows(): Promise<Place[]> {
      const { rows } = await client.query(`select * from ${name} order by partition, "offset"`)
      return rows.map(row => ({ topic, partition: row.partition, offset: Number(row.offset), crc: Number(row.crc) }))
    },
  }
}

test('a replay into an append table must be asked for, and then has exactly the rows of its batches once more', async () => {
  const { run, rows } = await afterRun()
  expect(await rows()).toEqual(byJava)
  const refused = await run('replay', 'orders.ts', '--batch', '2', '--yes')
  expect(refused).toMatchObject({ code: 2, stderr: expect.stringContaining('table would hold the rows of 1 batch twice') })
  expect(refused.stdout).toContain('Output table: its rows are appended a second time.\n')

  expect(await run('replay', 'orders.ts', '--batch', '2', '--append-again', '--yes')).toMatchObject({ code: 0 })
  const { entries } = JSON.parse((await run('offsets', 'history', 'orders.ts', '--json')).stdout) as {
    entries: { kind: string; batch: { id: number; ranges: { partition: number; fromOffset: number; untilOffset: number }[] } }[]
  }
  const ranges = entries.find(({ kind, batch }) => kind === 'batch' && batch.id === 2)?.batch.ranges ?? []
  const isIn = ({ partition, offset }: Place) =>
    ranges.some(range => range.partition === partition && range.fromOffset <= offset && offset < range.untilOffset)
  expect(await rows()).toEqual(byJava.flatMap(place => (isIn(place) ? [place, place] : [place])))
  expect(byJava.filter(isIn).length).toBeGreaterThan(50)
  expect(await run('run', 'orders.ts', '--until', 'latest', '--json')).toMatchObject({
    code: 0,
    stdout: expect.stringContaining('"batches":0'),
  })
})

test('a destination that has lost its rows is filled by a replay, and adopted', async () => {
  const { client, name, run, rows } = await afterRun()
  await client.query(`truncate ${name}; drop schema ${name}_ledger cascade`)
  const refused = await run('run', 'orders.ts', '--until', 'latest')
  expect(refused.code).toBe(1)
  expect(refused.stderr).toMatch(/does not have batches up to (\d+) of stream orders.*\(tidemark replay\) and then run with --adopt table/)
  const { lastBatchId } = JSON.parse((await run('offsets', 'show', 'orders.ts', '--json')).stdout) as { lastBatchId: number }
  const batches = Array.from({ length: lastBatchId }, (_, index) => ['--batch', String(index + 1)]).flat()
  expect(await run('replay', 'orders.ts', ...batches, '--append-again', '--yes')).toMatchObject({ code: 0 })
  expect(await rows()).toEqual(byJava)
  expect(await run('run', 'orders.ts', '--until', 'latest', '--adopt', 'table')).toMatchObject({ code: 0 })
  expect(await run('run', 'orders.ts', '--until', 'latest')).toMatchObject({ code: 0 })
  expect(await rows()).toEqual(byJava)
})

test('a rewind appends the rows of what is taken back a second time, as it says', async () => {
  const { run, rows } = await afterRun()
  const { stdout } = await run('offsets', 'rewind', 'orders.ts', '--batches', '1', '--yes')
  expect(stdout).toContain('Output table: its rows that come again are appended a second time.\n')
  const before = await rows()
  expect(await run('run', 'orders.ts', '--until', 'latest')).toMatchObject({ code: 0 })
  const after = await rows()
  expect(after.length).toBeGreaterThan(before.length)
  expect(new Set(after.map(place => JSON.stringify(place))).size).toBe(byJava.length)
})

test('--discard says which tasks the table has', async () => {
  const { client, name, run } = await afterRun()
  await client.query(`truncate ${name}; alter table ${name} add constraint early check (partition <> 2 or "offset" < 100)`)
  expect(await run('offsets', 'reset', 'orders.ts', '--to', 'earliest', '--yes')).toMatchObject({ code: 0 })
  expect(await run('run', 'orders.ts', '--until', 'latest')).toMatchObject({ code: 1 })
  const discarded = await run('offsets', 'reset', 'orders.ts', '--to', 'latest', '--discard', '--yes', '--json')
  expect(discarded).toMatchObject({ code: 0 })
  const { rows: ledger } = await client.query(
    `select task_index from ${name}_ledger.sink_ledger where stream = 'orders' and batch_id = $1 order by 1`,
    [(JSON.parse(discarded.stdout) as { discarded: { batchId: number } }).discarded.batchId],
  )
  expect(JSON.parse(discarded.stdout)).toMatchObject({
    discarded: { outputs: [{ output: 'table', applied: ledger.map(({ task_index }) => task_index), tasks: 3 }] },
  })
})
