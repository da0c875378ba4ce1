import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { COUNTS_PATH_VARIABLE } from '../../scripts/count-reporter.ts'
import { countsLine, judgeRun, secondAttemptLines } from '../../scripts/test-counts.ts'

describe('the verdict on a run', () => {
  test.each([
    ['is what was counted', { passed: 3, failed: 0, skipped: 1, secondAttempts: [] }, 0, '3 passed, 0 failed, 1 skipped'],
    ['keeps the failures that were counted', { passed: 3, failed: 2, skipped: 0, secondAttempts: [] }, 1, '3 passed, 2 failed'],
    ['is a failure when vitest failed and no test did', { passed: 3, failed: 0, skipped: 0, secondAttempts: [] }, 1, '3 passed, 1 failed'],
    ['is a failure when no test ran', { passed: 0, failed: 0, skipped: 4, secondAttempts: [] }, 0, '0 passed, 1 failed, 4 skipped'],
    ['is a failure when vitest ended without counts', undefined, 0, '0 passed, 1 failed'],
  ] as const)('%s', (_, counts, exitCode, line) => {
    expect(countsLine(judgeRun(counts, exitCode))).toBe(line)
  })
})

describe('tests that passed at their second attempt', () => {
  const run = (...secondAttempts: string[]) => judgeRun({ passed: 9, failed: 0, skipped: 0, secondAttempts }, 0)

  test('are named, and three of them are forgiven', () => {
    const counts = run('test/a.test.ts > a', 'test/b.test.ts > b', 'test/c.test.ts > c')
    expect(countsLine(counts)).toBe('9 passed, 0 failed')
    expect(secondAttemptLines(counts)).toContain('  test/b.test.ts > b\n')
    expect(secondAttemptLines(run())).toBe('')
  })

  test('have all failed where they are more', () => {
    expect(countsLine(run('a', 'b', 'c', 'd'))).toBe('5 passed, 4 failed')
  })

  test('have failed where records were lost behind a crash, and not where a process was late', () => {
    expect(countsLine(run('test/crash/matrix/matrix.test.ts > a: AssertionError: expected [ 1 ] to equal [ 1, 2 ]', 'b'))).toBe(
      '8 passed, 1 failed',
    )
    expect(countsLine(run('test/crash/zombies.test.ts > a: Error: Test timed out in 300000ms.'))).toBe('9 passed, 0 failed')
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

  test('a failed test, a broken import, a failed hook, a skipped test and one that passed late are each counted', () => {
    const file = (name: string, body: string) => writeFileSync(join(folder, name), `import { beforeAll, test } from 'vitest'\n${body}`)
    file('passes.test.js', "test('a', () => {}); test('b', () => {}); test.skip('c', () => {})")
    file('fails.test.js', "test('a', () => { throw new Error('a') })")
    file('imports.test.js', "import './nowhere.js'")
    file('hook.test.js', "beforeAll(() => { throw new Error('hook') }); test('a', () => {})")
    file('flaky.test.js', "let tries = 0; test('late', () => { if (tries++ === 0) throw new Error('first') })")
    writeFileSync(join(folder, 'vitest.config.js'), "export default { test: { include: ['*.test.js'], retry: 1 } }")
    const counts = join(folder, 'counts.json')
    const vitest = join(repository, 'node_modules', 'vitest', 'vitest.mjs')
    const reporter = join(repository, 'scripts', 'count-reporter.ts')
    const { status } = spawnSync(process.execPath, [vitest, 'run', '--root', folder, `--reporter=${reporter}`], {
      cwd: folder,
      env: { ...process.env, [COUNTS_PATH_VARIABLE]: counts },
    })
    expect(status).toBe(1)
    expect(JSON.parse(readFileSync(counts, 'utf8'))).toEqual({
      passed: 3,
      failed: 3,
      skipped: 2,
      secondAttempts: ['flaky.test.js > late: Error: first'],
    })
  })
})
