import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { readText } from './readme.ts'

const ROOT = join(import.meta.dirname, '..', '..')

describe('links and paths', () => {
  test.for([
    'README.md',
    'DESIGN.md',
    'CONTRIBUTING.md',
    'docs/offset-stores.md',
    'docs/outputs.md',
    'docs/operations.md',
    'docs/backfill.md',
    'docs/executors.md',
    'docs/other-engines.md',
    'docs/getting-started.md',
    'docs/guarantees.md',
    'docs/from-spark.md',
    'docs/from-kafkajs.md',
    'docs/from-kafka-connect.md',
  ])('%s names only files that are there', document => {
    const text = readText(document).replaceAll(/^```[\s\S]*?^```$/gm, '')
    const links = Array.from(text.matchAll(/\]\((?!https?:|#)([^)#]+)(?:#[^)]*)?\)/g), ([, path = '']) => join(dirname(document), path))
    const paths = Array.from(
      text.matchAll(/`((?:src|connectors|offsets|test|examples|scripts|bin)\/[\w./-]+)(?::\w+)?`/g),
      ([, path = '']) => path,
    )
    const named = [...links, ...paths]
    expect(named.length).toBeGreaterThan(0)
    expect(named.filter(path => !existsSync(join(ROOT, path)))).toEqual([])
  })

  test('DESIGN.md names only functions that their files have', () => {
    const named = Array.from(readText('DESIGN.md').matchAll(/`([\w./-]+\.ts):(\w+)`/g), ([, path = '', name = '']) => ({ path, name }))
    expect(named.length).toBeGreaterThan(20)
    expect(named.filter(({ path, name }) => !new RegExp(`\\b${name}\\b`).test(readText(path)))).toEqual([])
  })

  test.for(['DESIGN.md', 'docs/guarantees.md'])('%s names only tests that are there', document => {
    const rows = Array.from(readText(document).matchAll(/`(test\/[\w./-]+\.ts|src\/testing\/[\w./-]+\.ts)`: ([^|]+?)(?=; `|\|)/g))
    expect(rows.length).toBeGreaterThan(14)
    const missing = rows.filter(([, path = '', title = '']) => !normal(readText(path)).includes(normal(title)))
    expect(missing.map(([row]) => row)).toEqual([])
  })
})

/** A title may be written with either quote. */
function normal(text: string): string {
  return text.replace(/["'`\\]/g, '').trim()
}
