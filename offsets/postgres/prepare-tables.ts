import { AuthError, ConfigError, UnsupportedError } from '../../src/core/errors.ts'
import { type PostgresPlace, sqlState } from '../../src/util/postgres-error.ts'
import { makeSchema, makeTables, SCHEMA_VERSION, TABLES, tablesOf, takeMigrationLock } from './schema.ts'
import type { Session } from './session.ts'
import { list, sql } from './sql.ts'

/** SQLSTATEs of a schema, table or column that is not there. */
const MISSING = new Set(['3F000', '42P01', '42703'])
/** Of something that somebody else made at the same moment, without our lock. */
const MADE_MEANWHILE = new Set(['23505', '42P06', '42P07', '42710', 'XX000'])
const LACKS_RIGHT = '42501'
const ATTEMPTS = 5

/** Whether an error says that tables are missing, or others than this version knows. */
export function areTablesMissing(error: unknown): boolean {
  return MISSING.has(sqlState(error) ?? '')
}

/** Whether the store's tables are there and of this version. Throws `UnsupportedError` for those of a newer one. */
export async function hasTables(session: Session, schema: string): Promise<boolean> {
  try {
    const [answer] = await session.send([sql`select version from ${tablesOf(schema).offsets_version}`])
    const version = Number(answer?.rows[0]?.version ?? 0)
    if (version <= SCHEMA_VERSION) return version === SCHEMA_VERSION
    throw new UnsupportedError(
      `The offset store in schema ${schema} is of version ${version}, and this version of tidemark knows ${SCHEMA_VERSION}. Upgrade tidemark.`,
      { details: { schema, version } },
    )
  } catch (error) {
    if (areTablesMissing(error)) return false
    throw error
  }
}

/** Makes the tables in one transaction. Fifty clients may do so at once: one makes them, the others wait for it. */
export async function prepareTables(session: Session, schema: string, place: PostgresPlace): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await makeMissing(session, schema)
    } catch (error) {
      const state = sqlState(error) ?? ''
      if (state === LACKS_RIGHT) throw lacksRight(error, schema, place)
      // Also another program's `create schema` of the same name: it takes no lock that we could wait for.
      if (!MADE_MEANWHILE.has(state) || attempt === ATTEMPTS) throw error
      await session.send([sql`rollback`])
    }
  }
}

async function makeMissing(session: Session, schema: string): Promise<void> {
  const answers = await session.send([
    sql`begin isolation level read committed`,
    takeMigrationLock(),
    sql`select relname from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
      where n.nspname = ${schema} and relname in (${list(TABLES.map(name => sql`${name}`))})`,
    sql`select 1 from pg_catalog.pg_namespace where nspname = ${schema}`,
  ])
  const found = (answers[2]?.rows ?? []).map(({ relname }) => relname)
  const foreign = found.includes('offsets_version') ? undefined : found[0]
  if (foreign !== undefined) {
    throw new ConfigError(
      `Schema ${schema} has a table ${foreign} of another application. Name another one for the offset store: postgresOffsets({ …, schema: 'tidemark' }).`,
      { details: { schema, table: foreign } },
    )
  }
  // `if not exists` asks for the right to make schemas also where it has nothing to do.
  const missingSchema = answers[3]?.rows.length === 0 ? [makeSchema(schema)] : []
  await session.send([...missingSchema, ...makeTables(schema), sql`commit`])
}

function lacksRight(cause: unknown, schema: string, { address }: PostgresPlace): AuthError {
  const call = schema === 'tidemark' ? 'postgresOffsetsMigration()' : `postgresOffsetsMigration({ schema: ${JSON.stringify(schema)} })`
  return new AuthError(
    `The offset store at ${address} has no tables in schema ${schema} yet, and this user may not make them. Have somebody run the migration who may: ` +
      `${call} of tidemark/offsets/postgres returns its SQL, with the grants that this user needs at its end.`,
    { cause, details: { address, schema } },
  )
}
