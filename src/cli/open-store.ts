import { ConfigError } from '../core/errors.ts'
import type { OffsetStore } from '../core/offset-store.ts'
import type { LoadedJob } from './load-job.ts'

/**
 * The store a command works on: `--store` or TIDEMARK_STORE where given, else the job's own, else SQLite beside the job.
 * Undefined means the job's own.
 */
export async function openStore({ internals, path }: LoadedJob, url: string | undefined): Promise<OffsetStore | undefined> {
  if (url !== undefined) return storeFromUrl(url, '--store')
  const fromEnvironment = process.env.TIDEMARK_STORE
  if (fromEnvironment) return storeFromUrl(fromEnvironment, 'TIDEMARK_STORE')
  if (internals.offsets !== undefined) return undefined
  const { sqliteOffsets } = await import('../../offsets/sqlite/index.ts')
  return sqliteOffsets({ path: path.replace(/\.[cm]?[jt]s$/, '.offsets.db') })
}

/** Each kind of store is loaded only where its URL asks for it. `origin` is where a mistake is to be mended; a URL may hold a password. */
async function storeFromUrl(url: string, origin: '--store' | 'TIDEMARK_STORE'): Promise<OffsetStore> {
  const kind = /^([a-z]+):/i.exec(url)?.[1]?.toLowerCase()
  switch (kind) {
    case 'sqlite': {
      const { sqliteOffsets } = await import('../../offsets/sqlite/index.ts')
      const file = url.slice('sqlite:'.length).replace(/^\/\/(?=[^/])/, '')
      if (file === '') throw new ConfigError(`${origin} names no file after sqlite:. Write sqlite:path/to/offsets.db.`)
      return sqliteOffsets({ path: file })
    }
    default:
      throw new ConfigError(
        `${origin} ${kind === undefined ? 'is not a URL' : `names a store of kind ${kind}:, which is not known`}. It is a URL such as sqlite:path/to/offsets.db.`,
      )
  }
}
