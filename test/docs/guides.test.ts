import { spawnSync } from 'node:child_process'
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
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

afterAll(() => rmSync(FOLDER, { recursive: true, force: true }))

function compile(name: string, files: readonly { readonly file: string; readonly code: string }[]): string {
  const folder = join(FOLDER, name)
  mkdirSync(folder, { recursive: true })
  for (const { file, code } of files) writeFileSync(join(folder, file), code)
  const config = { extends: '../../../tsconfig.json', compilerOptions: { noUnusedLocals: false }, include: ['*.ts'] }
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify(config))
  const tsc = join(ROOT, 'node_modules', 'typescript', 'bin', 'tsc')
  return spawnSync(process.execPath, [tsc, '-p', folder], { encoding: 'utf8' }).stdout
}

describe('the TypeScript of', () => {
  test.for(GUIDES)('%s compiles as it stands', guide => {
    const blocks = codeBlocks(guide)
    expect(blocks.length).toBeGreaterThan(0)
    expect(compile(guide.replaceAll(/\W/g, '-'), blocks)).toBe('')
  })

  test('a guide that is wrong is found to be', () => {
    const code = "import { kafkaSource } from 'tidemark/kafka'\n\nkafkaSource({ kafka: { brokers: [] }, topic: 'orders' })\n"
    expect(compile('wrong', [{ file: 'wrong.ts', code }])).toContain("'topic' does not exist in type 'KafkaSourceOptions'")
  })
})
