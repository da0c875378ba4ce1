import type { Dirent } from 'node:fs'
import { access, readdir, readFile } from 'node:fs/promises'
import { AuthError, ConfigError, errorMessage, TidemarkError } from '../../src/core/errors.ts'

/** Runs one call to the file system and gives its failure a sentence: `action` and `path` say what was tried. */
export async function onDisk<T>(action: string, path: string, call: () => Promise<T>): Promise<T> {
  try {
    return await call()
  } catch (error) {
    throw toDiskError(error, action, path)
  }
}

/** Whether there is something at `path`. */
export async function isThere(path: string): Promise<boolean> {
  return (await whyAbsent(path, ['ENOENT'])) === undefined
}

/** Whether the system takes no such path, whatever is there. */
export async function isPathTooLong(path: string): Promise<boolean> {
  return (await whyAbsent(path, ['ENOENT', 'ENAMETOOLONG'])) === 'ENAMETOOLONG'
}

/** Which of these codes says that nothing is at `path`; undefined where there is something. */
function whyAbsent(path: string, codes: readonly string[]): Promise<string | undefined> {
  return onDisk('look at', path, async () => {
    try {
      await access(path)
      return undefined
    } catch (error) {
      const code = diskErrorCode(error)
      if (code !== undefined && codes.includes(code)) return code
      throw error
    }
  })
}

/** The text of a file; undefined where there is none. */
export function readIfThere(path: string): Promise<string | undefined> {
  return onDisk('read', path, async () => {
    try {
      return await readFile(path, 'utf8')
    } catch (error) {
      if (diskErrorCode(error) === 'ENOENT') return undefined
      throw error
    }
  })
}

/** What a folder holds; nothing where there is none. */
export function listIfThere(folder: string): Promise<Dirent[]> {
  return onDisk('list', folder, async () => {
    try {
      return await readdir(folder, { withFileTypes: true })
    } catch (error) {
      if (diskErrorCode(error) === 'ENOENT') return []
      throw error
    }
  })
}

/** The error's code (`ENOENT`, …) where it is one of the file system's. */
export function diskErrorCode(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined
}

function toDiskError(error: unknown, action: string, path: string): TidemarkError {
  const code = diskErrorCode(error)
  const failed = `Cannot ${action} ${path}`
  const options = { details: { path, code }, cause: error }
  switch (code) {
    case 'ENOSPC':
    case 'EDQUOT':
      return new TidemarkError('TASK_FAILED', `${failed}: the disk is full (${code}). Free some space or raise the quota.`, {
        ...options,
        retryable: true,
      })
    case 'EMFILE':
    case 'ENFILE':
      return new TidemarkError('TASK_FAILED', `${failed}: too many files are open (${code}). Raise the limit (ulimit -n).`, {
        ...options,
        retryable: true,
      })
    case 'EROFS':
      return new ConfigError(
        `${failed}: the file system is mounted read-only (EROFS). Mount it writable or use another directory.`,
        options,
      )
    case 'EACCES':
    case 'EPERM':
      return new AuthError(
        `${failed}: this process may not (${code}). Give its user the right to write there, or use another directory.`,
        options,
      )
    case 'ENOTDIR':
    case 'EEXIST':
      return new ConfigError(`${failed}: a part of the path is a file (${code}). Remove it or use another directory.`, options)
    case 'ENAMETOOLONG':
      return new ConfigError(
        `${failed}: the name is too long for the file system (ENAMETOOLONG). Use a shorter directory or topic name.`,
        options,
      )
    default:
      return new TidemarkError('TASK_FAILED', `${failed}: ${errorMessage(error)}. See to the disk or the mount, then start again.`, options)
  }
}
