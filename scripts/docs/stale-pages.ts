import { readFile } from 'node:fs/promises'
import { join } from 'node:path'

/** What makes a page, by its path. */
export type Pages = Readonly<Record<string, () => string | Promise<string>>>

/** The pages below `root` that are not what is made of the sources, with what they should be. */
export async function findStale(root: string, pages: Pages): Promise<Map<string, string>> {
  const stale = new Map<string, string>()
  for (const [path, make] of Object.entries(pages)) {
    const made = await make()
    const there = await readFile(join(root, path), 'utf8').catch(() => undefined)
    if (made !== there) stale.set(path, made)
  }
  return stale
}
