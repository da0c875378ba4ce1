import { mkdir, mkdtemp, rename, rm, stat } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'

/**
 * Gives the folder `name` of the cache, filled once by `fill` and kept between runs: in `$XDG_CACHE_HOME/tidemark`, by default
 * `~/.cache/tidemark`. It is filled aside and renamed, so that it is there only when it is whole, however many processes start at once.
 */
export async function cacheFolder(name: string, fill: (folder: string) => Promise<void>): Promise<string> {
  const folder = join(cacheRoot(), name)
  if (await isFolder(folder)) return folder
  await mkdir(cacheRoot(), { recursive: true })
  const aside = await mkdtemp(`${folder}-`)
  try {
    const filled = join(aside, 'filled')
    await mkdir(filled)
    await fill(filled)
    await rename(filled, folder)
  } catch (error) {
    // Another process was first: a folder cannot be renamed over one that is not empty.
    if (!(await isFolder(folder))) throw error
  } finally {
    await rm(aside, { recursive: true, force: true })
  }
  return folder
}

/** Whether the cache has this folder already. */
export function isCached(name: string): Promise<boolean> {
  return isFolder(join(cacheRoot(), name))
}

function cacheRoot(): string {
  return join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'tidemark')
}

async function isFolder(path: string): Promise<boolean> {
  return stat(path).then(
    found => found.isDirectory(),
    () => false,
  )
}
