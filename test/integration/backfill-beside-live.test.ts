import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import pg from 'pg'
import { expect, onTestFinished, test } from 'vitest'
import { comparePartitions } from '../../src/core/values.ts'
import { temporaryFolder } from '../connectors/files/temporary-folder.ts'
import { TidemarkProcess, tidemark } from '../src/cli/tidemark-process.ts'
import { writeJob } from '../src/cli/write-job.ts'
import { createTopic, kafkaCluster, uniqueName } from '../support/kafka.ts'
import { produce } from '../support/produce.ts'
import { services } from '../support/services.ts'
import { type Place, placesByJava, placesIn } from './files-of-places.ts'

const oracle = fileURLToPath(new URL('../support/oracle.ts', import.meta.url))
/** Two producers' interleaved transactions, one in five aborted: offsets have gaps. */
const TRANSACTIONS = { keys: true, transactionRecords: 20, abortEvery: 5, producers: 2 } as const

/** A job that reads the topic from latest on, into files and into a table of its own, which has a key or adds rows. */
async function world(table: 'upsert' | 'append', batch = 100) {
  const folder = temporaryFolder()
  const name = uniqueName('backfill').replaceAll('-', '_')
  const topic = await createTopic(uniqueName('backfill'), { partitions: 3 })
  const client = new pg.Client(services().postgres)
  await client.connect()
  onTestFinished(() => client.end())
  const key = table === 'upsert' ? ', primary key (partition, "offset")' : ''
  await client.query(`create table ${name} (partition int not null, "offset" bigint not null, crc bigint not null${key})`)
  writeJob(
    folder,
    'orders.ts',
    `import { stream } from 'tidemark'
import { jsonlSink } from 'tidemark/files'
import { kafkaSource } from 'tidemark/kafka'
import { postgresSink } from 'tidemark/postgres'
import { recordCrc } from '${oracle}'
const job = stream({ name: 'orders', batchIntervalMs: 0, limits: { maxRecordsPerBatch: ${batch} } })
const rows = job
  .from(kafkaSource({ kafka: { brokers: ${JSON.stringify(kafkaCluster().brokers)} }, topics: ['${topic}'], startingOffsets: { at: 'latest' } }))
  .map(record => ({ topic: record.topic, partition: record.partition, offset: record.offset, crc: recordCrc(record) }))
rows.to(jsonlSink({ directory: 'out' }), { name: 'files' })
rows.to(
  postgresSink({
    ...{ connectionString: '${services().postgres}', table: '${name}', schema: '${name}_ledger', columns: ['partition', 'offset', 'crc'] },
    ${table === 'upsert' ? "key: ['partition', 'offset']," : ''}
  }),
  { name: 'table' },
)
export default job
`,
  )
  return {
    ...{ folder, topic },
    run: (...args: string[]) => tidemark(args, { cwd: folder }),
    start: (...args: string[]) => new TidemarkProcess(args, { cwd: folder }),
    async tableRows(): Promise<Place[]> {
      const { rows } = await client.query(`select * from ${name} order by partition, "offset"`)
      return rows.map(row => ({ topic, partition: row.partition, offset: Number(row.offset), crc: Number(row.crc) }))
    },
    async fileRows(): Promise<Place[]> {
      const all = [...(await placesIn(join(folder, 'out'))), ...(await placesIn(join(folder, 'out~backfill-1')))]
      return all.sort((a, b) => comparePartitions(a, b) || a.offset - b.offset)
    },
  }
}

test('a live stream that started at latest and a backfill until it have together what Java reads, each record once', async () => {
  const { topic, run, tableRows, fileRows } = await world('append')
  await produce(kafkaCluster(), { topic, count: 700, ...TRANSACTIONS })
  expect(await run('run', 'orders.ts', '--until', 'latest', '--json')).toMatchObject({ stdout: expect.stringContaining('"records":0') })
  await produce(kafkaCluster(), { topic, count: 300, firstId: 700, transactionalId: `${topic}-more`, ...TRANSACTIONS })
  expect(await run('run', 'orders.ts', '--until', 'latest')).toMatchObject({ code: 0 })

  const byJava = await placesByJava(topic)
  expect((await tableRows()).length).toBeLessThan(byJava.length)
  const { code, stdout } = await run('backfill', 'orders.ts', '--from', 'earliest', '--until-live', '--yes')
  expect(stdout).toContain('Output table: no other stream of the job writes these rows.\n')
  expect(code).toBe(0)
  expect(await tableRows()).toEqual(byJava)
  expect(await fileRows()).toEqual(byJava)
})

