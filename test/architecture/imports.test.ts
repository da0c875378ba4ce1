import { describe, expect, test } from 'vitest'
import { findCycle } from './find-cycle.ts'
import { readSourceFile, readSourceFiles, type SourceFile } from './source-files.ts'

/**
 * Who may import whom. An area is a folder of `src`, `src/index.ts`, or one system's folder of `connectors` and `offsets`; every area may import
 * itself. The engine knows no vendor and the vendors not each other; only the command line puts them together.
 */
const ENGINE = ['src/util', 'src/core', 'src/driver', 'src/executors', 'src/streams']
const ALLOWED: Readonly<Record<string, readonly string[]>> = {
  'src/core': [],
  'src/util': ['src/core'],
  'src/driver': ['src/core', 'src/util'],
  'src/executors': ['src/core', 'src/util'],
  'src/streams': ['src/core', 'src/driver', 'src/executors', 'src/util'],
  'src/testing': ['src/core', 'src/util'],
  'src/index.ts': ENGINE,
  'src/cli': [...ENGINE, 'connectors/*', 'offsets/*'],
  'connectors/*': ['src/core', 'src/util'],
  'offsets/*': ['src/core', 'src/util'],
}

/** Packages that are nobody's client. All others belong to the one folder that knows them. */
const ENGINE_PACKAGES: Readonly<Record<string, readonly string[]>> = {
  zod: ['src/util', 'src/driver', 'src/executors', 'src/streams', 'connectors/*', 'offsets/*'],
  pino: ['src/streams'],
  commander: ['src/cli'],
  piscina: ['src/executors'],
  'log-update': ['src/cli'],
}

/** Packages of a folder which are another system's too: BullMQ takes connections of ioredis, Parquet is compressed as Kafka's batches are. */
const BORROWED: Readonly<Record<string, string>> = { 'connectors/bullmq': 'ioredis', 'connectors/files': 'snappy' }

const files = readSourceFiles()
const paths = new Set(files.map(file => file.path))

function areaOf(path: string): string {
  return path.split('/').slice(0, 2).join('/')
}

/** The name under which the table knows an area. */
function ruleOf(area: string): string {
  return area.replace(/^(connectors|offsets)\/.*/, '$1/*')
}

function mayImport(from: string, to: string): boolean {
  return from === to || (ALLOWED[ruleOf(from)]?.includes(ruleOf(to)) ?? false)
}

function forbidden({ path, imports }: SourceFile): string[] {
  return imports.filter(to => !mayImport(areaOf(path), areaOf(to))).map(to => `${path} imports ${to}`)
}

describe('the reader of imports', () => {
  test('sees every area of the package', () => {
    expect(files.length).toBeGreaterThan(100)
    const seen = new Set(files.map(file => ruleOf(areaOf(file.path))))
    expect([...seen].sort()).toEqual(Object.keys(ALLOWED).sort())
  })

  test('misses no statement and reads no path that is not there', () => {
    for (const { path, imports, statements, staticImports } of files) {
      expect(staticImports, path).toBe(statements)
      for (const to of imports) expect(paths, `${path} imports it`).toContain(to)
    }
  })

  test('reads every form of an import, and no example in a comment', () => {
    const text = [
      '/**',
      " *     import { json } from 'tidemark/kafka'",
      " *     const { sqliteOffsets } = await import('../offsets/sqlite/index.ts')",
      ' */',
      "import './side-effect.ts'",
      "import type { A } from '../core/a.ts'",
      'import {',
      '  type B,',
      "} from './b.ts'",
      "import { Kafka } from 'kafkajs'",
      "import { readFile } from 'node:fs/promises'",
      "export { type C, c } from './c.ts'",
      "export * from './d.ts'",
      "  const { e } = await import('../../offsets/sqlite/index.ts')",
      "  native ??= loadNative<Crc32>('@node-rs/crc32', 'checking')",
    ].join('\n')
    expect(readSourceFile('src/driver/x.ts', text)).toEqual({
      path: 'src/driver/x.ts',
      imports: [
        'src/driver/side-effect.ts',
        'src/core/a.ts',
        'src/driver/b.ts',
        'src/driver/c.ts',
        'src/driver/d.ts',
        'offsets/sqlite/index.ts',
      ],
      packages: ['kafkajs', '@node-rs/crc32'],
      statements: 7,
      staticImports: 7,
    })
  })
})

describe('imports', () => {
  test('go only where the table lets them', () => {
    expect(files.flatMap(forbidden)).toEqual([])
  })

  test('that the table forbids are found', () => {
    const offence = (path: string, to: string) => forbidden({ path, imports: [to], packages: [], statements: 1, staticImports: 1 })
    expect(offence('src/core/values.ts', 'src/util/parse-options.ts')).toHaveLength(1)
    expect(offence('src/driver/driver.ts', 'src/streams/stream.ts')).toHaveLength(1)
    expect(offence('src/streams/stream.ts', 'offsets/sqlite/index.ts')).toHaveLength(1)
    expect(offence('connectors/files/sink.ts', 'connectors/kafka/record.ts')).toHaveLength(1)
    expect(offence('offsets/sqlite/index.ts', 'src/driver/planner.ts')).toHaveLength(1)
    expect(offence('src/cli/open-store.ts', 'offsets/sqlite/index.ts')).toEqual([])
  })

  test('make no cycle, types included', () => {
    expect(findCycle(new Map(files.map(file => [file.path, file.imports])))).toBeUndefined()
  })

  test('that make a cycle are found', () => {
    const graph = new Map([
      ['a', ['b', 'd']],
      ['b', ['c']],
      ['c', ['b']],
      ['d', []],
    ])
    expect(findCycle(graph)).toEqual(['b', 'c', 'b'])
  })

  test("of the package's own name appear nowhere, for they would load a second copy", () => {
    expect(files.filter(file => file.packages.includes('tidemark')).map(file => file.path)).toEqual([])
  })
})

describe('packages', () => {
  test("that are nobody's client are used where the table says", () => {
    const offences = files.flatMap(({ path, packages }) =>
      packages
        .filter(name => ENGINE_PACKAGES[name] !== undefined && !ENGINE_PACKAGES[name].includes(ruleOf(areaOf(path))))
        .map(name => `${path} imports ${name}`),
    )
    expect(offences).toEqual([])
  })

  test('that are the client of a system are known in at most one folder of connectors and one of offsets, and nowhere else', () => {
    const areas = new Map<string, Set<string>>()
    for (const { path, packages } of files) {
      for (const name of packages) {
        if (ENGINE_PACKAGES[name] === undefined && BORROWED[areaOf(path)] !== name)
          areas.set(name, (areas.get(name) ?? new Set<string>()).add(areaOf(path)))
      }
    }
    expect([...areas.keys()]).toContain('kafkajs')
    for (const [name, known] of areas) {
      const rules = [...known].map(ruleOf).sort()
      expect(['connectors/*', 'offsets/*', 'connectors/*,offsets/*'], `${name} is known in ${[...known].join(', ')}`).toContain(
        rules.join(','),
      )
    }
  })
})
