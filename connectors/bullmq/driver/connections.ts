import { type Cluster, Redis } from 'ioredis'
import { ConnectionError } from '../../../src/core/errors.ts'
import { describeRedisError, redisAddress } from '../../../src/util/redis-error.ts'
import { type RedisTarget, tlsOf } from '../../../src/util/redis-line.ts'

/** How long a connection may take to come about at a start, ms. */
const READY_WITHIN_MS = 5_000
/** A server that was stopped sends no error: an add that got no answer by then is judged by what the next look finds, ms. */
const ANSWER_WITHIN_MS = 5_000

const OWN = { connectTimeout: READY_WITHIN_MS, retryStrategy: reconnectAfter, connectionName: 'tidemark-bullmq' }

/**
 * For adding packs. Nothing waits in it for a server to come back: whoever adds hears at once that it did not work, and the packs go out again under
 * other ids. A pack that was kept, and added later all the same, would run twice.
 */
const ADDING = {
  ...OWN,
  enableOfflineQueue: false,
  autoResendUnfulfilledCommands: false,
  maxRetriesPerRequest: 0,
  commandTimeout: ANSWER_WITHIN_MS,
}
/** For events, from which BullMQ makes a connection for each queue: they come again by themselves for ever, and BullMQ demands it so. */
const LISTENING = { ...OWN, enableOfflineQueue: true, maxRetriesPerRequest: null, lazyConnect: true }

/** A connection that BullMQ adds jobs over. */
export function addingConnection(target: RedisTarget): Redis | Cluster {
  return connect(target, ADDING)
}

/** What BullMQ duplicates for the events of each queue; it never connects itself. */
export function listeningConnection(target: RedisTarget): Redis | Cluster {
  return connect(target, LISTENING)
}

/** Resolves when commands can be sent. @throws ConnectionError, AuthError and their like */
export async function untilReady(client: Redis | Cluster): Promise<void> {
  if (client.status === 'ready') return
  const where = redisAddress(client)
  const ready = Promise.withResolvers<void>()
  let lastError: unknown
  const onError = (error: unknown) => {
    lastError = error
  }
  const timer = setTimeout(() => {
    const late = new ConnectionError(`${where} was not ready within ${READY_WITHIN_MS} ms. See that it runs and can be reached.`)
    ready.reject(describeRedisError(lastError, where) ?? late)
  }, READY_WITHIN_MS)
  const onReady = () => ready.resolve()
  client.on('error', onError)
  client.on('ready', onReady)
  try {
    await ready.promise
  } finally {
    clearTimeout(timer)
    client.off('ready', onReady)
    client.off('error', onError)
  }
}

function connect(target: RedisTarget, options: typeof ADDING | typeof LISTENING): Redis | Cluster {
  const client =
    'url' in target
      ? new Redis(target.url, { ...options, ...tlsOf(target) })
      : duplicate(target.client as unknown as Redis | Cluster, options)
  // BullMQ listens only while one of its queues is open, and an error that nobody hears is printed.
  client.on('error', () => {})
  return client
}

function duplicate(client: Redis | Cluster, options: typeof ADDING | typeof LISTENING): Redis | Cluster {
  if (!isCluster(client)) return client.duplicate(options)
  const { enableOfflineQueue, maxRetriesPerRequest, connectTimeout, connectionName } = options
  const { replyMapping: _, ...redisOptions } = client.options.redisOptions ?? {}
  return client.duplicate([], {
    ...{ enableOfflineQueue, clusterRetryStrategy: reconnectAfter, lazyConnect: options === LISTENING },
    redisOptions: { ...redisOptions, maxRetriesPerRequest, connectTimeout, connectionName },
  })
}

/** Also of another copy of ioredis. */
function isCluster(client: Redis | Cluster): client is Cluster {
  return client.isCluster
}

function reconnectAfter(times: number): number {
  return Math.min(50 * 2 ** times, 1_000)
}
