/** Test cases by outcome. */
export type TestCounts = {
  readonly passed: number
  readonly failed: number
  readonly skipped: number
  /** The tests among those that passed which had failed first, as `file > title: what it failed with`. */
  readonly secondAttempts: readonly string[]
}

/** How many tests of a whole run may need a second attempt. */
const FORGIVEN = 3
/**
 * Kills, crashes and what they leave behind: there an expectation that fails is a lost or doubled record, which is none the less one for not coming twice.
 * A process that was too late is not.
 */
const UNFORGIVEN = /^test\/crash\/.*: AssertionError: /

/**
 * The verdict on a run, so that nothing that went wrong can look green: a run without counts (it ended before its end, as after a
 * failed global set-up), with an error nobody counted, or in which no test ran, has one failed.
 *
 * Tests over real servers are given a second attempt, for a machine may stall under four of them. That is no pardon for races: every such test is
 * named, those that found records lost or doubled behind a crash have failed all the same, and so have all of them where they are more than a few.
 */
export function judgeRun(counts: TestCounts | undefined, exitCode: number): TestCounts {
  const { passed, failed, skipped, secondAttempts } = counts ?? { passed: 0, failed: 0, skipped: 0, secondAttempts: [] }
  const unforgiven = secondAttempts.length > FORGIVEN ? secondAttempts.length : secondAttempts.filter(test => UNFORGIVEN.test(test)).length
  const isSilentFailure = failed === 0 && (exitCode !== 0 || passed === 0)
  return { passed: passed - unforgiven, failed: isSilentFailure ? 1 : failed + unforgiven, skipped, secondAttempts }
}

/** The last line of a run: `N passed, N failed`, and `, N skipped` if any. */
export function countsLine({ passed, failed, skipped }: TestCounts): string {
  return `${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`
}

/** What stands before the last line: the tests that passed at their second attempt, or nothing. */
export function secondAttemptLines({ secondAttempts }: TestCounts): string {
  if (secondAttempts.length === 0) return ''
  const lines = secondAttempts.map(test => `  ${test}`)
  return `failed first and passed at the second attempt (${FORGIVEN} are forgiven, no records lost in test/crash):\n${lines.join('\n')}\n`
}
