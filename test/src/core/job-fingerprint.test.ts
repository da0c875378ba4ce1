import { createHash } from 'node:crypto'
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { describe, expect, onTestFinished, test } from 'vitest'
import { describeDifference, fingerprintJob, type JobFingerprint } from '../../../src/core/job-fingerprint.ts'
import { ownVersion } from '../../../src/core/own-version.ts'

type Tree = Readonly<Record<string, string>>

const TREE: Tree = {
  'job.ts':
    "import { parse } from './parse.ts'\nexport * from './shapes/order.ts'\nconst rules = await import('./rules.js')\nimport 'zod'\nimport 'lib'\n",
  'parse.ts':
    "import table from './table.json' with { type: 'json' }\nimport { round } from '../job/shapes/money.ts'\nexport const parse = 1\n",
  'shapes/order.ts': 'export { money } from "./money.ts"\nimport type { Row } from \'./row.d.ts\'\n',
  'shapes/money.ts': "import '../job.ts'\nexport const money = 1, round = 2\n",
  'shapes/row.d.ts': 'export type Row = { id: string }\n',
  'rules.js': "const old = require('./old.cjs')\nexport const rules = 1\n",
  'old.cjs': 'module.exports = 1\n',
  'table.json': '{ "a": 1 }\n',
  'aside.ts': 'export const nobodyImportsThis = 1\n',
  'node_modules/lib/package.json': '{ "name": "lib", "main": "index.js" }',
  'node_modules/lib/index.js': 'module.exports = 1\n',
}

