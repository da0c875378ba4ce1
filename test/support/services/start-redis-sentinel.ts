import { appendFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import { startLocally } from './local-service.ts'
import type { Service } from './service.ts'
import { answers } from './start-redis.ts'
import { hostAndPort, requireRedisServer } from './start-redis-cluster.ts'
import { waitUntil } from './wait-until.ts'

const NAME = 'tidemark'
const SENTINELS = 3

/** A master, its replica, and the sentinels that watch both. */
export interface RedisSentinel extends AsyncDisposable {
  /** What a client asks the sentinels for. */
  readonly name: string
  readonly sentinels: readonly { readonly host: string; readonly port: number }[]
  /** The master of the start; after a fail-over the other leads. */
  readonly master: Service
  readonly replica: Service
  close(): Promise<void>
}

/** Starts them as local processes; a master that is gone for half a second is replaced. */
export async function startRedisSentinel(): Promise<RedisSentinel> {
  const program = await requireRedisServer()
  const started: Service[] = []
  const close = async () => {
    await Promise.all(started.map(service => service.close()))
  }
  const start = async (service: Promise<Service>): Promise<Service> => {
    started.push(await service)
    return service
  }
  try {
    const master = await start(startServer(program, []))
    const { host, port } = hostAndPort(master)
    const replica = await start(startServer(program, ['--replicaof', host, String(port)]))
    const sentinels = await Promise.all(Array.from({ length: SENTINELS }, () => start(startSentinel(program, port))))
    await untilTheyKnowEachOther(sentinels)
    return { name: NAME, sentinels: sentinels.map(hostAndPort), master, replica, close, [Symbol.asyncDispose]: close }
  } catch (error) {
    await close()
    throw error
  }
}

function startServer(program: string, more: readonly string[]): Promise<Service> {
  return startLocally({
    name: 'Redis',
    command: (folder, port) => [
      ...[program, '--port', String(port), '--bind', '127.0.0.1', '--dir', folder, '--save', ''],
      ...['--appendonly', 'yes', '--repl-diskless-sync-delay', '0', ...more],
    ],
    address: port => `redis://127.0.0.1:${port}`,
    isReady: answers,
  })
}

function startSentinel(program: string, masterPort: number): Promise<Service> {
  const fileIn = (folder: string) => join(folder, 'sentinel.conf')
  return startLocally({
    name: 'Redis-Sentinel',
    // A sentinel keeps what it learns in its configuration, so that is a file.
    prepare: (folder, port) =>
      appendFile(
        fileIn(folder),
        [
          `port ${port}`,
          'bind 127.0.0.1',
          `dir ${folder}`,
          `sentinel monitor ${NAME} 127.0.0.1 ${masterPort} 2`,
          `sentinel down-after-milliseconds ${NAME} 500`,
          `sentinel failover-timeout ${NAME} 2000`,
          '',
        ].join('\n'),
      ),
    command: folder => [program, fileIn(folder), '--sentinel'],
    address: port => `redis://127.0.0.1:${port}`,
    isReady: answers,
  })
}

async function untilTheyKnowEachOther(sentinels: readonly Service[]): Promise<void> {
  const clients = sentinels.map(({ address }) => new Redis(address, { enableReadyCheck: false }))
  try {
    await waitUntil('the sentinels know the replica and each other', async () => {
      const views = await Promise.all(clients.map(client => client.call('SENTINEL', 'MASTER', NAME)))
      return views.every(view => {
        const fields = Array.isArray(view) ? view.map(String) : []
        const fieldOf = (name: string) => fields[fields.indexOf(name) + 1]
        return fieldOf('num-slaves') === '1' && fieldOf('num-other-sentinels') === String(SENTINELS - 1)
      })
    })
  } finally {
    for (const client of clients) client.disconnect()
  }
}
