import { Queue, Worker } from 'bullmq'
import { type Cluster, Redis, type RedisOptions } from 'ioredis'
import { isRetryable } from '../../../src/core/errors.ts'
import type { Log } from '../../../src/core/log.ts'
import { describeRedisError, redisAddress } from '../../../src/util/redis-error.ts'
import { type RedisTarget, tlsOf } from '../../../src/util/redis-line.ts'
import type { PackMessage } from '../messages.ts'

/** The longest pause before another attempt to connect, ms: an executor that comes back late looks dead. */
const RECONNECT_WITHIN_MS = 500
/** A connection that owes an answer for so long is given up, ms: a network that swallows packets sends no error. BullMQ's own waits are 5 s. */
const SILENT_MS = 10_000
const CONNECT_WITHIN_MS = 5_000

/** An executor's queue, from the side that works it off. */
export type ExecutorQueue = {
  readonly worker: Worker<PackMessage>
  /** How many packs lie in it, also those that have ended and whose reports nobody has taken. */
  count(): Promise<number>
  /** Takes the queue away with all that is in it. */
  obliterate(): Promise<void>
  /** Ends every connection at once. */
  close(): Promise<void>
}

/**
 * Opens BullMQ's side of an executor's queue. Its connections wait for a Redis that is away; what must not wait goes over the control line.
 * Nothing of BullMQ that works by itself is on: it would also renew the locks of tasks that stand still, and jobs without a lock are their driver's.
 */
export function openQueue(
  target: RedisTarget,
  { name, prefix, lockMs, log }: { readonly name: string; readonly prefix: string; readonly lockMs: number; readonly log: Log },
): ExecutorQueue {
  const redis = connect(target, name)
  // One that nobody hears is printed by ioredis; what an outage means is told once, by the heartbeat.
  redis.on('error', () => {})
  const shared = { connection: redis, prefix, skipVersionCheck: true }
  const worker = new Worker<PackMessage>(name, null, {
    ...shared,
    ...{ autorun: false, lockDuration: lockMs, skipLockRenewal: true, skipStalledCheck: true },
  })
  worker.on('error', error => {
    // Described, for what a client throws holds the arguments of its command: a password, rows.
    const described = describeRedisError(error, redisAddress(redis)) ?? error
    if (isRetryable(described)) log.debug({ err: described }, 'BullMQ lost its connection')
    else log.warn({ err: described }, `BullMQ reports an error: ${described.message}`)
  })
  const queue = new Queue(name, { ...shared, skipMetasUpdate: true })
  queue.on('error', () => {})
  return {
    worker,
    async count() {
      const counts = await queue.getJobCounts('wait', 'active', 'completed', 'failed')
      return Object.values(counts).reduce((sum, count) => sum + count, 0)
    },
    obliterate: () => queue.obliterate({ force: true }),
    async close() {
      // Not a quiet end, which would wait for a Redis that is away: whatever counts has been answered.
      await Promise.allSettled([worker.close(true), queue.close()])
      redis.disconnect()
    },
  }
}

/** A connection of our own, like the caller's where one was given. BullMQ makes another one like it for its blocking reads. */
function connect(target: RedisTarget, connectionName: string): Redis | Cluster {
  const options = {
    connectionName,
    maxRetriesPerRequest: null,
    connectTimeout: CONNECT_WITHIN_MS,
    socketTimeout: SILENT_MS,
    retryStrategy: reconnectAfter,
    // After a fail-over the old master lives on as a replica: connected again, and sent again.
    reconnectOnError: (error: Error) => (error.message.startsWith('READONLY') ? 2 : false),
  } satisfies RedisOptions
  if ('url' in target) return new Redis(target.url, { ...options, ...tlsOf(target) })
  const client = target.client as unknown as Redis | Cluster
  if (!client.isCluster) return (client as Redis).duplicate(options)
  const { replyMapping: _, ...redisOptions } = (client as Cluster).options.redisOptions ?? {}
  const { retryStrategy: _own, ...ofNode } = options
  return (client as Cluster).duplicate([], { redisOptions: { ...redisOptions, ...ofNode }, clusterRetryStrategy: reconnectAfter })
}

function reconnectAfter(attempt: number): number {
  return Math.min(50 * attempt, RECONNECT_WITHIN_MS)
}
