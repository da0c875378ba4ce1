import pg from 'pg'
import { expect, onTestFinished, test } from 'vitest'
import { kafkaSource } from '../../connectors/kafka/index.ts'
import { postgresSink } from '../../connectors/postgres/index.ts'
import { sqliteOffsets } from '../../offsets/sqlite/index.ts'
import type { StreamEvent } from '../../src/core/events.ts'
import { silentLog } from '../../src/core/log.ts'
import { stream } from '../../src/index.ts'
import { collectingSink } from '../../src/testing/index.ts'
import { temporaryFolder } from '../connectors/files/temporary-folder.ts'
import { createTopic, kafkaCluster, uniqueName } from '../support/kafka.ts'
import { recordCrc } from '../support/oracle.ts'
import { produce } from '../support/produce.ts'
import { startFaultProxy } from '../support/services/fault-proxy.ts'
import { services } from '../support/services.ts'
import { placesByJava } from './files-of-places.ts'

test('an output whose server goes away again and again has every row once, and so have the others, which are not asked a second time', async () => {
  const topic = await createTopic(uniqueName('output-down'), { partitions: 3 })
  await produce(kafkaCluster(), { topic, count: 3_000, keys: true })
  const byJava = await placesByJava(topic)
  const name = uniqueName('down').replaceAll('-', '_')
  const client = new pg.Client(services().postgres)
  await client.connect()
  onTestFinished(() => client.end())
  for (const table of ['steady', 'shaky']) {
    await client.query(`create table ${name}_${table} (partition int not null, "offset" bigint not null, crc bigint not null)`)
  }
  await using proxy = await startFaultProxy(services().postgres)
  const sinkOf = (table: string, connectionString: string) =>
    postgresSink({
      connectionString,
      table: `${name}_${table}`,
      columns: ['partition', 'offset', 'crc'],
      schema: `${name}_${table}_ledger`,
    })
  const forgetful = collectingSink<object>({ name: 'forgetful', guarantee: 'at-least-once' })

  const events: StreamEvent[] = []
  let fails = 0
  const job = stream({
    name,
    offsets: sqliteOffsets({ path: `${temporaryFolder()}/offsets.db` }),
    batchIntervalMs: 0,
    limits: { maxRecordsPerBatch: 300 },
    log: silentLog,
    listeners: [event => events.push(event)],
  })
  const places = job
    .from(kafkaSource({ kafka: { brokers: [...kafkaCluster().brokers], logLevel: 0 }, topics: [topic] }))
    // Its server goes away in the midst of every other batch, once its rows are on their way.
    .mapRange(async function* (arrays, { batchId, index }) {
      for await (const array of arrays) {
        if (batchId % 2 === 0 && index === 0 && fails < batchId / 2) {
          fails += 1
          await proxy.cut()
        }
        yield array.map(record => ({ partition: record.partition, offset: record.offset, crc: recordCrc(record) }))
      }
    })
  places.to(sinkOf('steady', services().postgres), { name: 'steady' })
  places.to(sinkOf('shaky', proxy.address), { name: 'shaky' })
  places.to(forgetful)
  await (await job.start({ until: 'latest' })).done

  for (const table of ['steady', 'shaky']) {
    const { rows } = await client.query(`select * from ${name}_${table} order by partition, "offset"`)
    expect(rows.map(row => ({ topic, partition: row.partition, offset: Number(row.offset), crc: Number(row.crc) }))).toEqual(byJava)
  }
  expect(forgetful.rows).toHaveLength(3_000)
  const failed = events.flatMap(event => (event.type === 'taskEnded' && event.task.status === 'failed' ? [event.task.task.output] : []))
  expect(failed.length).toBeGreaterThan(0)
  expect(new Set(failed)).toEqual(new Set(['shaky']))
  expect(fails).toBeGreaterThan(3)
})
