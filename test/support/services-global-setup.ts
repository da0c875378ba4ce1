import type { TestProject } from 'vitest/node'
import { startPostgres } from './services/start-postgres.ts'
import { startRedis } from './services/start-redis.ts'
import { startZookeeper } from './services/start-zookeeper.ts'
import type { ServiceAddresses } from './services.ts'

declare module 'vitest' {
  interface ProvidedContext {
    services: ServiceAddresses
  }
}

/** Starts the Postgres, the Redis and the ZooKeeper that tests share, and ends them after the last test. */
export async function setup(project: TestProject): Promise<() => Promise<void>> {
  const [postgres, redis, zookeeper] = await Promise.all([startPostgres(), startRedis(), startZookeeper()])
  project.provide('services', { postgres: postgres.address, redis: redis.address, zookeeper: zookeeper.address })
  return async () => {
    await Promise.all([postgres.close(), redis.close(), zookeeper.close()])
  }
}
