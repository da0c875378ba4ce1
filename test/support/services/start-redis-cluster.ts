import { Redis } from 'ioredis'
import { findProgram } from './find-program.ts'
import { startLocally } from './local-service.ts'
import { noService, type Service } from './service.ts'
import { answers } from './start-redis.ts'
import { waitUntil } from './wait-until.ts'

const SLOTS = 16_384
const MASTERS = 3

/** A Redis Cluster of masters without replicas. */
export interface RedisCluster extends AsyncDisposable {
  readonly nodes: readonly Service[]
  /** Where a client begins. */
  readonly startupNodes: readonly { readonly host: string; readonly port: number }[]
  close(): Promise<void>
}

/** Three masters as local processes with a third of the slots each. Containers will not do: nodes tell clients each other's addresses. */
export async function startRedisCluster(): Promise<RedisCluster> {
  const program = await requireRedisServer()
  const nodes = await Promise.all(Array.from({ length: MASTERS }, () => startNode(program)))
  const close = async () => {
    await Promise.all(nodes.map(node => node.close()))
  }
  try {
    await join(nodes)
  } catch (error) {
    await close()
    throw error
  }
  return { nodes, startupNodes: nodes.map(hostAndPort), close, [Symbol.asyncDispose]: close }
}

/** The path of `redis-server`. @throws ConfigError where there is none */
export async function requireRedisServer(): Promise<string> {
  const program = await findProgram('redis-server')
  if (program === undefined) {
    throw noService('Redis Cluster or Sentinel', 'none is enough', 'containers will not do here', "redis-server on PATH, such as Debian's")
  }
  return program
}

export function hostAndPort({ address }: Service): { host: string; port: number } {
  const { hostname, port } = new URL(address)
  return { host: hostname, port: Number(port) }
}

function startNode(program: string): Promise<Service> {
  return startLocally({
    name: 'Redis',
    command: (folder, port) => [
      ...[program, '--port', String(port), '--bind', '127.0.0.1', '--dir', folder, '--save', ''],
      ...['--appendonly', 'yes', '--cluster-enabled', 'yes', '--cluster-node-timeout', '2000'],
    ],
    address: port => `redis://127.0.0.1:${port}`,
    isReady: answers,
  })
}

async function join(nodes: readonly Service[]): Promise<void> {
  const clients = nodes.map(({ address }) => new Redis(address))
  try {
    const first = hostAndPort(nodes[0] as Service)
    for (const [at, client] of clients.entries()) {
      const bounds = [at, at + 1].map(n => Math.floor((SLOTS * n) / nodes.length))
      await client.cluster('SET-CONFIG-EPOCH', at + 1)
      await client.call('CLUSTER', 'ADDSLOTSRANGE', bounds[0] ?? 0, (bounds[1] ?? 0) - 1)
      if (at > 0) await client.cluster('MEET', first.host, first.port)
    }
    await waitUntil('the Redis Cluster is whole', async () => {
      const infos = await Promise.all(clients.map(client => client.cluster('INFO')))
      return infos.every(info => info.includes('cluster_state:ok') && info.includes(`cluster_size:${nodes.length}`))
    })
  } finally {
    for (const client of clients) client.disconnect()
  }
}
