import { Redis } from 'ioredis'
import { answerWithin } from '../../src/util/answer-within.ts'
import { type RedisClient, redisClientConfig } from '../../src/util/redis-client.ts'
import { redisAddress } from '../../src/util/redis-error.ts'
import { RedisLines, type RedisTarget, tlsOf } from '../../src/util/redis-line.ts'
import { type RedisScript, runRedisScript } from '../../src/util/redis-script.ts'

/** How long an answer may take: heartbeats are short, and who waits longer is taken for dead. */
const ANSWER_WITHIN_MS = 2_000

/**
 * The way to Redis for what is not BullMQ's: heartbeats and looks. It fails at once where BullMQ's own connections wait for the server to come back, for
 * what a driver or executor does about an outage cannot wait behind it.
 */
export class ControlLine {
  readonly #lines: RedisLines

  constructor(target: RedisTarget, use: string) {
    this.#lines = new RedisLines(target, use, url => new Redis(url, { ...redisClientConfig(`tidemark-${use}`), ...tlsOf(target) }))
  }

  /** Where it leads, for messages. */
  get address(): string {
    return redisAddress(this.#lines.open().client)
  }

  /** @throws ConnectionError and its like, in words that say where */
  run(script: RedisScript, keys: readonly string[], args: readonly string[], signal?: AbortSignal): Promise<unknown> {
    return this.#ask(client => runRedisScript(client, script, keys, args), signal)
  }

  /** @throws ConnectionError and its like, in words that say where */
  call(command: string, args: readonly string[], signal?: AbortSignal): Promise<unknown> {
    return this.#ask(client => client.call(command, [...args]), signal)
  }

  async #ask(send: (client: RedisClient) => Promise<unknown>, signal: AbortSignal | undefined): Promise<unknown> {
    signal?.throwIfAborted()
    const line = this.#lines.open()
    try {
      const answer = await answerWithin(send(line.client), ANSWER_WITHIN_MS, signal)
      this.#lines.checkReady(line)
      return answer
    } catch (error) {
      signal?.throwIfAborted()
      throw this.#lines.fail(line, error)
    }
  }

  /** Ends a connection of its own and lets go of a client it was given. */
  close(): void {
    this.#lines.drop()
  }
}
