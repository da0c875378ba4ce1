import { Redis } from 'ioredis'
import { ConnectionError, errorMessage } from '../../src/core/errors.ts'
import type { RedisClient } from '../../src/util/redis-client.ts'
import { describeRedisError, redisAddress } from '../../src/util/redis-error.ts'
import { untilAborted } from '../../src/util/until-aborted.ts'
import type { Script } from './scripts.ts'

const CONNECT_WITHIN_MS = 5_000
/** How long an answer may take: a server that was stopped, or a network that swallows packets, sends no error. */
const ANSWER_WITHIN_MS = 30_000

export type RedisTarget = { readonly url: string } | { readonly client: RedisClient }

/**
 * A way to Redis: over a connection of its own, made on first use and again when it was lost, or by the client it was given. Nothing is sent twice here:
 * a task that met a lost connection is tried again by the driver, and finds in the ledger what is in.
 */
export class RedisConnection {
  readonly #target: RedisTarget
  #client: RedisClient | undefined
  /** What the client said last about its connection, which says more than that commands were dropped. */
  #lastError: unknown

  constructor(target: RedisTarget) {
    this.#target = target
  }

  get client(): RedisClient {
    if (this.#client !== undefined && !('url' in this.#target && this.#client.status === 'end')) return this.#client
    this.close()
    this.#client = 'url' in this.#target ? connect(this.#target.url) : this.#target.client
    this.#client.on('error', this.#onError)
    return this.#client
  }

  get isCluster(): boolean {
    return 'client' in this.#target && (this.#target.client as { isCluster?: boolean }).isCluster === true
  }

  get address(): string {
    return redisAddress(this.client)
  }

  /** Runs a script by its hash, and by its text where the server does not have it: after a restart, a fail-over, or SCRIPT FLUSH. */
  async run(script: Script, keys: readonly string[], args: readonly (string | Buffer)[], signal?: AbortSignal): Promise<unknown> {
    const rest = [keys.length, ...keys, ...args]
    return this.#ask(async client => {
      try {
        return await client.call('evalsha', [script.sha, ...rest])
      } catch (error) {
        if (!errorMessage(error).startsWith('NOSCRIPT')) throw error
        return await client.call('eval', [script.text, ...rest])
      }
    }, signal)
  }

  call(command: string, args: readonly (string | Buffer)[], signal?: AbortSignal): Promise<unknown> {
    return this.#ask(client => client.call(command, [...args]), signal)
  }

  /** Ends a connection of its own and lets go of a client it was given. The next call begins anew. */
  close(): void {
    const client = this.#client
    this.#client = undefined
    if (client === undefined) return
    // A client of ours that is still connecting may yet say an error, which nobody must have to hear.
    if ('url' in this.#target) (client as Redis).disconnect()
    else client.off('error', this.#onError)
  }

  async #ask<T>(send: (client: RedisClient) => Promise<T>, signal: AbortSignal | undefined): Promise<T> {
    // Before anything is sent, or connected anew after a close: nobody would hear of what becomes of it.
    signal?.throwIfAborted()
    const { client } = this
    const where = redisAddress(client)
    const late = new AbortController()
    const timer = setTimeout(
      () => late.abort(new ConnectionError(`${where} gave no answer within ${ANSWER_WITHIN_MS} ms. See that it runs and can be reached.`)),
      ANSWER_WITHIN_MS,
    )
    try {
      return await untilAborted(send(client), signal === undefined ? late.signal : AbortSignal.any([signal, late.signal]))
    } catch (error) {
      signal?.throwIfAborted()
      const described = describeRedisError(error, where)
      if (described === undefined) throw error
      if (described.details.reply === undefined) this.#drop(client)
      const isOnlyLost = described.code === 'CONNECTION' && described.details.reply === undefined
      throw (isOnlyLost && describeRedisError(this.#lastError, where)) || described
    } finally {
      clearTimeout(timer)
    }
  }

  #drop(client: RedisClient): void {
    if ('url' in this.#target && this.#client === client) this.close()
  }

  readonly #onError = (error?: unknown): void => {
    this.#lastError = error
  }
}

/** A client that connects when it is first used, and does not by itself once it has lost its connection: then the next call makes another. */
function connect(url: string): RedisClient {
  return new Redis(url, {
    lazyConnect: true,
    retryStrategy: () => null,
    maxRetriesPerRequest: 0,
    connectTimeout: CONNECT_WITHIN_MS,
    connectionName: 'tidemark-sink',
  })
}
