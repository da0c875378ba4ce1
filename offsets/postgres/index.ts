import type { OffsetStore } from '../../src/core/offset-store.ts'
import { completeOptions, type PostgresMigrationOptions, type PostgresOffsetsOptions } from './options.ts'
import { PostgresOffsetStore } from './postgres-offset-store.ts'

export { postgresOffsetsMigration } from './schema.ts'
export type { PostgresMigrationOptions, PostgresOffsetsOptions }

/**
 * Offsets in Postgres, 12 or newer, straight or through PgBouncer in any pool mode. Its tables are made when a stream is first acquired, or beforehand
 * by the SQL of {@link postgresOffsetsMigration}. Making a store connects nothing; a closed store connects again when it is used again.
 *
 *     stream({ name: 'orders', offsets: postgresOffsets({ connectionString: process.env.DATABASE_URL }) })
 *
 * Throws `ConfigError` for wrong options, and from its calls also `ConnectionError` and `TimeoutError` (both retryable), `AuthError` for a refused
 * login or a missing right, and `UnsupportedError` for tables of a newer version.
 */
export function postgresOffsets(options: PostgresOffsetsOptions): OffsetStore & AsyncDisposable {
  return new PostgresOffsetStore(completeOptions(options))
}
