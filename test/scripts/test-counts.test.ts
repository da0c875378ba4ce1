import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { COUNTS_PATH_VARIABLE } from '../../scripts/count-reporter.ts'
import { countsLine, judgeRun } from '../../scripts/test-counts.ts'

describe('the verdict on a run', () => {
  test.each([
    ['is what was counted', { passed: 3, failed: 0, skipped: 1 }, 0, '3 passed, 0 failed, 1 skipped'],
    ['keeps the failures that were counted', { passed: 3, failed: 2, skipped: 0 }, 1, '3 passed, 2 failed'],
    ['is a failure when vitest failed and no test did', { passed: 3, failed: 0, skipped: 0 }, 1, '3 passed, 1 failed'],
    ['is a failure when no test ran', { passed: 0, failed: 0, skipped: 4 }, 0, '0 passed, 1 failed, 4 skipped'],
    ['is a failure when vitest ended without counts', undefined, 0, '0 passed, 1 failed'],
  ] as const)('%s', (_, counts, exitCode, line) => {
    expect(countsLine(judgeRun(counts, exitCode))).toBe(line)
  })
})

describe('counting a real run of vitest', () => {
  const repository = join(import.meta.dirname, '..', '..')
  let folder = ''

  // Inside the repository, so that `vitest` is found.
  beforeAll(() => {
    folder = mkdtempSync(join(repository, 'node_modules', '.count-reporter-'))
  })
  afterAll(() => rmSync(folder, { recursive: true, force: true }))

  test('a failed test, a broken import, a failed hook and a skipped test are each counted', () => {
    const file = (name: string, body: string) => writeFileSync(join(folder, name), `import { beforeAll, test } from 'vitest'\n${body}`)
    file('passes.test.js', "test('a', () => {}); test('b', () => {}); test.skip('c', () => {})")
    file('fails.test.js', "test('a', () => { throw new Error('a') })")
    file('imports.test.js', "import './nowhere.js'")
    file('hook.test.js', "beforeAll(() => { throw new Error('hook') }); test('a', () => {})")
    writeFileSync(join(folder, 'vitest.config.js'), "export default { test: { include: ['*.test.js'] } }")
    const counts = join(folder, 'counts.json')
    const vitest = join(repository, 'node_modules', 'vitest', 'vitest.mjs')
    const reporter = join(repository, 'scripts', 'count-reporter.ts')
    const { status } = spawnSync(process.execPath, [vitest, 'run', '--root', folder, `--reporter=${reporter}`], {
      cwd: folder,
      env: { ...process.env, [COUNTS_PATH_VARIABLE]: counts },
    })
    expect(status).toBe(1)
    expect(JSON.parse(readFileSync(counts, 'utf8'))).toEqual({ passed: 2, failed: 3, skipped: 2 })
  })
})
