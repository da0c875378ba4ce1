import { ConnectionError, isTidemarkError } from '../core/errors.ts'
import type { RedisClient } from './redis-client.ts'
import { type ClientWatch, unwatchClient, watchClient } from './redis-client-watch.ts'
import { describeRedisError, redisAddress } from './redis-error.ts'
import type { TlsOptions } from './tls-options.ts'

/** Where Redis is: by URL, or by a client of ioredis that the caller keeps. */
export type RedisTarget = { readonly url: string; readonly tls?: RedisTls | undefined } | { readonly client: RedisClient }

/** Certificates of a `rediss:` server. */
export type RedisTls = TlsOptions

/** What ioredis is given beside the URL. */
export function tlsOf(target: RedisTarget): { readonly tls?: object } {
  return 'url' in target && target.tls !== undefined ? { tls: target.tls } : {}
}

/** A client in use. */
export type RedisLine = { readonly client: RedisClient; readonly watch: ClientWatch }

/** A client of our own, which we also end. */
type OwnClient = RedisClient & { disconnect(): void }

/** What ioredis calls a client that will not connect again by itself. */
const CLOSED: ReadonlySet<string> = new Set(['end', 'disconnecting'])

/** One client at a time: of our own, made when it is asked for and again when it was lost, or the caller's. */
export class RedisLines {
  readonly target: RedisTarget
  readonly #connect: (url: string) => OwnClient
  readonly #use: string
  #line: RedisLine | undefined

  /** @param use - what the client was given to, for messages: `redisOffsets` */
  constructor(target: RedisTarget, use: string, connect: (url: string) => OwnClient) {
    this.target = target
    this.#use = use
    this.#connect = connect
  }

  /** @throws ConnectionError where the caller has closed its client */
  open(): RedisLine {
    if (this.#line !== undefined && !CLOSED.has(this.#line.client.status)) return this.#line
    this.drop()
    const client = 'url' in this.target ? this.#connect(this.target.url) : this.target.client
    if (CLOSED.has(client.status)) {
      // A cluster's client would keep every command for a connection that nobody makes.
      throw new ConnectionError(`${redisAddress(client)} cannot be asked: the client given to ${this.#use} was closed.`, {
        retryable: false,
      })
    }
    this.#line = { client, watch: watchClient(client) }
    return this.#line
  }

  /** Ends a client of our own and lets go of the caller's; the next call begins anew. One that is not in use any more is left alone. */
  drop(line = this.#line): void {
    if (line === undefined || this.#line !== line) return
    this.#line = undefined
    // A client of ours that is still connecting may yet say an error, which must be heard or ioredis prints it; it goes with its listeners.
    if ('url' in this.target) (line.client as OwnClient).disconnect()
    else unwatchClient(line.client)
  }

  /** What a call over a line failed with, in our words. A connection of our own that was lost is let go of, and the next call makes another. */
  fail(line: RedisLine, error: unknown): unknown {
    const described = describeLineError(line, error)
    const isLost = isTidemarkError(described) && described.details.reply === undefined
    if (isLost && 'url' in this.target) this.drop(line)
    return described
  }

  /** Refuses a client of our own that became ready without what the URL asked for: without the database it was told, ioredis goes on in the first. */
  checkReady({ client, watch }: RedisLine): void {
    const met = 'url' in this.target ? describeRedisError(watch.metOnTheWay, redisAddress(client)) : undefined
    if (met?.retryable === false) throw met
  }
}

/** What a call that failed over a line met, in our words; what its client said about its connection says more than that the command was dropped. */
export function describeLineError({ client, watch }: RedisLine, error: unknown): unknown {
  const where = redisAddress(client)
  const last = describeRedisError(watch.lastError, where)
  if (isTidemarkError(error, 'TIMEOUT')) {
    const silent = `${where} gave ${error.message}. See that it runs and can be reached.`
    return last ?? new ConnectionError(silent, { cause: error, details: { where } })
  }
  const described = describeRedisError(error, where)
  const isOnlyLost = isTidemarkError(described, 'CONNECTION') && described.details.reply === undefined
  return (isOnlyLost && last) || (described ?? error)
}
