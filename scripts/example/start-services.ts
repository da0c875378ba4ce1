import { Kafka, logLevel } from 'kafkajs'
import { Client } from 'pg'
import { startKafka } from '../../test/support/cluster/start-kafka.ts'
import { startPostgres } from '../../test/support/services/start-postgres.ts'
import { startRedis } from '../../test/support/services/start-redis.ts'
import type { ServiceName } from './list-examples.ts'

/** Servers for one run of an example: what it finds in its environment, and how to leave them as they were found. */
export type RunningServices = {
  readonly origins: readonly string[]
  readonly environment: Readonly<Record<string, string>>
  close(): Promise<void>
}

/**
 * Starts what an example needs, or takes the servers that the environment names (`KAFKA_BROKERS`, `POSTGRES_URL`, `REDIS_URL`). The example
 * gets `KAFKA_BROKERS` with a `TOPIC_PREFIX` that its topics begin with, `DATABASE_URL` of a database of its own, and `REDIS_URL`. Topics and
 * database go in the end, also where the server is somebody else's.
 *
 * @throws ConfigError where there is no way to have one of them
 */
export async function startServices(needs: readonly ServiceName[], runName: string): Promise<RunningServices> {
  const starting = needs.map(need => START[need](runName))
  const started = await Promise.allSettled(starting)
  const services = started.filter(result => result.status === 'fulfilled').map(({ value }) => value)
  const close = async () => {
    await Promise.all(services.map(service => service.close()))
  }
  const failed = started.find(result => result.status === 'rejected')
  if (failed !== undefined) {
    await close()
    throw failed.reason
  }
  return {
    origins: services.flatMap(({ origins }) => origins),
    environment: Object.assign({}, ...services.map(({ environment }) => environment)),
    close,
  }
}

const START: Readonly<Record<ServiceName, (runName: string) => Promise<RunningServices>>> = {
  async kafka(runName) {
    const kafka = await startKafka()
    const prefix = `${runName}-`
    return {
      origins: [kafka.origin],
      environment: { KAFKA_BROKERS: kafka.brokers.join(','), TOPIC_PREFIX: prefix },
      close: async () => {
        // Our own goes with all that is in it.
        if (process.env.KAFKA_BROKERS) await deleteTopics(kafka.brokers, prefix)
        await kafka.close()
      },
    }
  },
  async postgres(runName) {
    const postgres = await startPostgres()
    const database = runName.replaceAll('-', '_')
    await runSql(postgres.address, `create database ${database}`)
    const url = new URL(postgres.address)
    url.pathname = `/${database}`
    return {
      origins: [postgres.origin],
      environment: { DATABASE_URL: url.href },
      close: async () => {
        if (process.env.POSTGRES_URL) await runSql(postgres.address, `drop database if exists ${database} with (force)`)
        await postgres.close()
      },
    }
  },
  async redis() {
    const redis = await startRedis()
    return { origins: [redis.origin], environment: { REDIS_URL: redis.address }, close: () => redis.close() }
  },
}

async function deleteTopics(brokers: string[], prefix: string): Promise<void> {
  const admin = new Kafka({ clientId: 'tidemark-example', brokers, logLevel: logLevel.NOTHING }).admin()
  await admin.connect()
  try {
    const topics = (await admin.listTopics()).filter(topic => topic.startsWith(prefix))
    if (topics.length > 0) await admin.deleteTopics({ topics })
  } finally {
    await admin.disconnect()
  }
}

async function runSql(connectionString: string, sql: string): Promise<void> {
  const client = new Client({ connectionString })
  await client.connect()
  try {
    await client.query(sql)
  } finally {
    await client.end()
  }
}