test('a backfill runs beside a live stream of the same topic, into the same table by key', async () => {
  const { topic, run, start, tableRows, fileRows } = await world('upsert')
  await produce(kafkaCluster(), { topic, count: 2_000, keys: true })
  const live = start('run', 'orders.ts')
  await live.says('"starting points written"')
  const producing = produce(kafkaCluster(), { topic, count: 600, firstId: 2_000, keys: true, perSecond: 300 })
  await live.says('"batch completed"')
  const backfill = await run('backfill', 'orders.ts', '--from', 'earliest', '--until-live', '--yes', '--json')
  expect(backfill.code).toBe(0)
  expect(JSON.parse(backfill.stdout)).toMatchObject({ records: 2_000, rowsByOutput: { files: 2_000, table: 2_000 }, overlaps: [] })
  await producing
  live.signal('SIGTERM')
  expect(await live.ended).toMatchObject({ code: 0 })
  expect(await run('run', 'orders.ts', '--until', 'latest')).toMatchObject({ code: 0 })

  const byJava = await placesByJava(topic)
  expect(byJava).toHaveLength(2_600)
  expect(await tableRows()).toEqual(byJava)
  expect(await fileRows()).toEqual(byJava)
  // Once more over all of it, the live stream's part too: by key it changes nothing.
  const again = await run('backfill', 'orders.ts', '--from', 'earliest', '--to', 'latest', '--output', 'table', '--yes')
  expect(again.stdout).toContain('orders has written 600 of these offsets.\n')
  expect(again).toMatchObject({ code: 0, stdout: expect.stringContaining('done, 2,600 records') })
  expect(await tableRows()).toEqual(byJava)
})

test('a window of time has the records between the two, and its plan weighs them about right', async () => {
  const { topic, run, fileRows } = await world('append', 100_000)
  const from = Date.UTC(2021, 10, 1)
  await produce(kafkaCluster(), { topic, count: 60_000, keys: true, timestamp: from, timestampStep: 100 })
  const asked = [
    'backfill',
    'orders.ts',
    '--from',
    '2021-11-01T00:10:00Z',
    '--to',
    '2021-11-01T01:00:00+00:00',
    '--output',
    'files',
    '--json',
  ]
  const plan = JSON.parse((await run(...asked, '--dry-run')).stdout)
  // Ten a second, in three partitions.
  expect(plan).toMatchObject({ offsets: 30_000, left: 30_000, complete: false, weight: { records: 30_000 } })
  const ran = JSON.parse((await run(...asked, '--yes')).stdout)
  expect(ran).toMatchObject({ records: 30_000, rows: 30_000 })
  expect(plan.weight.bytes / ran.bytes).toBeGreaterThan(0.5)
  expect(plan.weight.bytes / ran.bytes).toBeLessThan(2)
  const rows = await fileRows()
  expect(rows).toEqual((await placesByJava(topic)).filter(({ offset }) => offset >= 2_000 && offset < 12_000))
})

test('a topic that is not there is told by its name, and nothing is written', async () => {
  const { folder, run } = await world('append')
  const lines = [
    "import { stream } from 'tidemark'",
    "import { kafkaSource } from 'tidemark/kafka'",
    `const source = kafkaSource({ kafka: { brokers: ${JSON.stringify(kafkaCluster().brokers)} }, topics: ['no-such-topic'] })`,
    "export default stream({ name: 'lost' }).from(source).forEachRange(() => {})",
  ]
  writeJob(folder, 'lost.ts', `${lines.join('\n')}\n`)
  const { code, stderr } = await run('backfill', 'lost.ts', '--from', 'earliest', '--to', 'latest', '--yes')
  expect(stderr).toMatch(/^tidemark: .*no-such-topic/)
  expect(code).toBe(2)
  expect(await run('streams', '--store', 'sqlite:lost.offsets.db')).toMatchObject({ stdout: 'The store has no streams.\n' })
})

test('exact time is the same in threads, where timestamps are in no order', async () => {
  const { topic, run, fileRows } = await world('append', 200)
  const from = Date.UTC(2021, 10, 1)
  await produce(kafkaCluster(), { topic, count: 900, keys: true, timestamp: from, timestampStep: 1_000 })
  // Records of the quarter of an hour before, behind those.
  await produce(kafkaCluster(), { topic, count: 900, firstId: 900, keys: true, timestamp: from - 900_000, timestampStep: 1_000 })
  await produce(kafkaCluster(), { topic, count: 3, firstId: 1_800, keys: true, timestamp: from + 3_600_000 })
  const asked = ['--from', String(from - 300_000), '--to', String(from + 600_000), '--exact-time', '--late', '30m', '--output', 'files']
  const { stdout, code } = await run('backfill', 'orders.ts', ...asked, '--threads', '2', '--yes', '--json')
  expect(code).toBe(0)
  expect(JSON.parse(stdout)).toMatchObject({ records: 1_800, outsideTime: 900, rows: 900 })
  // Of the first 300 offsets of each partition the first 200, of the second 300 the last 100.
  const isWithin = (offset: number) => offset < 200 || (offset >= 500 && offset < 600)
  expect(await fileRows()).toEqual((await placesByJava(topic)).filter(({ offset }) => isWithin(offset)))
})
