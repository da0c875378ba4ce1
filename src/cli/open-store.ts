import { ConfigError } from '../core/errors.ts'
import type { OffsetStore } from '../core/offset-store.ts'
import type { LoadedJob } from './load-job.ts'
import { parseStoreUrl, type StoreUrl } from './store-url.ts'

/**
 * The store a command works on: `--store` or TIDEMARK_STORE where given, else the job's own, else SQLite beside the job.
 * Undefined means the job's own.
 */
export async function openStore({ internals, path }: LoadedJob, url: string | undefined): Promise<OffsetStore | undefined> {
  const named = namedStore(url)
  if (named !== undefined) return named.open()
  if (internals.offsets !== undefined) return undefined
  const { sqliteOffsets } = await import('../../offsets/sqlite/index.ts')
  return sqliteOffsets({ path: path.replace(/\.[cm]?[jt]s$/, '.offsets.db') })
}

/** The store of a command that knows no job. Throws `ConfigError` where none is named. */
export async function openNamedStore(url: string | undefined): Promise<OffsetStore> {
  const named = namedStore(url)
  if (named !== undefined) return named.open()
  throw new ConfigError('No store is named. Add --store, such as --store sqlite:orders.offsets.db, or set TIDEMARK_STORE.')
}

function namedStore(url: string | undefined): StoreUrl | undefined {
  if (url !== undefined) return parseStoreUrl(url, '--store')
  const fromEnvironment = process.env.TIDEMARK_STORE
  return fromEnvironment ? parseStoreUrl(fromEnvironment, 'TIDEMARK_STORE') : undefined
}
