/** A line of the report: what was measured, and what it has to be at least (or at most). */
export type BenchRow = { readonly figure: string; readonly value: string; readonly bar: string; readonly met: boolean | undefined }

/** What a part of the bench is given. */
export type Bench = {
  readonly rounds: number
  readonly say: (line: string) => void
  /** Everything that was measured, for the file. */
  readonly recorded: Record<string, unknown>
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN
}
