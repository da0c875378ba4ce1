/** The answer to one statement. Values are as the type parsers of the query made them. */
export type PostgresResult = { readonly rows: unknown[]; readonly rowCount: number | null; readonly command: string }

/** What Tidemark uses of `pg`'s `PoolClient`. */
export type PostgresClient = {
  query(query: PostgresQuery): Promise<unknown>
  release(destroy?: Error | boolean): void
  on(event: 'error', listener: (error: Error) => void): unknown
  off(event: 'error', listener: (error: Error) => void): unknown
}

/** A `pg.Pool`, by what Tidemark uses of it, so that the caller's copy of `pg` may be another than ours. */
export type PostgresPool = {
  connect(callback: (error: Error | undefined, client: PostgresClient | undefined) => void): void
  end(): Promise<void>
  on(event: 'error', listener: (error: Error) => void): unknown
  off(event: 'error', listener: (error: Error) => void): unknown
}

/** One query as `pg` takes it: several statements in `text` only without `values`; then the answer is an array of results. */
export type PostgresQuery = {
  readonly text: string
  readonly values?: unknown[]
  readonly rowMode?: 'array'
  readonly types?: { getTypeParser(): (value: string) => unknown }
  /** The client gives up waiting after so long, ms; the connection is of no use then. */
  readonly query_timeout?: number
}

/**
 * A connection out of a pool, to be given back by {@link giveBack}. One that breaks while no query waits says so by an event, which ends the process
 * where nobody listens; so somebody does, from the moment that the pool no longer does. With the promise that `connect` also gives there is a gap: the
 * server's welcome and its farewell come in one packet (it was killed just then), and the second is told before whoever awaits the first can run.
 */
export function borrowClient(pool: PostgresPool): Promise<PostgresClient> {
  return new Promise((resolve, reject) => {
    pool.connect((error, client) => {
      if (client === undefined) return reject(error)
      client.on('error', ignoreError)
      resolve(client)
    })
  })
}

/** Gives a connection back to its pool, which listens to it again, or closes it. */
export function giveBack(client: PostgresClient, destroy = false): void {
  client.release(destroy)
  // The last error of one that is closed may come after this.
  if (!destroy) client.off('error', ignoreError)
}

function ignoreError(): void {}

/** How long a connection may take to come about, ms. */
export const CONNECT_WITHIN_MS = 5_000

/** What `pg.Pool` is given for a connection string: found out soon when nobody answers, never holding a process back from its end. */
export function postgresPoolConfig(connectionString: string, { max }: { readonly max: number }) {
  return {
    connectionString,
    max,
    connectionTimeoutMillis: CONNECT_WITHIN_MS,
    idleTimeoutMillis: 60_000,
    keepAlive: true,
    allowExitOnIdle: true,
  }
}

/** `localhost:5432/orders`, or the socket's folder in place of the host, out of a `pg.Client` or a pool's options: never user or password. */
export function showPostgresAddress(at: {
  readonly host?: string | undefined
  readonly port?: number | undefined
  readonly database?: string | undefined
}): string {
  const { host = 'localhost', port = 5432, database } = at
  return `${host.includes(':') ? `[${host}]` : host}:${port}${database ? `/${database}` : ''}`
}
