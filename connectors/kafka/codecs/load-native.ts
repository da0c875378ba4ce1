import { createRequire } from 'node:module'
import { UnsupportedError } from '../../../src/core/errors.ts'

const require = createRequire(import.meta.url)

/**
 * Loads a package with a prebuilt binary on first use, so that a job pays only for the codecs its topics use.
 * Throws `UnsupportedError` naming the package where there is no binary for this machine.
 */
export function loadNative<T>(packageName: string, purpose: string): T {
  try {
    return require(packageName) as T
  } catch (cause) {
    throw new UnsupportedError(
      `The package ${packageName}, which ${purpose} needs, did not load on ${process.platform} ${process.arch}. ` +
        'Install again with optional dependencies (npm installs them unless told `--omit=optional`), on the machine where this runs.',
      { details: { package: packageName, platform: process.platform, arch: process.arch }, cause },
    )
  }
}
