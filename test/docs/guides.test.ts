import { spawnSync } from 'node:child_process'
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { codeBlocks } from './code-blocks.ts'

const ROOT = join(import.meta.dirname, '..', '..')
/** Inside of the package, so that its own name and those of its dependencies mean what they do for its users. */
const FOLDER = join(ROOT, '.tidemark', `guides-${process.pid}`)
/** Documents whose TypeScript is whole: each block is a file, and those of one document may import each other. */
const GUIDES = [
  'docs/getting-started.md',
  'docs/other-engines.md',
  'docs/from-spark.md',
  'docs/from-kafkajs.md',
  'docs/from-kafka-connect.md',
]

/** What a guide must not say: an option that is none. */
const WRONG = "import { kafkaSource } from 'tidemark/kafka'\n\nkafkaSource({ kafka: { brokers: [] }, topic: 'orders' })\n"
/** One run of the compiler takes seconds, and many times as long where it has to share its cores. */
const COMPILED_WITHIN_MS = 300_000

let problems: readonly string[] = []

function folderOf(name: string): string {
  return name.replaceAll(/\W/g, '-')
}

function layOut(name: string, files: readonly { readonly file: string; readonly code: string }[]): void {
  const folder = join(FOLDER, folderOf(name))
  mkdirSync(folder, { recursive: true })
  for (const { file, code } of files) writeFileSync(join(folder, file), code)
}

/** What the compiler says of the files in a folder. */
function problemsOf(name: string): string[] {
  return problems.filter(line => line.includes(`${folderOf(name)}/`))
}

// All of them at once: the compiler reads Tidemark's own sources once, and not once a guide.
beforeAll(() => {
  for (const guide of GUIDES) layOut(guide, codeBlocks(guide))
  layOut('wrong', [{ file: 'wrong.ts', code: WRONG }])
  // A block without an import is a module too, and its names are its own.
  const compilerOptions = { noUnusedLocals: false, moduleDetection: 'force' }
  writeFileSync(join(FOLDER, 'tsconfig.json'), JSON.stringify({ extends: '../../tsconfig.json', compilerOptions, include: ['**/*.ts'] }))
  const tsc = join(ROOT, 'node_modules', 'typescript', 'bin', 'tsc')
  const { stdout } = spawnSync(process.execPath, [tsc, '-p', FOLDER, '--pretty', 'false'], { encoding: 'utf8' })
  problems = stdout.split('\n').filter(Boolean)
}, COMPILED_WITHIN_MS)

afterAll(() => rmSync(FOLDER, { recursive: true, force: true }))

describe('the TypeScript of', () => {
  test.for(GUIDES)('%s compiles as it stands', guide => {
    expect(codeBlocks(guide).length).toBeGreaterThan(0)
    expect(problemsOf(guide)).toEqual([])
  })

  test('a guide that is wrong is found to be, and nothing else is wrong', () => {
    expect(problems).toHaveLength(1)
    expect(problemsOf('wrong')).toEqual([expect.stringContaining("'topic' does not exist in type 'KafkaSourceOptions'")])
  })
})
