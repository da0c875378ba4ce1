import { ConfigError } from '../core/errors.ts'
import type { OffsetStore } from '../core/offset-store.ts'
import type { LoadedJob } from './load-job.ts'

/**
 * The store a command works on: `--store` or TIDEMARK_STORE where given, else the job's own, else SQLite beside the job.
 * Undefined means the job's own.
 */
export async function openStore({ internals, path }: LoadedJob, url: string | undefined): Promise<OffsetStore | undefined> {
  const given = url ?? process.env.TIDEMARK_STORE
  if (given !== undefined && given !== '') return storeFromUrl(given)
  if (internals.offsets !== undefined) return undefined
  const { sqliteOffsets } = await import('../../offsets/sqlite/index.ts')
  return sqliteOffsets({ path: path.replace(/\.[cm]?[jt]s$/, '.offsets.db') })
}

/** Each kind of store is loaded only where its URL asks for it. */
async function storeFromUrl(url: string): Promise<OffsetStore> {
  const kind = /^([a-z]+):/i.exec(url)?.[1]?.toLowerCase()
  switch (kind) {
    case 'sqlite': {
      const { sqliteOffsets } = await import('../../offsets/sqlite/index.ts')
      const file = url.slice('sqlite:'.length).replace(/^\/\/(?=[^/])/, '')
      if (file === '') throw new ConfigError('--store sqlite: names no file. Write sqlite:path/to/offsets.db.')
      return sqliteOffsets({ path: file })
    }
    default:
      throw new ConfigError(
        `--store ${kind === undefined ? 'is not a URL' : `${kind}: is not known`}. It is a URL such as sqlite:path/to/offsets.db.`,
      )
  }
}
