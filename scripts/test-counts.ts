/** Test cases by outcome. */
export type TestCounts = { readonly passed: number; readonly failed: number; readonly skipped: number }

/**
 * The verdict on a run, so that nothing that went wrong can look green: a run without counts (it ended before its end, as after a
 * failed global set-up), with an error nobody counted, or in which no test ran, has one failed.
 */
export function judgeRun(counts: TestCounts | undefined, exitCode: number): TestCounts {
  const { passed, failed, skipped } = counts ?? { passed: 0, failed: 0, skipped: 0 }
  const isSilentFailure = failed === 0 && (exitCode !== 0 || passed === 0)
  return { passed, failed: isSilentFailure ? 1 : failed, skipped }
}

/** The last line of a run: `N passed, N failed`, and `, N skipped` if any. */
export function countsLine({ passed, failed, skipped }: TestCounts): string {
  return `${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`
}
