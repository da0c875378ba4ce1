/** Kafka → Parquet with typed columns: `parquetSink`, a file a range or rolled; offsets in SQLite beside the files. */
import { join } from 'node:path'
import { parquetSink } from '../../../connectors/files/index.ts'
import { json, kafkaSource } from '../../../connectors/kafka/index.ts'
import { sqliteOffsets } from '../../../offsets/sqlite/index.ts'
import { silentLog } from '../../../src/core/log.ts'
import { stream } from '../../../src/index.ts'
import { childArguments, giveResult } from '../run-child.ts'

type Order = { readonly id: number; readonly user: string; readonly amount: number; readonly note: string }

const [brokers, topic, directory, rollBytes] =
  childArguments<[brokers: string[], topic: string, directory: string, rollBytes: number | null]>()

const startedAt = performance.now()
const run = await stream({
  name: 'to-parquet',
  offsets: sqliteOffsets({ path: join(directory, 'offsets.db') }),
  batchIntervalMs: 0,
  log: silentLog,
})
  .from(kafkaSource({ kafka: { brokers }, topics: [topic] }))
  .map(json<Order>())
  .to(
    parquetSink({
      directory: join(directory, 'rows'),
      columns: { id: 'int64', user: 'string', amount: 'double', note: 'string' },
      ...(rollBytes !== null && { rollBytes }),
    }),
  )
  .start({ until: 'latest' })
const { records, batches } = await run.done
const { user, system } = process.cpuUsage()
giveResult({
  ms: performance.now() - startedAt,
  cpuMs: (user + system) / 1000,
  threadMs: (process.threadCpuUsage().user + process.threadCpuUsage().system) / 1000,
  records,
  batches,
  peakRssMiB: process.resourceUsage().maxRSS / 1024,
})
