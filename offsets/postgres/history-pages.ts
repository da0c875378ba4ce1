import type { HistoryEntry } from '../../src/core/offset-store.ts'
import type { Answer } from './session.ts'
import { readEntry } from './stored-stream.ts'

type Rows = Answer['rows']

const FIRST_PAGE = 64
const LONGEST_PAGE = 2_000
/** What a page is meant to weigh: an entry of four partitions is half a kilobyte, one of ten thousand is more than a megabyte. */
const PAGE_CHARS = 4_000_000

/**
 * A history by pages, each a statement of its own, so that no transaction stays open while the caller looks at an entry. `ask` gives at most `count` entries
 * below a `seq`, newest first.
 */
export async function* readHistory(
  before: number,
  limit: number,
  ask: (below: number, count: number) => Promise<Rows>,
): AsyncGenerator<HistoryEntry> {
  let [below, left, page] = [before, limit, FIRST_PAGE]
  while (left > 0) {
    const asked = Math.min(left, page)
    const rows = await ask(below, asked)
    yield* rows.map(readEntry)
    if (rows.length < asked) return
    left -= asked
    below = Number(rows.at(-1)?.seq)
    page = nextPage(rows)
  }
}

function nextPage(rows: Rows): number {
  const chars = rows.reduce(
    (sum, { batch, ranges, offsets }) => sum + (batch?.length ?? 0) + (ranges?.length ?? 0) + (offsets?.length ?? 0),
    1,
  )
  return Math.max(1, Math.min(LONGEST_PAGE, Math.floor((PAGE_CHARS * rows.length) / chars)))
}
