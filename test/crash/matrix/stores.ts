import { kafkaOffsets } from '../../../offsets/kafka/index.ts'
import { postgresOffsets } from '../../../offsets/postgres/index.ts'
import { redisOffsets } from '../../../offsets/redis/index.ts'
import { sqliteOffsets } from '../../../offsets/sqlite/index.ts'
import { zookeeperOffsets } from '../../../offsets/zookeeper/index.ts'
import type { OffsetStore } from '../../../src/core/offset-store.ts'
import type { MatrixStream } from './plan.ts'

/** The store of a stream of the matrix. */
export function openStore({ store, folder, brokers, postgres, redis, zookeeper }: MatrixStream): OffsetStore {
  switch (store) {
    case 'sqlite':
      return sqliteOffsets({ path: `${folder}/offsets.db` })
    case 'postgres':
      return postgresOffsets({ connectionString: postgres })
    case 'redis':
      return redisOffsets({ url: redis })
    case 'zookeeper':
      return zookeeperOffsets({ connect: zookeeper })
    case 'kafka':
      return kafkaOffsets({ kafka: { brokers: [...brokers], logLevel: 0 } })
    default:
      return store satisfies never
  }
}

/** Gives the store of a stream to `use`, and closes it. */
export async function withStore<T>(stream: MatrixStream, use: (store: OffsetStore) => Promise<T>): Promise<T> {
  const store = openStore(stream)
  try {
    return await use(store)
  } finally {
    await store.close()
  }
}
