import { ConfigError } from '../core/errors.ts'

/**
 * Loads what needs packages that are optional, and says which to install where one is missing. `what` begins the sentence: `A redis: store`. Throws
 * `ConfigError`.
 */
export async function loadOptional<T>(what: string, packages: readonly string[], load: () => Promise<T>): Promise<T> {
  try {
    return await load()
  } catch (error) {
    const { code, message } = error as { code?: string; message?: string }
    const missing = packages.find(name => message?.includes(`'${name}'`))
    if (code !== 'ERR_MODULE_NOT_FOUND' || missing === undefined) throw error
    throw new ConfigError(`${what} needs the package ${missing}, which is not installed: npm install ${packages.join(' ')}`, {
      cause: error,
    })
  }
}
