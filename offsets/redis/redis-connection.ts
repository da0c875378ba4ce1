import { Redis } from 'ioredis'
import type { Clock } from '../../src/core/clock.ts'
import { isTidemarkError } from '../../src/core/errors.ts'
import type { Log } from '../../src/core/log.ts'
import type { CallOptions } from '../../src/core/source.ts'
import { answerWithin } from '../../src/util/answer-within.ts'
import { checkRedisServer } from '../../src/util/check-redis-server.ts'
import { type RedisClient, redisClientConfig } from '../../src/util/redis-client.ts'
import { redisAddress } from '../../src/util/redis-error.ts'
import { describeLineError, type RedisLine, RedisLines, type RedisTarget } from '../../src/util/redis-line.ts'
import { type RedisScript, runRedisScript } from '../../src/util/redis-script.ts'

/** How long one attempt waits: for a connection, and for an answer. */
const ANSWER_WITHIN_MS = 5_000
/** For how long after its start a call is sent again when the connection is lost. */
const RETRY_FOR_MS = 5_000
const RETRY_AFTER_MS = 50

/** Answers of a server that is well reached, and that somebody must look after: the caller is told at once, and may come again. */
const LASTING: ReadonlySet<unknown> = new Set(['OOM', 'MISCONF', 'NOREPLICAS'])

/** The look at a server's settings, and the connection that it was made over. */
type Checked = { on: number; readonly done: Promise<void> }

/**
 * A way to Redis: over a connection of its own, made on first use and again when it was lost, or by the client it was given. A call that met a lost
 * connection is sent again for a short while, whatever became of it the first time: the scripts take care that what was applied is not applied again.
 * Before the first answer ever nothing is sent again, so that a wrong address is told at once.
 */
export class RedisConnection {
  readonly #lines: RedisLines
  readonly #clock: Clock
  readonly #log: Log | undefined
  readonly #checked = new WeakMap<RedisLine, Checked>()
  #hasAnswered = false
  readonly #warned = new Set<string>()

  constructor(target: RedisTarget, seams: { readonly clock: Clock; readonly log: Log | undefined }) {
    this.#lines = new RedisLines(target, 'redisOffsets', url => new Redis(url, redisClientConfig('tidemark-offsets')))
    this.#clock = seams.clock
    this.#log = seams.log
  }

  run(script: RedisScript, keys: readonly string[], args: readonly string[], options: CallOptions): Promise<unknown> {
    return this.#attempt(options, client => runRedisScript(client, script, keys, args))
  }

  call(command: string, args: string[], options: CallOptions): Promise<unknown> {
    return this.#attempt(options, client => client.call(command, args))
  }

  /** Ends a connection of its own and lets go of a client it was given. The next call begins anew. */
  close(): void {
    this.#lines.drop()
    this.#hasAnswered = false
  }

  async #attempt<T>(options: CallOptions, send: (client: RedisClient) => Promise<T>): Promise<T> {
    const giveUpAt = this.#clock.monotonic() + RETRY_FOR_MS
    for (;;) {
      options.signal?.throwIfAborted()
      const line = this.#lines.open()
      try {
        const answer = await answerWithin(this.#send(line, send), ANSWER_WITHIN_MS, options.signal)
        this.#hasAnswered = true
        return answer
      } catch (error) {
        options.signal?.throwIfAborted()
        const described = describeLineError(line, error)
        if (!isTidemarkError(described, 'CONNECTION') || !described.retryable || LASTING.has(described.details.reply)) throw described
        // A demoted master and a dead peer stay what they are on this connection; another may lead elsewhere.
        if ('url' in this.#lines.target) this.#lines.drop(line)
        if (!this.#hasAnswered || this.#clock.monotonic() > giveUpAt) throw described
      }
      await this.#clock.sleep(RETRY_AFTER_MS, options.signal)
    }
  }

  async #send<T>(line: RedisLine, send: (client: RedisClient) => Promise<T>): Promise<T> {
    const { client, watch } = line
    let checked = this.#checked.get(line)
    if (checked?.on !== watch.connections) {
      const done = checkRedisServer(client, redisAddress(client), 'offsets', message => this.#warn(message))
      checked = { on: watch.connections, done }
      this.#checked.set(line, checked)
    }
    try {
      await checked.done
      // The first look is what made a client that was waiting connect.
      checked.on = watch.connections
    } catch (error) {
      if (this.#checked.get(line) === checked) this.#checked.delete(line)
      throw error
    }
    this.#lines.checkReady(line)
    return send(client)
  }

  #warn(message: string): void {
    if (this.#warned.has(message)) return
    this.#warned.add(message)
    if (this.#log === undefined) process.emitWarning(message, 'TidemarkWarning')
    else this.#log.warn({}, message)
  }
}
