import { z } from 'zod'
import type { PostgresPool } from './postgres-pool.ts'

/** How a Postgres is named: by a connection string, or by a pool that the caller made and keeps. */
export type PostgresConnectionOptions =
  | {
      /** `postgres://user:password@host:5432/database`, as `pg` takes it. */
      readonly connectionString: string | undefined
      readonly pool?: undefined
    }
  | {
      /** A `pg.Pool`; whoever made it ends it. */
      readonly pool: PostgresPool
      readonly connectionString?: undefined
    }

const UNSET = 'is DATABASE_URL set?'
const FORM = "expected a URL such as 'postgres://user:password@host:5432/database'"
const NOT_BOTH = 'expected either connectionString or pool, not both'

const connectionString = z
  .string({ error: issue => (issue.input === undefined ? UNSET : FORM) })
  .refine(isPostgresUrl, { error: issue => (issue.input === '' ? UNSET : FORM) })
const pool = z.custom<PostgresPool>(isPool, { error: 'expected a pool of pg, such as new pg.Pool({ max: 4 })' })

/** The schema of options that have a Postgres' connection, and the fields of `shape` besides. */
export function withPostgresConnection<Shape extends z.core.$ZodShape>(shape: Shape) {
  return z.union([
    z.strictObject({ ...shape, connectionString, pool: z.undefined({ error: NOT_BOTH }).optional() }),
    z.strictObject({ ...shape, pool, connectionString: z.undefined({ error: NOT_BOTH }).optional() }),
  ])
}

/** `pg` takes nearly every text and makes a database's name on localhost of it. */
function isPostgresUrl(text: string): boolean {
  return /^(postgres(ql)?:\/\/|socket:|\/)/.test(text)
}

function isPool(value: unknown): value is PostgresPool {
  return (
    typeof value === 'object' &&
    value !== null &&
    ['connect', 'end', 'on', 'off'].every(name => typeof Reflect.get(value, name) === 'function')
  )
}
