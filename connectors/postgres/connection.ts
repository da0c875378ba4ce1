import { ConfigError, isTidemarkError } from '../../src/core/errors.ts'
import type { Task } from '../../src/core/values.ts'
import { describePostgresError, isConnectionLost, type PostgresPlace } from '../../src/util/postgres-error.ts'
import {
  borrowClient,
  giveBack,
  type PostgresClient,
  type PostgresPool,
  type PostgresResult,
  postgresPoolConfig,
  showPostgresAddress,
} from '../../src/util/postgres-pool.ts'
import { Slots } from '../../src/util/slots.ts'
import { untilAborted } from '../../src/util/until-aborted.ts'
import { RangeTurns, SharedPool } from './range-turns.ts'

/** Connections at a time of a sink that was given a connection string. Each task that streams holds one. */
const MAX_CONNECTIONS = 10

const PG_DEFAULT_MAX = 10
/** Ranges of all sinks with pools of their own. One connection of each is left for fences, looks and small tasks. */
const OWN_TURNS = new RangeTurns(() => MAX_CONNECTIONS - 1)
const SHARED_POOLS = new WeakMap<PostgresPool, SharedPool>()

/**
 * How long the server may take for what is only looked up, or waits for no lock for long, ms. Who has not heard by then sits on a connection that died
 * without a word, and a fence has nobody who aborts it.
 */
const ANSWER_WITHIN_MS = 15_000

/** The rows of one statement that the server answers soon. */
export async function runQuery<Row>(client: PostgresClient, text: string, values: unknown[] = []): Promise<Row[]> {
  const result = (await client.query({ text, values, query_timeout: ANSWER_WITHIN_MS })) as PostgresResult
  return result.rows as Row[]
}

/** Several statements in one message, without values; the last one's rows. They take as long as they take, unless they are `brief`. */
export async function runScript<Row>(client: PostgresClient, text: string, { brief = false } = {}): Promise<Row[]> {
  const result = (await client.query({ text, ...(brief && { query_timeout: ANSWER_WITHIN_MS }) })) as
    | PostgresResult
    | readonly PostgresResult[]
  const last = Array.isArray(result) ? (result.at(-1) as PostgresResult | undefined) : (result as PostgresResult)
  return (last?.rows ?? []) as Row[]
}

/** Whether what {@link Connection} throws says that the connection was lost. */
export function isAway(error: unknown): boolean {
  return error instanceof Error && isConnectionLost(error.cause)
}

/** A sink's way to its server: a pool of its own, made at first use, or the caller's. */
export class Connection {
  readonly #connectionString: string | undefined
  readonly #isOwn: boolean
  readonly #use: string
  /** Of a pool of our own: it takes a long wait for a connection for a server that is away, so nobody waits inside it. */
  readonly #turns = new Slots(MAX_CONNECTIONS)
  /** Of a pool of the caller's, which other outputs may use too. */
  readonly #shared: SharedPool | undefined
  #pool: Promise<PostgresPool> | undefined
  #address = 'its address'

  /** @param use - what messages call it, such as `output postgres:orders` */
  constructor(at: { readonly connectionString?: string | undefined; readonly pool?: PostgresPool | undefined }, use: string) {
    this.#connectionString = at.connectionString
    this.#isOwn = at.pool === undefined
    this.#use = use
    this.#shared = at.pool && sharedPool(at.pool)
    if (at.pool !== undefined) {
      this.#pool = Promise.resolve(at.pool)
      const { options } = at.pool as { readonly options?: { readonly host?: string; readonly port?: number; readonly database?: string } }
      if (options?.host !== undefined) this.#address = showPostgresAddress(options)
    }
  }

  /** Says that an output is going to write, and how; until {@link close}. @throws ConfigError where a pool of the caller's is too small */
  join(): void {
    this.#shared?.join(this, this.#use)
  }

