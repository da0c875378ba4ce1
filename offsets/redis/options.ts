import { z } from 'zod'
import type { Log } from '../../src/core/log.ts'
import type { RedisClient } from '../../src/util/redis-client.ts'

/** What `redisOffsets` takes: where Redis is, or a client that the caller has already and closes. */
export type RedisOffsetsOptions = ({ readonly url: string | undefined } | { readonly client: RedisClient }) & {
  /** What the names of all keys begin with. @default 'tidemark' */
  readonly prefix?: string
  /** Told once where the server may lose what it confirmed. @default warnings of the process */
  readonly log?: Log
}

const URL_FORM = 'a URL: redis://user:password@host:6379/0, or rediss:// for TLS'

const url = z
  .string({
    error: ({ input }) =>
      input === undefined ? 'is REDIS_URL set? Or pass { client }, a Redis or Cluster of ioredis' : `expected ${URL_FORM}`,
  })
  .refine(text => /^rediss?:\/\//.test(text) && URL.canParse(text), { error: `expected ${URL_FORM}` })

const client = z.custom<RedisClient>(isClient, { error: 'expected a Redis or a Cluster of ioredis, version 5 or 6' })
const prefix = z.string().min(1).refine(isWellFormed, { error: 'expected text without lone surrogates' }).default('tidemark')
const log = z.custom<Log>(isLog, { error: 'expected a log with debug, info, warn and error' }).optional()

const withUrl = z.strictObject({ url, prefix, log })
const withClient = z.strictObject({ client, prefix, log })

/** The form that the options are meant to have, so that a mistake is told against that one. */
export function schemaFor(options: unknown): typeof withUrl | typeof withClient {
  return typeof options === 'object' && options !== null && 'client' in options ? withClient : withUrl
}

function isClient(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false
  const { call, on, off } = value as Partial<Record<string, unknown>>
  return [call, on, off].every(method => typeof method === 'function')
}

function isLog(value: unknown): boolean {
  return typeof value === 'object' && value !== null && 'warn' in value && typeof value.warn === 'function'
}

function isWellFormed(text: string): boolean {
  return text.isWellFormed()
}
