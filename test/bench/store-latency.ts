/** How long begin + commit of a batch takes, by store and by how many partitions the batch has. */
import { kafkaOffsets } from '../../offsets/kafka/index.ts'
import { postgresOffsets } from '../../offsets/postgres/index.ts'
import { redisOffsets } from '../../offsets/redis/index.ts'
import { sqliteOffsets } from '../../offsets/sqlite/index.ts'
import { zookeeperOffsets } from '../../offsets/zookeeper/index.ts'
import type { OffsetStore } from '../../src/core/offset-store.ts'
import { systemRandom } from '../../src/core/random.ts'
import type { Batch } from '../../src/core/values.ts'
import { childArguments, giveResult } from './run-child.ts'

export type StoreKind = 'sqlite' | 'redis' | 'postgres' | 'zookeeper' | 'kafka'
export type StoreLatency = { readonly p50: number; readonly p99: number }

const RANGE = 1_000

const [kind, address, partitions, batches] = childArguments<[kind: StoreKind, address: string, partitions: number, batches: number]>()
const open: Record<StoreKind, () => OffsetStore> = {
  sqlite: () => sqliteOffsets({ path: address }),
  redis: () => redisOffsets({ url: address }),
  postgres: () => postgresOffsets({ connectionString: address }),
  zookeeper: () => zookeeperOffsets({ connect: address }),
  kafka: () => kafkaOffsets({ kafka: { brokers: address.split(',') } }),
}

const store = open[kind]()
const stream = `latency-${partitions}-${systemRandom.id()}`
const lease = await store.acquire(stream, 'bench', 60_000)
const took: number[] = []
for (let id = 1; id <= batches; id++) {
  const batch = batchOf(id)
  const startedAt = performance.now()
  await store.begin(lease, batch)
  await store.commit(lease, id)
  took.push(performance.now() - startedAt)
}
await store.close()
took.splice(0, Math.ceil(batches / 10))
took.sort((a, b) => a - b)
giveResult({ p50: took[Math.floor(took.length * 0.5)] ?? 0, p99: took[Math.floor(took.length * 0.99)] ?? 0 } satisfies StoreLatency)

/** As a driver makes it, with topic ids and facts. */
function batchOf(id: number): Batch {
  const ranges = Array.from({ length: partitions }, (_, partition) => ({
    topic: 'orders',
    partition,
    fromOffset: (id - 1) * RANGE,
    untilOffset: id * RANGE,
    topicId: 'nWzjUwMaR4Obv0nFXvQ1CA',
    leaderEpoch: 3,
  }))
  return { id, batchTime: id, epoch: 1, ranges, facts: { v: 1, outputs: ['postgres:orders'], isolation: 'read_committed', job: 'a3f1' } }
}
