import { Redis } from 'ioredis'
import type { Clock } from '../../src/core/clock.ts'
import { ConnectionError, errorMessage, isTidemarkError } from '../../src/core/errors.ts'
import type { Log } from '../../src/core/log.ts'
import type { CallOptions } from '../../src/core/source.ts'
import { checkRedisServer } from '../../src/util/check-redis-server.ts'
import type { RedisClient } from '../../src/util/redis-client.ts'
import { describeRedisError, redisAddress } from '../../src/util/redis-error.ts'
import { answerWithin } from './answer-within.ts'
import { type ClientWatch, unwatchClient, watchClient } from './client-watch.ts'
import type { Script } from './scripts.ts'

/** How long one attempt waits: for a connection, and for an answer. */
const ANSWER_WITHIN_MS = 5_000
/** For how long after its start a call is sent again when the connection is lost. */
const RETRY_FOR_MS = 5_000
const RETRY_AFTER_MS = 50

/** Answers of a server that is well reached, and that somebody must look after: the caller is told at once, and may come again. */
const LASTING: ReadonlySet<unknown> = new Set(['OOM', 'MISCONF', 'NOREPLICAS'])

/** What ioredis calls a client that will not connect again by itself. */
const CLOSED: ReadonlySet<string> = new Set(['end', 'disconnecting'])

export type RedisTarget = { readonly url: string } | { readonly client: RedisClient }

/** A client in use. `checked` is the look at its server's settings, and the connection that it was made over. */
type Line = { readonly client: RedisClient; readonly watch: ClientWatch; checked?: { on: number; readonly done: Promise<void> } }

/**
 * A way to Redis: over a connection of its own, made on first use and again when it was lost, or by the client it was given. A call that met a lost
 * connection is sent again for a short while, whatever became of it the first time: the scripts take care that what was applied is not applied again.
 * Before the first answer ever nothing is sent again, so that a wrong address is told at once.
 */
export class RedisConnection {
  readonly #target: RedisTarget
  readonly #clock: Clock
  readonly #log: Log | undefined
  #line: Line | undefined
  #hasAnswered = false
  readonly #warned = new Set<string>()

  constructor(target: RedisTarget, seams: { readonly clock: Clock; readonly log: Log | undefined }) {
    this.#target = target
    this.#clock = seams.clock
    this.#log = seams.log
  }

  /** Runs a script by its hash, and by its text where the server does not have it: after a restart, a fail-over, or SCRIPT FLUSH. */
  run(script: Script, keys: readonly string[], args: readonly string[], options: CallOptions): Promise<unknown> {
    const rest = [keys.length, ...keys, ...args]
    return this.#attempt(options, async client => {
      try {
        return await client.call('evalsha', [script.sha, ...rest])
      } catch (error) {
        if (!errorMessage(error).startsWith('NOSCRIPT')) throw error
        return await client.call('eval', [script.text, ...rest])
      }
    })
  }

  call(command: string, args: string[], options: CallOptions): Promise<unknown> {
    return this.#attempt(options, client => client.call(command, args))
  }

  /** Ends a connection of its own and lets go of a client it was given. The next call begins anew. */
  close(): void {
    this.#drop(this.#line)
    this.#hasAnswered = false
  }

  async #attempt<T>(options: CallOptions, send: (client: RedisClient) => Promise<T>): Promise<T> {
    const giveUpAt = this.#clock.monotonic() + RETRY_FOR_MS
    for (;;) {
      options.signal?.throwIfAborted()
      const line = this.#open()
      try {
        const answer = await answerWithin(this.#send(line, send), ANSWER_WITHIN_MS, options.signal)
        this.#hasAnswered = true
        return answer
      } catch (error) {
        options.signal?.throwIfAborted()
        const described = describe(line, error)
        if (!isTidemarkError(described, 'CONNECTION') || !described.retryable || LASTING.has(described.details.reply)) throw described
        // A demoted master and a dead peer stay what they are on this connection; another may lead elsewhere.
        if ('url' in this.#target) this.#drop(line)
        if (!this.#hasAnswered || this.#clock.monotonic() > giveUpAt) throw described
      }
      await this.#clock.sleep(RETRY_AFTER_MS, options.signal)
    }
  }

  async #send<T>(line: Line, send: (client: RedisClient) => Promise<T>): Promise<T> {
    const { client, watch } = line
    const where = redisAddress(client)
    if (line.checked?.on !== watch.connections) {
      line.checked = {
        on: watch.connections,
        done: checkRedisServer(client, where, 'offsets', message => this.#warn(message)),
      }
    }
    const { checked } = line
    try {
      await checked.done
      // The first look is what made a client that was waiting connect.
      checked.on = watch.connections
    } catch (error) {
      if (line.checked === checked) delete line.checked
      throw error
    }
    // Without the database it was told, ioredis goes on in the first.
    const met = 'url' in this.#target ? describeRedisError(watch.metOnTheWay, where) : undefined
    if (met?.retryable === false) throw met
    return send(client)
  }

  #open(): Line {
    if (this.#line !== undefined && !CLOSED.has(this.#line.client.status)) return this.#line
    this.#drop(this.#line)
    const client = 'url' in this.#target ? connect(this.#target.url) : this.#target.client
    if (CLOSED.has(client.status)) {
      // A cluster's client would keep every command for a connection that nobody makes.
      throw new ConnectionError(`${redisAddress(client)} cannot be asked: the client given to redisOffsets was closed.`, {
        retryable: false,
      })
    }
    this.#line = { client, watch: watchClient(client) }
    return this.#line
  }

  #drop(line: Line | undefined): void {
    if (line === undefined || this.#line !== line) return
    this.#line = undefined
    // A client of ours that is still connecting may yet say an error, which must be heard or ioredis prints it; it goes with its listeners.
    if ('url' in this.#target) (line.client as Redis).disconnect()
    else unwatchClient(line.client)
  }

  #warn(message: string): void {
    if (this.#warned.has(message)) return
    this.#warned.add(message)
    if (this.#log === undefined) process.emitWarning(message, 'TidemarkWarning')
    else this.#log.warn({}, message)
  }
}

/** A client that connects when it is first used, and does not by itself once it has lost its connection: then the next call makes another. */
function connect(url: string): RedisClient {
  return new Redis(url, {
    lazyConnect: true,
    retryStrategy: () => null,
    maxRetriesPerRequest: 0,
    connectTimeout: ANSWER_WITHIN_MS,
    connectionName: 'tidemark-offsets',
  })
}

function describe({ client, watch }: Line, error: unknown): unknown {
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