/** Writes a tree somewhere, with its job in `job/job.ts`, and hashes it. */
function sourcesOf(tree: Tree): string {
  const folder = mkdtempSync(join(tmpdir(), 'tidemark-fingerprint-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  return fingerprintOf(write(folder, tree)).sources
}

function write(folder: string, tree: Tree): string {
  for (const [name, text] of Object.entries(tree)) {
    const path = join(folder, 'job', name)
    mkdirSync(dirname(path), { recursive: true })
    writeFileSync(path, text)
  }
  return join(folder, 'job', 'job.ts')
}

function fingerprintOf(path: string): JobFingerprint {
  return fingerprintJob({ name: 'orders', module: pathToFileURL(path).href, shape: 'shape', targets: [] })
}

describe("the hash of a job's sources", () => {
  test('is alike wherever the same files lie', () => {
    expect(sourcesOf(TREE)).toBe(sourcesOf(TREE))
    expect(sourcesOf(TREE)).toMatch(/^[0-9a-f]{16}$/)
  })

  test.for([
    ['the job itself', 'job.ts'],
    ['what it imports', 'parse.ts'],
    ['what it exports from elsewhere', 'shapes/order.ts'],
    ['what is imported two files away', 'shapes/money.ts'],
    ['a type two files away', 'shapes/row.d.ts'],
    ['what it imports only when it runs', 'rules.js'],
    ['what that requires', 'old.cjs'],
    ['data that is imported', 'table.json'],
  ] as const)('is another when %s changes', ([, name]) => {
    expect(sourcesOf({ ...TREE, [name]: `${TREE[name]} ` })).not.toBe(sourcesOf(TREE))
  })

  test.for([
    ['a file that nobody imports', 'aside.ts'],
    ['a package', 'node_modules/lib/index.js'],
  ] as const)('is the same when %s changes', ([, name]) => {
    expect(sourcesOf({ ...TREE, [name]: `${TREE[name]} ` })).toBe(sourcesOf(TREE))
  })

  test('is the same with the line ends of another system', () => {
    const windows = Object.fromEntries(Object.entries(TREE).map(([name, text]) => [name, text.replaceAll('\n', '\r\n')]))
    expect(sourcesOf(windows)).toBe(sourcesOf(TREE))
  })

  test('is another when text moves from one file to the next', () => {
    const moved = { ...TREE, 'shapes/order.ts': `${TREE['shapes/order.ts']}//`, 'shapes/money.ts': `${TREE['shapes/money.ts']}` }
    const back = { ...TREE, 'shapes/money.ts': `//${TREE['shapes/money.ts']}` }
    expect(sourcesOf(moved)).not.toBe(sourcesOf(back))
  })

  test('holds a package of the same repository that is linked into node_modules, for its version says nothing', () => {
    const hashWith = (text: string) => {
      const folder = mkdtempSync(join(tmpdir(), 'tidemark-fingerprint-'))
      onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
      const path = write(folder, { 'job.ts': "import 'shared'\n" })
      mkdirSync(join(folder, 'shared'))
      writeFileSync(
        join(folder, 'shared', 'package.json'),
        '{ "name": "shared", "type": "module", "exports": { "types": "./index.d.ts", "default": "./index.js" } }',
      )
      writeFileSync(join(folder, 'shared', 'index.js'), text)
      mkdirSync(join(folder, 'node_modules'))
      symlinkSync(join(folder, 'shared'), join(folder, 'node_modules', 'shared'), 'junction')
      return fingerprintOf(path).sources
    }
    expect(hashWith('export const a = 1\n')).toBe(hashWith('export const a = 1\n'))
    expect(hashWith('export const a = 1\n')).not.toBe(hashWith('export const a = 2\n'))
  })

  test("holds none of this package's own files, which its version stands for", () => {
    const text = ['src/index.ts', 'connectors/kafka/index.ts', 'offsets/sqlite/index.ts']
      .map(path => `import '${new URL(`../../../${path}`, import.meta.url).href}'\n`)
      .join('')
    expect(sourcesOf({ 'job.ts': text })).toBe(createHash('sha256').update(`${text.length}\n${text}`).digest('hex').slice(0, 16))
  })

  test('ends where files import each other, or what is not there', () => {
    expect(sourcesOf({ 'job.ts': "import './job.ts'\nimport './nowhere.ts'\nimport './'\n// from 'somewhere else'\n" })).toMatch(
      /^[0-9a-f]{16}$/,
    )
  })

  test('is empty where nobody knows the module', () => {
    expect(fingerprintJob({ name: 'orders', module: undefined, shape: 'shape', targets: [] }).sources).toBe('')
  })
})

describe('a fingerprint', () => {
  const here: JobFingerprint = {
    version: '1.2.0',
    shape: 'a',
    sources: 'b',
    targets: ['output out at localhost:5432/shop', 'source kafka'],
  }

  test('is plain data: this version, the shape, the sources and the targets, and neither path nor name', () => {
    const folder = mkdtempSync(join(tmpdir(), 'tidemark-fingerprint-'))
    onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
    const path = write(folder, { 'job.ts': "const password = 'hunter2'\n" })
    const fingerprint = fingerprintJob({
      name: 'orders',
      module: `${pathToFileURL(path).href}?token=hunter2`,
      shape: 'shape',
      targets: ['source kafka'],
    })
    expect(fingerprint).toEqual({
      version: ownVersion(),
      shape: 'shape',
      sources: expect.stringMatching(/^[0-9a-f]{16}$/),
      targets: ['source kafka'],
    })
    const text = JSON.stringify(fingerprint)
    expect(JSON.parse(text)).toEqual(fingerprint)
    expect(text).not.toMatch(/hunter2|job\.ts|orders/)
  })

  test('of the same job differs in nothing', () => {
    expect(describeDifference(here, structuredClone(here))).toEqual([])
  })

  test.for<[string, Partial<JobFingerprint>, RegExp]>([
    ['version', { version: '1.3.0' }, /^the version of tidemark \(1\.3\.0, not 1\.2\.0\)$/],
    ['shape', { shape: 'x' }, /^its outputs or their stages$/],
    ['sources', { sources: 'x' }, /^the job's own source files$/],
    [
      'a target',
      { targets: ['output out at db:5432/shop', 'source kafka'] },
      /^what it points at \(output out at db:5432\/shop, not output out at localhost:5432\/shop\)$/,
    ],
    ['a target more', { targets: [...here.targets, 'output second'] }, /^what it points at \(output second, not nothing\)$/],
    ['a target less', { targets: ['source kafka'] }, /^what it points at \(nothing, not output out at localhost:5432\/shop\)$/],
  ])('that differs in %s says so, and in nothing else', ([, other, said]) => {
    const differences = describeDifference(here, { ...here, ...other })
    expect(differences).toHaveLength(1)
    expect(differences[0]).toMatch(said)
  })

  test('that differs in everything says all of it', () => {
    expect(describeDifference(here, { version: '2', shape: '2', sources: '2', targets: [] })).toHaveLength(4)
  })
})
