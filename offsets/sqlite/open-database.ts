import { mkdirSync } from 'node:fs'
import { dirname } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { ConfigError, errorMessage, UnsupportedError } from '../../src/core/errors.ts'
import { APPLICATION_ID, SCHEMA, SCHEMA_VERSION } from './schema.ts'

/** How long one attempt blocks the thread for another process's lock; a commit over there takes as long as one fsync. */
const BUSY_TIMEOUT_MS = 50

/**
 * Opens the offset store at `path`, or makes it. A file of somebody else is left as it was found.
 * Throws `ConfigError`, `UnsupportedError`, and SQLite's own errors.
 */
export function openDatabase(path: string): DatabaseSync {
  makeFolder(dirname(path))
  const database = new DatabaseSync(path, { timeout: BUSY_TIMEOUT_MS })
  try {
    const isNew = checkMarks(database, path)
    const mode = database.prepare('pragma journal_mode = wal').get()?.journal_mode
    if (mode !== 'wal')
      throw new ConfigError(`${path} cannot be an offset store: its file system does not allow SQLite's WAL (it said ${mode}).`)
    // A commit that returns is on the disk; on macOS that takes F_FULLFSYNC.
    database.exec('pragma synchronous = full; pragma fullfsync = on')
    if (isNew) makeTables(database, path)
    return database
  } catch (error) {
    database.close()
    throw error
  }
}

function makeFolder(folder: string): void {
  try {
    mkdirSync(folder, { recursive: true })
  } catch (cause) {
    throw new ConfigError(`${folder}, the folder of the offset store, cannot be made: ${errorMessage(cause)}.`, { cause })
  }
}

/** Two processes may both have found an empty file; the one that gets the lock second finds the tables made. */
function makeTables(database: DatabaseSync, path: string): void {
  database.exec('begin immediate')
  try {
    if (checkMarks(database, path)) database.exec(SCHEMA)
    database.exec('commit')
  } catch (error) {
    if (database.isTransaction) database.exec('rollback')
    throw error
  }
}

/** Whether the file is empty, and so ours to fill. Throws for one of another application or of a newer version. */
function checkMarks(database: DatabaseSync, path: string): boolean {
  const marks = database
    .prepare(
      'select application_id, user_version, (select count(*) from sqlite_schema) as tables from pragma_application_id, pragma_user_version',
    )
    .get()
  if (marks?.application_id === APPLICATION_ID) {
    if (marks.user_version === SCHEMA_VERSION) return false
    throw new UnsupportedError(
      `${path} is an offset store of version ${marks.user_version}, and this version of tidemark knows ${SCHEMA_VERSION}. Upgrade tidemark.`,
      { details: { path, version: marks.user_version } },
    )
  }
  if (marks?.application_id === 0 && marks.tables === 0) return true
  throw new ConfigError(`${path} is an SQLite file of another application. Name another path for the offset store.`, { details: { path } })
}
