import { writeFileSync } from 'node:fs'
import { relative } from 'node:path'
import type { Reporter, SerializedError, TestModule } from 'vitest/node'
import type { TestCounts } from './test-counts.ts'

/** The environment variable that tells {@link CountReporter} which file to write. */
export const COUNTS_PATH_VARIABLE = 'TIDEMARK_TEST_COUNTS'

/**
 * A vitest reporter that writes {@link TestCounts} to a file. A file of tests that failed without a failed test (an import, a hook)
 * counts as one failed, and so does an error outside of any test.
 */
export default class CountReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], errors: readonly SerializedError[]): void {
    const counts = { passed: 0, failed: errors.length, skipped: 0, secondAttempts: [] as string[] }
    for (const module of modules) {
      const tests = [...module.children.allTests()]
      const states = tests.map(test => test.result().state)
      const file = relative(module.project.config.root, module.moduleId)
      for (const test of tests) {
        if (!test.diagnostic()?.flaky) continue
        const [{ name = 'Error', message = '' } = {}] = test.result().errors ?? []
        counts.secondAttempts.push(`${file} > ${test.fullName}: ${name}: ${message.split('\n', 1)[0]}`)
      }
      const failed = states.filter(state => state === 'failed').length
      const passed = states.filter(state => state === 'passed').length
      counts.passed += passed
      counts.failed += failed === 0 && !module.ok() ? 1 : failed
      counts.skipped += states.length - passed - failed
    }
    const path = process.env[COUNTS_PATH_VARIABLE]
    if (path !== undefined) writeFileSync(path, JSON.stringify(counts satisfies TestCounts))
  }
}
