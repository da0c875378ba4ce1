import type { OffsetStore } from '../../src/core/offset-store.ts'
import { parseOptions } from '../../src/util/parse-options.ts'
import { type RedisOffsetsOptions, schemaFor } from './options.ts'
import { RedisOffsetStore } from './redis-offset-store.ts'

export type { RedisClient } from '../../src/util/redis-client.ts'
export type { RedisOffsetsOptions } from './options.ts'

/**
 * Offsets in Redis 6 or newer. `url` makes a connection of its own on first use; `client` is an ioredis `Redis` (with Sentinel too) or `Cluster` that
 * the caller has already, keeps, and closes. All keys of a stream share one hash tag. A closed store opens again when it is used again.
 *
 *     stream({ name: 'orders', offsets: redisOffsets({ url: process.env.REDIS_URL }) })
 *     stream({ name: 'orders', offsets: redisOffsets({ client: new Cluster([{ host: 'node-1', port: 6379 }]) }) })
 *
 * Redis must not evict keys (`maxmemory-policy noeviction`) and should keep an append-only file. A master that fails over may lose the last writes it
 * confirmed; the outputs' fences find that out.
 *
 * Throws `ConfigError` for wrong options, and from its calls also `ConfigError` for a server that evicts, `AuthError` for credentials or rights, and
 * `ConnectionError` while Redis cannot be reached.
 */
export function redisOffsets(options: RedisOffsetsOptions): OffsetStore & AsyncDisposable {
  const { prefix, log, ...target } = parseOptions(schemaFor(options), options, 'redisOffsets')
  return new RedisOffsetStore(target, { prefix, log })
}
