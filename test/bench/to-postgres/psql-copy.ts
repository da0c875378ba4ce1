import { execFile } from 'node:child_process'
import { promisify } from 'node:util'

/** Fills a table with psql's `\copy` from a file, as fast as a client can: ms. */
export async function copyByPsql(connectionString: string, table: string, file: string): Promise<number> {
  const startedAt = performance.now()
  await promisify(execFile)('psql', [connectionString, '-q', '-v', 'ON_ERROR_STOP=1', '-c', `\\copy ${table} from '${file}'`])
  return performance.now() - startedAt
}

/** Writes a table into a file in the format that `\copy` reads. */
export async function dumpByPsql(connectionString: string, table: string, file: string): Promise<void> {
  await promisify(execFile)('psql', [connectionString, '-q', '-v', 'ON_ERROR_STOP=1', '-c', `\\copy ${table} to '${file}'`])
}
