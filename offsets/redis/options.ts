import type { Log } from '../../src/core/log.ts'
import type { RedisClient } from '../../src/util/redis-client.ts'
import { bringsClient, withRedisConnection } from '../../src/util/redis-connection-options.ts'

/** What `redisOffsets` takes: where Redis is, or a client that the caller has already and closes. */
export type RedisOffsetsOptions = ({ readonly url: string | undefined } | { readonly client: RedisClient }) & {
  /** What the names of all keys begin with. @default 'tidemark' */
  readonly prefix?: string
  /** Told once where the server may lose what it confirmed. @default warnings of the process */
  readonly log?: Log
}

const { byUrl, byClient } = withRedisConnection({})

/** The form that the options are meant to have, so that a mistake is told against that one. */
export function schemaFor(options: unknown): typeof byUrl | typeof byClient {
  return bringsClient(options) ? byClient : byUrl
}
