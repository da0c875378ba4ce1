import { Redis } from 'ioredis'
import { findContainerEngine } from './container-engine.ts'
import { startInContainer } from './container-service.ts'
import { findProgram } from './find-program.ts'
import { findFreePorts } from './free-port.ts'
import { startLocally } from './local-service.ts'
import { noService, type Service, type ServiceOptions, serviceAt } from './service.ts'

const IMAGE = 'redis:7'
/** Every write is on the disk before it is answered: what the tests of crashes need. */
const DURABLE = ['--appendonly', 'yes', '--appendfsync', 'always', '--save', '']

export type RedisOptions = ServiceOptions & {
  /** Arguments of `redis-server`, such as `['--cluster-enabled', 'yes']`. @default an append-only file, fsynced at each write */
  readonly args?: readonly string[]
}

/** A Redis from the first of three ways that is there: the address in `REDIS_URL`; a Docker engine; `redis-server` on PATH. */
export async function startRedis({ own = false, args = DURABLE }: RedisOptions = {}): Promise<Service> {
  if (process.env.REDIS_URL && !own) return serviceAt('Redis', 'REDIS_URL', process.env.REDIS_URL)

  const engine = await findContainerEngine()
  if ('host' in engine) {
    const [port = 0] = await findFreePorts(1)
    return startInContainer(engine.host, port, {
      name: 'Redis',
      image: IMAGE,
      port: 6379,
      command: ['redis-server', ...args],
      address: (host, at) => `redis://${host}:${at}`,
    })
  }

  const program = await findProgram('redis-server')
  if (program === undefined) {
    throw noService('Redis', 'REDIS_URL=redis://host:6379', engine.reason, "redis-server on PATH, such as of Debian's package redis-server")
  }
  return startLocally({
    name: 'Redis',
    command: (folder, port) => [program, '--port', String(port), '--bind', '127.0.0.1', '--dir', folder, ...args],
    address: port => `redis://127.0.0.1:${port}`,
    isReady: answers,
  })
}

/** Whether a Redis, or a sentinel, answers. */
export async function answers(address: string): Promise<boolean> {
  const client = new Redis(address, { lazyConnect: true, retryStrategy: () => null, maxRetriesPerRequest: 0 })
  client.on('error', () => {})
  try {
    await client.connect()
    return (await client.ping()) === 'PONG'
  } finally {
    client.disconnect()
  }
}
