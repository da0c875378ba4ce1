/**
 * What store and sink need of a client of ioredis, version 5 or 6: `Redis` (with Sentinel too) and `Cluster` both have it. Arguments go in one array,
 * since a call with a hundred thousand of them would overflow the stack.
 */
export type RedisClient = {
  readonly status: string
  call(command: string, args: (string | number | Buffer)[]): Promise<unknown>
  on(event: 'error' | 'ready', listener: (error?: unknown) => void): unknown
  off(event: 'error' | 'ready', listener: (error?: unknown) => void): unknown
}

/** One node of a cluster, as far as it is asked about itself. */
export type RedisNode = Pick<RedisClient, 'call'>

/** Every server that may hold keys: the masters of a cluster, or the one there is. */
export function mastersOf(client: RedisClient): readonly RedisNode[] {
  const { nodes } = client as { nodes?: (role: 'master') => readonly RedisNode[] }
  return nodes === undefined ? [client] : nodes.call(client, 'master')
}

/** How long a connection may take to come about, ms. */
const CONNECT_WITHIN_MS = 5_000

/** What ioredis is given for a URL: it connects when it is first used, and not by itself once it has lost its connection, for the next call makes another. */
export function redisClientConfig(connectionName: string) {
  return { lazyConnect: true, retryStrategy: () => null, maxRetriesPerRequest: 0, connectTimeout: CONNECT_WITHIN_MS, connectionName }
}