  /** Lends a connection for as long as a task's rows come. */
  useForRows<Result>(task: Task, work: (client: PostgresClient) => Promise<Result>, signal: AbortSignal): Promise<Result> {
    return (this.#shared?.turns ?? OWN_TURNS).use(task, signal, () => this.use(work, signal))
  }

  /**
   * Lends a connection to `work`. One that work leaves in a transaction, or that fails in any way but by an answer of the server, is closed and not
   * given to anybody else; so is one whose borrower was aborted, which ends what the server still does for it.
   */
  use<Result>(work: (client: PostgresClient) => Promise<Result>, signal?: AbortSignal): Promise<Result> {
    return this.#isOwn ? this.#turns.use(() => this.#lend(work, signal)) : this.#lend(work, signal)
  }

  async #lend<Result>(work: (client: PostgresClient) => Promise<Result>, signal: AbortSignal | undefined): Promise<Result> {
    signal?.throwIfAborted()
    const client = await this.#connect(signal)
    let isReleased = false
    const release = (destroy: boolean) => {
      if (isReleased) return
      isReleased = true
      giveBack(client, destroy)
    }
    const abort = () => release(true)
    signal?.addEventListener('abort', abort, { once: true })
    try {
      signal?.throwIfAborted()
      const result = await work(client)
      release(isInTransaction(client))
      return result
    } catch (error) {
      release(isInTransaction(client) || (!isTidemarkError(error) && isConnectionLost(error)))
      signal?.throwIfAborted()
      throw this.explain(error)
    } finally {
      release(true)
      signal?.removeEventListener('abort', abort)
    }
  }

  /** An error of Postgres in our words; any other error as it is. */
  explain(error: unknown): unknown {
    return describePostgresError(error, this.place) ?? error
  }

  get place(): PostgresPlace {
    return { use: this.#use, address: this.#address }
  }

  async close(): Promise<void> {
    this.#shared?.leave(this)
    const pool = this.#pool
    if (!this.#isOwn || pool === undefined) return
    this.#pool = undefined
    await (await pool.catch(() => undefined))?.end()
  }

  /** Who is aborted waits no longer: a pool of the caller's may have none free for as long as it likes, and what came then would write. */
  async #connect(signal: AbortSignal | undefined): Promise<PostgresClient> {
    this.#pool ??= this.#open()
    const connecting = borrowClient(await this.#pool)
    try {
      return await (signal === undefined ? connecting : untilAborted(connecting, signal))
    } catch (error) {
      connecting.then(
        client => giveBack(client),
        () => {},
      )
      signal?.throwIfAborted()
      throw this.explain(error)
    }
  }

  async #open(): Promise<PostgresPool> {
    let pg: Pick<typeof import('pg'), 'Client' | 'Pool'>
    try {
      pg = (await import('pg')).default
    } catch (cause) {
      this.#pool = undefined
      throw new ConfigError('postgresSink needs the package pg, which is not installed: npm install pg', { cause })
    }
    const config = postgresPoolConfig(this.#connectionString ?? '', { max: MAX_CONNECTIONS })
    const client = new pg.Client(config)
    this.#address = showPostgresAddress({ host: client.host, port: client.port, ...(client.database && { database: client.database }) })
    const pool = new pg.Pool(config) as unknown as PostgresPool
    // What becomes of an idle connection is found out by its next borrower: the pool makes another.
    pool.on('error', () => {})
    return pool
  }
}

function sharedPool(pool: PostgresPool): SharedPool {
  const { options } = pool as { readonly options?: { readonly max?: number } }
  const shared = SHARED_POOLS.get(pool) ?? new SharedPool(options?.max ?? PG_DEFAULT_MAX)
  SHARED_POOLS.set(pool, shared)
  return shared
}

/** Not known to every version of `pg`. */
function isInTransaction(client: PostgresClient): boolean {
  const { getTransactionStatus } = client as { readonly getTransactionStatus?: () => string | null }
  return ['T', 'E'].includes(getTransactionStatus?.call(client) ?? '')
}
