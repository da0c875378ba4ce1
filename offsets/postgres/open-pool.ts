import { ConfigError, errorMessage } from '../../src/core/errors.ts'
import type { PostgresPlace } from '../../src/util/postgres-error.ts'
import { type PostgresPool, postgresPoolConfig, showPostgresAddress } from '../../src/util/postgres-pool.ts'

/** A batch, a renewal beside it, and somebody who looks. */
const MAX_CONNECTIONS = 4

/** A pool and what messages call its server. */
export type OpenPool = { readonly pool: PostgresPool; readonly place: PostgresPlace }

/** A pool of our own; no connection is made yet. Throws `ConfigError` where `pg` is not installed, or cannot read the connection string. */
export async function openPool(connectionString: string): Promise<OpenPool> {
  const { default: pg } = await import('pg').catch((cause: unknown) => {
    throw new ConfigError('postgresOffsets needs the package pg: npm install pg.', { cause })
  })
  const config = postgresPoolConfig(connectionString, { max: MAX_CONNECTIONS })
  return { pool: new pg.Pool(config), place: placeOf(readTarget(() => new pg.Client(config))) }
}

/** The caller's pool. A pool of another kind than `pg`'s may keep its options to itself. */
export function borrowPool(pool: PostgresPool): OpenPool {
  const { Client, options } = pool as { readonly Client?: new (options: unknown) => Target; readonly options?: Target }
  if (typeof Client !== 'function') return { pool, place: placeOf(options ?? {}) }
  return { pool, place: placeOf(readTarget(() => new Client(options))) }
}

type Target = { readonly host?: string; readonly port?: number; readonly database?: string | undefined }

/** What `pg` makes of its options and of the environment (`PGHOST` and others). A client that is not connected holds nothing. */
function readTarget(makeClient: () => Target): Target {
  try {
    return makeClient()
  } catch (error) {
    // The error goes no further: it may carry the whole connection string.
    throw new ConfigError(
      `postgresOffsets cannot use its connection string: ${errorMessage(error)}. It has the form 'postgres://user:password@host:5432/database', with odd characters of the password percent-encoded.`,
    )
  }
}

function placeOf(target: Target): PostgresPlace {
  return { use: 'offset store', address: showPostgresAddress(target) }
}
