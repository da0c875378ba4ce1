import { Redis } from 'ioredis'
import { answerWithin } from '../../src/util/answer-within.ts'
import { type RedisClient, redisClientConfig } from '../../src/util/redis-client.ts'
import { redisAddress } from '../../src/util/redis-error.ts'
import { type RedisLine, RedisLines, type RedisTarget } from '../../src/util/redis-line.ts'
import { type RedisScript, runRedisScript } from '../../src/util/redis-script.ts'

/** How long an answer may take: a server that was stopped, or a network that swallows packets, sends no error. */
const ANSWER_WITHIN_MS = 30_000

/**
 * A way to Redis: over a connection of its own, made on first use and again when it was lost, or by the client it was given. Nothing is sent twice here:
 * a task that met a lost connection is tried again by the driver, and finds in the ledger what is in.
 */
export class RedisConnection {
  readonly #lines: RedisLines
  /** The line that was asked before, and over which of its connections. */
  #asked: { readonly line: RedisLine; readonly connection: number } | undefined

  constructor(target: RedisTarget) {
    this.#lines = new RedisLines(target, 'redisSink', url => new Redis(url, redisClientConfig('tidemark-sink')))
  }

  get client(): RedisClient {
    return this.#lines.open().client
  }

  get isCluster(): boolean {
    const { target } = this.#lines
    return 'client' in target && (target.client as { isCluster?: boolean }).isCluster === true
  }

  get address(): string {
    return redisAddress(this.client)
  }

  run(script: RedisScript, keys: readonly string[], args: readonly (string | Buffer)[], signal?: AbortSignal): Promise<unknown> {
    return this.#ask(client => runRedisScript(client, script, keys, args), signal)
  }

  call(command: string, args: readonly (string | Buffer)[], signal?: AbortSignal): Promise<unknown> {
    return this.#ask(client => client.call(command, [...args]), signal)
  }

  /** Ends a connection of its own and lets go of a client it was given. The next call begins anew. */
  close(): void {
    this.#lines.drop()
  }

  async #ask<T>(send: (client: RedisClient) => Promise<T>, signal: AbortSignal | undefined): Promise<T> {
    // Before anything is sent, or connected anew after a close: nobody would hear of what becomes of it.
    signal?.throwIfAborted()
    const line = this.#lines.open()
    try {
      return await answerWithin(this.#send(line, send), ANSWER_WITHIN_MS, signal)
    } catch (error) {
      signal?.throwIfAborted()
      throw this.#lines.fail(line, error)
    }
  }

  async #send<T>(line: RedisLine, send: (client: RedisClient) => Promise<T>): Promise<T> {
    const { client, watch } = line
    if (this.#asked?.line !== line || this.#asked.connection !== watch.connections) {
      // What a connection met while it came about is known with its first answer, and nothing may be written over it before.
      await client.call('ping', [])
      this.#lines.checkReady(line)
      this.#asked = { line, connection: watch.connections }
    }
    return send(client)
  }
}
