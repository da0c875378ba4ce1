import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { KafkaAddress } from '../support/cluster/kafka-cluster.ts'
import { produce } from '../support/produce.ts'
import { startPostgres } from '../support/services/start-postgres.ts'
import type { Bench, BenchRow } from './report.ts'
import { median } from './report.ts'
import { runChild } from './run-child.ts'
import { countOrders, makeOrdersTable } from './to-postgres/orders-table.ts'
import { copyByPsql, dumpByPsql } from './to-postgres/psql-copy.ts'
import { makeTopic } from './topics.ts'

const TOPIC = 'bench-orders'
const RECORDS = 1_000_000
/** Everybody's own settings but these, which keep checkpoints out of single rounds. */
const SETTINGS = { max_wal_size: '8GB', checkpoint_timeout: '1h', shared_buffers: '1GB' }

/** Kafka → Postgres against a hand-written loop and psql, and the price of the ledger. */
export async function benchPostgres(kafka: KafkaAddress, { rounds, say, recorded }: Bench): Promise<BenchRow[]> {
  await using postgres = await startPostgres({ own: true, settings: SETTINGS })
  const folder = await mkdtemp(join(tmpdir(), 'tidemark-bench-'))
  await makeTopic(kafka, TOPIC)
  await produce(kafka, { topic: TOPIC, count: RECORDS })
  const ms: Record<'tidemark' | 'without' | 'byHand' | 'psql', number[]> = { tidemark: [], without: [], byHand: [], psql: [] }
  try {
    // The first of all warms the server up and fills the file that psql copies.
    for (let round = 0; round <= rounds; round++) {
      const one = {
        tidemark: await fill('orders_tidemark', table => tidemark(table, `orders-${round}`, true)),
        without: await fill('orders_without', table => tidemark(table, `without-${round}`, false)),
        byHand: await fill('orders_by_hand', table => runChild<{ ms: number }>('to-postgres/kafkajs-loop.ts', [...where(table), RECORDS])),
        psql: await fill('orders_psql', async table => ({ ms: await copyByPsql(postgres.address, table, await file()) })),
      }
      if (round > 0) for (const [contestant, took] of Object.entries(one)) ms[contestant as keyof typeof ms].push(took)
    }
  } finally {
    await rm(folder, { recursive: true })
  }
  recorded.postgres = ms
  const rate = (all: readonly number[]) => RECORDS / median(all) / 1000
  say(
    `Kafka → Postgres, M rows/s: ${Object.entries(ms)
      .map(([contestant, all]) => `${contestant} ${rate(all).toFixed(2)}`)
      .join(', ')}`,
  )
  const against = (peer: readonly number[]) => median(peer.map((took, round) => took / (ms.tidemark[round] ?? Number.NaN)))
  const cost = median(ms.tidemark.map((took, round) => took / (ms.without[round] ?? Number.NaN))) - 1
  const byHand = against(ms.byHand)
  const psql = against(ms.psql)
  return [
    {
      figure: `Kafka → Postgres exactly-once, 1 M records (${rate(ms.tidemark).toFixed(2)} M rows/s), against kafkajs + pg by hand (${rate(ms.byHand).toFixed(2)})`,
      ...{ value: `${byHand.toFixed(1)} ×`, bar: '2.5 ×', met: byHand >= 2.5 },
    },
    {
      figure: `the same against psql's \\copy of the same rows from a file (${rate(ms.psql).toFixed(2)} M rows/s)`,
      ...{ value: `${psql.toFixed(2)} ×`, bar: '0.5 ×', met: psql >= 0.5 },
    },
    { figure: 'what the fence and the ledger cost it', ...{ value: `${(cost * 100).toFixed(1)} %`, bar: '10 %', met: cost <= 0.1 } },
  ]

  function where(table: string) {
    return [kafka.brokers, TOPIC, postgres.address, table]
  }

  function tidemark(table: string, name: string, ledger: boolean) {
    return runChild<{ ms: number }>('to-postgres/tidemark.ts', [...where(table), name, ledger])
  }

  async function file(): Promise<string> {
    const path = join(folder, 'orders.tsv')
    await dumpByPsql(postgres.address, 'orders_tidemark', path)
    return path
  }

  /** Fills an empty table and sees that each record is in it once; only the filling counts. */
  async function fill(table: string, work: (table: string) => Promise<{ ms: number }>): Promise<number> {
    await makeOrdersTable(postgres.address, table)
    const { ms: took } = await work(table)
    const { rows, different } = await countOrders(postgres.address, table)
    if (rows !== RECORDS || different !== RECORDS) throw new Error(`${table} has ${rows} rows, ${different} different ones, of ${RECORDS}.`)
    return took
  }
}
