/** Kafka → Postgres: `postgresSink` with its ledger, or the same COPY without; offsets in `postgresOffsets` of the same server. */
import { json, kafkaSource } from '../../../connectors/kafka/index.ts'
import { postgresSink } from '../../../connectors/postgres/index.ts'
import { postgresOffsets } from '../../../offsets/postgres/index.ts'
import { silentLog } from '../../../src/core/log.ts'
import type { Sink } from '../../../src/core/sink.ts'
import { stream } from '../../../src/index.ts'
import { childArguments, giveResult } from '../run-child.ts'
import { COLUMNS, type Order } from './orders-table.ts'
import { sinkWithoutLedger } from './without-ledger.ts'

const [brokers, topic, connectionString, table, name, ledger] =
  childArguments<[brokers: string[], topic: string, connectionString: string, table: string, name: string, ledger: boolean]>()

const sink: Sink<Order> = ledger ? postgresSink({ connectionString, table, columns: COLUMNS }) : sinkWithoutLedger(connectionString, table)
const startedAt = performance.now()
const run = await stream({
  name,
  ...(ledger && { guarantee: 'exactly-once' }),
  offsets: postgresOffsets({ connectionString }),
  batchIntervalMs: 0,
  log: silentLog,
})
  .from(kafkaSource({ kafka: { brokers }, topics: [topic] }))
  .map(json<Order>())
  .to(sink)
  .start({ until: 'latest' })
const { records, batches } = await run.done
giveResult({ ms: performance.now() - startedAt, records, batches, cpuMs: cpuMs(), peakRssMiB: process.resourceUsage().maxRSS / 1024 })

function cpuMs(): number {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1000
}
