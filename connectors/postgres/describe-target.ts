import { type PostgresPool, showPostgresAddress } from '../../src/util/postgres-pool.ts'

type Server = { readonly host?: string | undefined; readonly port?: string | number | undefined; readonly database?: string | undefined }

/** Where an output's server is told: as it is for {@link postgresSink}. */
export type ServerOptions = { readonly connectionString?: string | undefined; readonly pool?: PostgresPool | undefined }

/**
 * Which database, and what of it, as the driver and its executors compare it: what the options say, and `pg`'s environment where they are silent. Never a
 * user, a password or another parameter. Undefined where nobody can tell.
 */
export function describeTarget({ connectionString, pool }: ServerOptions, what: string): string | undefined {
  const server = serverOf(connectionString, pool)
  if (server === undefined) return undefined
  const { PGHOST, PGPORT, PGDATABASE } = process.env
  const address = showPostgresAddress({
    host: server.host || PGHOST,
    port: Number(server.port || PGPORT || 5432),
    database: server.database || PGDATABASE,
  })
  return `${address}, ${what}`
}

function serverOf(connectionString: string | undefined, pool: PostgresPool | undefined): Server | undefined {
  if (pool === undefined) return parseServer(connectionString ?? '')
  const { options } = pool as { readonly options?: Server & { readonly connectionString?: string } }
  return options?.connectionString === undefined ? options : parseServer(options.connectionString)
}

/** As `pg-connection-string` reads it, which comes with `pg` and so is there only where `pg` is. */
function parseServer(text: string): Server | undefined {
  if (text.startsWith('/')) {
    const [host, database] = text.split(' ')
    return { host, database }
  }
  try {
    const url = new URL(text)
    const { searchParams } = url
    // Odd characters of a password that was not encoded have become part of what follows it.
    if (url.hash !== '' || url.pathname.includes('@')) return undefined
    if (url.protocol === 'socket:') return { host: decodeURI(url.pathname), database: searchParams.get('db') ?? undefined }
    return {
      host: searchParams.get('host') ?? decodeURIComponent(url.hostname.replace(/^\[(.+)\]$/, '$1')),
      port: searchParams.get('port') ?? url.port,
      database: decodeURI(url.pathname.slice(1)),
    }
  } catch {
    return undefined
  }
}
