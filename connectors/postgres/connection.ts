import { ConfigError, isTidemarkError } from '../../src/core/errors.ts'
import { describePostgresError, isConnectionLost, type PostgresPlace } from '../../src/util/postgres-error.ts'
import {
  type PostgresClient,
  type PostgresPool,
  type PostgresResult,
  postgresPoolConfig,
  showPostgresAddress,
} from '../../src/util/postgres-pool.ts'

/** Connections at a time of a sink that was given a connection string. Each task that streams holds one. */
const MAX_CONNECTIONS = 10

/** The rows of one statement. */
export async function runQuery<Row>(client: PostgresClient, text: string, values: unknown[] = []): Promise<Row[]> {
  const result = (await client.query({ text, values })) as PostgresResult
  return result.rows as Row[]
}

/** Several statements in one message, without values; the last one's rows. */
export async function runScript<Row>(client: PostgresClient, text: string): Promise<Row[]> {
  const result = (await client.query({ text })) as PostgresResult | readonly PostgresResult[]
  const last = Array.isArray(result) ? (result.at(-1) as PostgresResult | undefined) : (result as PostgresResult)
  return (last?.rows ?? []) as Row[]
}

/** A sink's way to its server: a pool of its own, made at first use, or the caller's. */
export class Connection {
  readonly #connectionString: string | undefined
  readonly #isOwn: boolean
  readonly #use: string
  #pool: Promise<PostgresPool> | undefined
  #address = 'its address'

  /** @param use - what messages call it, such as `output postgres:orders` */
  constructor(at: { readonly connectionString?: string | undefined; readonly pool?: PostgresPool | undefined }, use: string) {
    this.#connectionString = at.connectionString
    this.#isOwn = at.pool === undefined
    this.#use = use
    if (at.pool !== undefined) {
      this.#pool = Promise.resolve(at.pool)
      const { options } = at.pool as { readonly options?: { readonly host?: string; readonly port?: number; readonly database?: string } }
      if (options?.host !== undefined) this.#address = showPostgresAddress(options)
    }
  }

  /**
   * Lends a connection to `work`. One that work leaves in a transaction, or that fails in any way but by an answer of the server, is closed and not
   * given to anybody else; so is one whose borrower was aborted, which ends what the server still does for it.
   */
  async use<Result>(work: (client: PostgresClient) => Promise<Result>, signal?: AbortSignal): Promise<Result> {
    signal?.throwIfAborted()
    const client = await this.#connect()
    let isReleased = false
    const release = (destroy: boolean) => {
      if (isReleased) return
      isReleased = true
      client.release(destroy)
      // Its last error may come after this: without a listener it would end the process.
      if (!destroy) client.off('error', ignore)
    }
    const ignore = () => {}
    client.on('error', ignore)
    const abort = () => release(true)
    signal?.addEventListener('abort', abort, { once: true })
    try {
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
    const pool = this.#pool
    if (!this.#isOwn || pool === undefined) return
    this.#pool = undefined
    await (await pool.catch(() => undefined))?.end()
  }

  async #connect(): Promise<PostgresClient> {
    this.#pool ??= this.#open()
    const pool = await this.#pool
    try {
      return await pool.connect()
    } catch (error) {
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

/** Not known to every version of `pg`. */
function isInTransaction(client: PostgresClient): boolean {
  const { getTransactionStatus } = client as { readonly getTransactionStatus?: () => string | null }
  return ['T', 'E'].includes(getTransactionStatus?.call(client) ?? '')
}
