import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { temporaryFolder } from '../../connectors/files/temporary-folder.ts'
import { tidemark } from './tidemark-process.ts'
import { writeJob } from './write-job.ts'

/** Runs `tidemark plan` on a job file of this content and gives what it says: one sentence, on stderr, with exit code 2. */
async function refusal(source: string, name = 'job.ts'): Promise<string> {
  const folder = temporaryFolder()
  writeJob(folder, 'other.ts', 'enum Color { Red }\nexport const x = Color.Red')
  writeJob(folder, name, source)
  const { code, stdout, stderr } = await tidemark(['plan', name], { cwd: folder })
  expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
  expect(stderr).not.toMatch(/^\s+at (?!.*job\.ts)/m)
  return stderr
}

const STREAM = "import { stream } from 'tidemark'\n"

describe('a job file that', () => {
  test('is not there is told with where it was looked for', async () => {
    const folder = temporaryFolder()
    const { code, stderr } = await tidemark(['run', 'orders.ts'], { cwd: folder })
    expect(code).toBe(2)
    expect(stderr).toBe(`tidemark: There is no job file orders.ts (looked for ${join(folder, 'orders.ts')}).\n`)
  })

  test('is a folder is told to be no file', async () => {
    const folder = temporaryFolder()
    mkdirSync(join(folder, 'jobs'))
    const { code, stderr } = await tidemark(['offsets', 'show', 'jobs'], { cwd: folder })
    expect({ code, stderr }).toEqual({ code: 2, stderr: 'tidemark: jobs is not a file. Name the module that exports the job.\n' })
  })

  test('is no module is told what a job is', async () => {
    expect(await refusal('{}', 'job.json')).toContain('job.json is not a module. A job is a .ts, .mts, .js or .mjs file')
  })

  test('breaks the syntax is told with file and line', async () => {
    expect(await refusal(`${STREAM}export default stream({ name: 'x' `)).toMatch(
      /^tidemark: job\.ts does not load: Expected .* \(job\.ts:2\)\n$/,
    )
  })

  test('is taken for CommonJS is told how to make it a module', async () => {
    const folder = temporaryFolder()
    writeFileSync(join(folder, 'package.json'), '{"type":"commonjs"}')
    writeJob(folder, 'job.ts', `${STREAM}export default stream({ name: 'x' })`)
    const { code, stderr } = await tidemark(['plan', 'job.ts'], { cwd: folder })
    expect(code).toBe(2)
    expect(stderr).toContain('(job.ts:1). Node takes it for CommonJS: name it .mts (or .mjs)')
  })

  test('exports nothing by default is told the line to write', async () => {
    expect(await refusal(STREAM)).toBe(
      "tidemark: job.ts must export a job by default, and it has no default export: export default stream({ name: '…' }).from(…).to(…)\n",
    )
  })

  test('exports something else is told so', async () => {
    expect(await refusal('export default { name: 1 }')).toContain('its default export is something else')
  })

  test('ends without an output is told what ends a flow', async () => {
    const flow = `import { kafkaSource } from 'tidemark/kafka'
export default stream({ name: 'x' }).from(kafkaSource({ kafka: { brokers: ['localhost:9092'] }, topics: ['a'] }))`
    expect(await refusal(STREAM + flow)).toContain('a flow that ends nowhere; .to(sink), .forEachRange(…) or .forEachBatch(…) ends it')
  })

  test('has no flow at all is told to end one', async () => {
    expect(await refusal(`${STREAM}export default stream({ name: 'x' })`)).toContain('Stream x has no output')
  })

  test('has an enum is told what Node cannot run, and where, also when it is in a file that it imports', async () => {
    const said = await refusal("import './other.ts'")
    expect(said).toContain('enum is not supported')
    expect(said).toContain('(other.ts:1). Node runs TypeScript by leaving the types out')
  })

  test('imports a file without its extension is told to add it', async () => {
    expect(await refusal("import { x } from './other'\nexport default x")).toContain("carry their extension, as in './orders.ts'")
  })

  test('imports a package that is not there is asked whether it is installed', async () => {
    expect(await refusal("import 'no-such-package'")).toMatch(/Cannot find package 'no-such-package'.* Is it installed/)
  })

  test('throws is told with its message and its own line', async () => {
    expect(await refusal("\nthrow new Error('DATABASE_URL is not set')")).toMatch(
      /^tidemark: job\.ts failed while it was loaded: DATABASE_URL is not set\n {2}at .*job\.ts:2:7\)?\n$/,
    )
  })

  test('has wrong options is told all of them at once, each with its path', async () => {
    const said = await refusal(
      `${STREAM}export default stream({ nam: 'x', batchIntervalMs: -5, limits: { maxRecordPerBatch: 5 }, leaseTtlMs: '5s' })`,
    )
    expect(said).toContain('stream: 5 options are wrong:\n')
    expect(said).toMatch(/^ {2}name is undefined: /m)
    expect(said).toMatch(/^ {2}batchIntervalMs is -5: .*a whole number of milliseconds from 0$/m)
    expect(said).toContain('\n  limits.maxRecordPerBatch is not an option: did you mean maxRecordsPerBatch?\n')
    expect(said).toMatch(/^ {2}leaseTtlMs is "5s": /m)
    expect(said).toContain('\n  nam is not an option: did you mean name?\n')
  })
})
