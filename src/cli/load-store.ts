import { ConfigError } from '../core/errors.ts'
import type { OffsetStore } from '../core/offset-store.ts'

/** Loads a kind of store whose client is an optional package, and says which one to install where it is missing. Throws `ConfigError`. */
export async function loadStore(kind: string, client: string, load: () => Promise<OffsetStore>): Promise<OffsetStore> {
  try {
    return await load()
  } catch (error) {
    const { code, message } = error as { code?: string; message?: string }
    if (code !== 'ERR_MODULE_NOT_FOUND' || !message?.includes(`'${client}'`)) throw error
    throw new ConfigError(`A ${kind} store needs the package ${client}, which is not installed: npm install ${client}`, { cause: error })
  }
}
