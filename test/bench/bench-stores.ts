import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { KafkaAddress } from '../support/cluster/kafka-cluster.ts'
import { startPostgres } from '../support/services/start-postgres.ts'
import { startRedis } from '../support/services/start-redis.ts'
import { startZookeeper } from '../support/services/start-zookeeper.ts'
import type { Bench, BenchRow } from './report.ts'
import { median } from './report.ts'
import { runChild } from './run-child.ts'
import type { StoreKind, StoreLatency } from './store-latency.ts'

/** The bars, p50 in ms. */
const BARS: Record<StoreKind, { readonly four: number; readonly tenThousand: number }> = {
  sqlite: { four: 1, tenThousand: 150 },
  redis: { four: 2, tenThousand: 150 },
  postgres: { four: 6, tenThousand: 150 },
  zookeeper: { four: 8, tenThousand: 150 },
  kafka: { four: 15, tenThousand: 400 },
}

/** begin + commit of a batch on every store, each with its server's own durability: what is answered is on the disk. */
export async function benchStores(kafka: KafkaAddress, { rounds, recorded }: Bench): Promise<BenchRow[]> {
  await using postgres = await startPostgres({ own: true })
  await using redis = await startRedis({ own: true })
  await using zookeeper = await startZookeeper({ own: true })
  const folder = await mkdtemp(join(tmpdir(), 'tidemark-bench-'))
  const addresses: Record<StoreKind, string> = {
    sqlite: join(folder, 'offsets.db'),
    ...{ redis: redis.address, postgres: postgres.address, zookeeper: zookeeper.address, kafka: kafka.brokers.join(',') },
  }
  const rows: BenchRow[] = []
  try {
    for (const kind of Object.keys(BARS) as StoreKind[]) {
      const four = await measure(kind, addresses[kind], 4, 500)
      const tenThousand = await measure(kind, addresses[kind], 10_000, 30)
      recorded[`store-${kind}`] = { four, tenThousand }
      const bar = BARS[kind]
      rows.push(
        { figure: `begin + commit of 4 partitions, ${kind}: p50`, ...judge(four, bar.four) },
        { figure: `begin + commit of 10,000 partitions, ${kind}: p50`, ...judge(tenThousand, bar.tenThousand) },
      )
    }
  } finally {
    await rm(folder, { recursive: true })
  }
  return rows

  async function measure(kind: StoreKind, address: string, partitions: number, batches: number): Promise<number> {
    const results: StoreLatency[] = []
    for (let round = 0; round < rounds; round++)
      results.push(await runChild<StoreLatency>('store-latency.ts', [kind, address, partitions, batches]))
    return median(results.map(({ p50 }) => p50))
  }
}

function judge(ms: number, bar: number): Pick<BenchRow, 'value' | 'bar' | 'met'> {
  return { value: `${ms.toFixed(ms < 10 ? 1 : 0)} ms`, bar: `${bar} ms`, met: ms <= bar }
}
