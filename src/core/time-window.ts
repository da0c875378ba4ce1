import { ConfigError } from './errors.ts'
import type { Source } from './source.ts'

/** Timestamps (ms since 1970) that count: from `from` on, and before `until`. An end that is absent is open. Plain data, saved in intents. */
export type TimeWindow = { readonly from?: number; readonly until?: number }

type Rows = AsyncIterable<readonly unknown[]>

/**
 * Leaves out records whose timestamp is not in the window, and tells how many of each array those were. A log is in the order of its offsets; a
 * producer that sends late, or sets timestamps of its own, puts records of another day between those of this one.
 *
 * @throws ConfigError where the source's rows have no timestamp
 */
export async function* keepWithin(
  rows: Rows,
  { from = Number.NEGATIVE_INFINITY, until = Number.POSITIVE_INFINITY }: TimeWindow,
  source: Pick<Source<unknown>, 'name'>,
  onOutside: (count: number) => void,
): AsyncGenerator<readonly unknown[]> {
  for await (const array of rows) {
    const kept = array.filter(row => {
      const timestamp = timestampOf(row, source)
      return timestamp >= from && timestamp < until
    })
    if (kept.length < array.length) onOutside(array.length - kept.length)
    if (kept.length > 0) yield kept.length === array.length ? array : kept
  }
}

/** When a record was written, by its own word. Throws `ConfigError` for what has none. */
function timestampOf(row: unknown, { name = 'the source' }: Pick<Source<unknown>, 'name'>): number {
  const timestamp = typeof row === 'object' && row !== null && 'timestamp' in row ? row.timestamp : undefined
  if (typeof timestamp === 'number') return timestamp
  throw new ConfigError(
    `Records of ${name} have no timestamp, so they cannot be chosen by it. Leave exact time out: the bounds are then offsets and nothing else.`,
  )
}
