import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

const ROOT = join(import.meta.dirname, '..', '..')
/** The condition under which an entry point is its source. */
const SOURCE = 'tidemark-source'

/** What people import from, and the source behind it. */
export type EntryPoint = { readonly name: string; readonly path: string }

/** Every entry point of the package, in the order of package.json. */
export function entryPoints(): EntryPoint[] {
  const { exports }: { exports: Record<string, string | Record<string, string>> } = JSON.parse(
    readFileSync(join(ROOT, 'package.json'), 'utf8'),
  )
  return Object.entries(exports).flatMap(([key, targets]) => {
    const source = typeof targets === 'string' ? undefined : targets[SOURCE]
    if (source === undefined) return []
    const name = key.replace(/^\./, 'tidemark')
    if (!name.includes('*')) return [{ name, path: source.slice(2) }]
    const pattern = source.slice(2)
    const [before = '', after = ''] = pattern.split('*')
    return globSync(pattern, { cwd: ROOT })
      .sort()
      .map(path => ({ name: name.replace('*', path.slice(before.length, path.length - after.length)), path }))
  })
}
