import { z } from 'zod'
import { parseOptions } from '../../src/util/parse-options.ts'
import { type PostgresConnectionOptions, withPostgresConnection } from '../../src/util/postgres-connection-options.ts'

export type PostgresOffsetsOptions = PostgresConnectionOptions & {
  /** Where the tables are. @default 'tidemark' */
  readonly schema?: string
}

export type PostgresMigrationOptions = {
  /** Where the tables will be. @default 'tidemark' */
  readonly schema?: string
}

const LONGEST_IDENTIFIER_BYTES = 63

/** Postgres cuts a longer name, and two schemas could become one. */
const schema = z
  .string()
  .refine(name => name !== '' && !name.includes('\0') && Buffer.byteLength(name) <= LONGEST_IDENTIFIER_BYTES, {
    error: `expected the name of a schema, of at most ${LONGEST_IDENTIFIER_BYTES} bytes`,
  })
  .default('tidemark')

/** What `postgresOffsets` takes. */
export const postgresOffsetsOptions = withPostgresConnection({ schema })

const migrationOptions = z.strictObject({ schema })

export type CompleteOptions = z.output<typeof postgresOffsetsOptions>

export function completeOptions(options: PostgresOffsetsOptions): CompleteOptions {
  return parseOptions(postgresOffsetsOptions, options, 'postgresOffsets')
}

export function completeMigrationOptions(options: PostgresMigrationOptions): { readonly schema: string } {
  return parseOptions(migrationOptions, options, 'postgresOffsetsMigration')
}
