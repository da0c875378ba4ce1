import { ConfigError } from '../../src/core/errors.ts'
import type { RedisTarget } from '../../src/util/redis-line.ts'

/** Refuses a client that BullMQ cannot work with. */
export function checkTarget(target: RedisTarget): void {
  if (!('client' in target)) return
  const { options, duplicate } = target.client as {
    options?: { keyPrefix?: string; redisOptions?: { keyPrefix?: string } }
    duplicate?: unknown
  }
  if (options?.keyPrefix || options?.redisOptions?.keyPrefix) {
    throw new ConfigError(
      "bullmq: the client has a keyPrefix, which BullMQ's scripts do not know. Give one without, and use prefix instead.",
    )
  }
  if (typeof duplicate !== 'function')
    throw new ConfigError('bullmq: the client cannot be duplicated; it must be a Redis or a Cluster of ioredis.')
}
