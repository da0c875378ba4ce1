import { ConfigError, ConnectionError, errorMessage, type TidemarkError } from '../../src/core/errors.ts'

// https://www.sqlite.org/rescode.html
const PERM = 3
const BUSY = 5
const LOCKED = 6
const READONLY = 8
const IOERR = 10
const CORRUPT = 11
const FULL = 13
const CANTOPEN = 14
const NOTADB = 26

/** Whether another connection holds the lock that was asked for; the same call works a moment later. */
export function isBusy(error: unknown): boolean {
  const code = resultCode(error)
  return code === BUSY || code === LOCKED
}

/**
 * What an error of SQLite or of the file system means for the store at `path`; undefined for one of neither. A full or failing disk is retryable: the
 * call that met it may be sent again, whatever became of it.
 */
export function describeSqliteError(error: unknown, path: string): TidemarkError | undefined {
  const options = { cause: error, details: { path } }
  switch (resultCode(error)) {
    case undefined:
      return isSystemError(error) ? new ConfigError(`${path} cannot be opened: ${error.message}.`, options) : undefined
    case NOTADB:
      return new ConfigError(`${path} is not an SQLite file. Name another path for the offset store.`, options)
    case CORRUPT:
      return new ConfigError(`${path} is damaged: ${errorMessage(error)}. Restore it from a copy, or its streams from exports.`, options)
    case READONLY:
    case PERM:
      return new ConfigError(`${path} cannot be written. Give this user the right to write the file and its folder.`, options)
    case CANTOPEN:
      return new ConfigError(`${path} cannot be opened. It must be a file in a folder that this user may read and write.`, options)
    case BUSY:
    case LOCKED:
      return new ConnectionError(`${path} is locked: another process has been writing it for too long. Find it, or try again.`, options)
    case FULL:
      return new ConnectionError(`${path} cannot grow: the disk is full. Nothing was written; make room and try again.`, options)
    case IOERR:
      return new ConnectionError(`${path} cannot be read or written: ${errorMessage(error)}. Look at the disk.`, options)
    default:
      return new ConnectionError(`${path}: SQLite says: ${errorMessage(error)}.`, { ...options, retryable: false })
  }
}

/** The primary result code; the upper bits only say more about it. */
function resultCode(error: unknown): number | undefined {
  const errcode = error instanceof Error && 'errcode' in error ? error.errcode : undefined
  return typeof errcode === 'number' ? errcode & 0xff : undefined
}

function isSystemError(error: unknown): error is Error {
  return error instanceof Error && 'syscall' in error
}
