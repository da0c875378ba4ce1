import type { OffsetStore } from '../../src/core/offset-store.ts'
import { SqliteOffsetStore } from './sqlite-offset-store.ts'

export type SqliteOffsetsOptions = {
  /** The database file, relative to the working directory of now. It and its folder are made when a stream is first acquired. */
  readonly path: string
}

/**
 * Offsets in one SQLite file beside the job: the embedded default. Several processes of one machine may use the file at once; it must not lie on a
 * network file system, where SQLite's locks do not hold. A closed store opens again when it is used again.
 *
 *     stream({ name: 'orders', offsets: sqliteOffsets({ path: 'orders.offsets.db' }) })
 *
 * Throws `ConfigError` for a path that cannot be a store, and from its calls also `UnsupportedError` for a file of a newer version and
 * `ConnectionError` while the disk fails or another process holds the file locked.
 */
export function sqliteOffsets(options: SqliteOffsetsOptions): OffsetStore & AsyncDisposable {
  return new SqliteOffsetStore(options.path)
}
