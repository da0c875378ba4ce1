import { z } from 'zod'
import type { Log } from '../core/log.ts'
import type { RedisClient } from './redis-client.ts'

const URL_FORM = 'a URL: redis://user:password@host:6379/0, or rediss:// for TLS'

const url = z
  .string({
    error: ({ input }) =>
      input === undefined ? 'is REDIS_URL set? Or pass { client }, a Redis or Cluster of ioredis' : `expected ${URL_FORM}`,
  })
  .refine(text => /^rediss?:\/\//.test(text) && URL.canParse(text), { error: `expected ${URL_FORM}` })

const client = z.custom<RedisClient>(isClient, { error: 'expected a Redis or a Cluster of ioredis, version 5 or 6' })

const prefix = z
  .string()
  .min(1)
  .refine(text => text.isWellFormed(), { error: 'expected text without lone surrogates' })
  .default('tidemark')

const log = z.custom<Log>(isLog, { error: 'expected a log with debug, info, warn and error' }).optional()

/** The two schemas of options that say where a Redis is, by URL and by client, with the fields of `shape` besides. */
export function withRedisConnection<Shape extends z.core.$ZodShape>(shape: Shape) {
  return {
    byUrl: z.strictObject({ ...shape, url, prefix, log }),
    byClient: z.strictObject({ ...shape, client, prefix, log }),
  }
}

/** Whether options are meant to bring a client, so that a mistake is told against that form. */
export function bringsClient(options: unknown): boolean {
  return typeof options === 'object' && options !== null && 'client' in options
}

function isClient(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false
  const { call, on, off } = value as Partial<Record<string, unknown>>
  return [call, on, off].every(method => typeof method === 'function')
}

function isLog(value: unknown): boolean {
  return typeof value === 'object' && value !== null && 'warn' in value && typeof value.warn === 'function'
}
