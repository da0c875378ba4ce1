import { ConfigError } from '../../core/errors.ts'
import { type PartitionOffset, partitionKey, showPartition } from '../../core/values.ts'
import type { DriverJob } from '../driver-job.ts'
import type { LogBounds } from '../surgery-bounds.ts'
import type { StreamTrace } from './stream-trace.ts'
import { readsOfUnmet } from './unmet-partitions.ts'

/**
 * Where a backfill meets the live stream: in each partition the lowest offset that the live stream has read, or reads next where it has read none yet. That
 * is its `start`, unless somebody has put it back before that since.
 *
 * A partition that the live stream has not met yet ends where it begins: of a topic it knows, and of one that a pattern finds, the live stream reads all.
 *
 * Throws `ConfigError` where the live stream has not begun, or not begun a topic.
 */
export function lowestLive(
  job: Pick<DriverJob, 'stream' | 'sources'>,
  { state, covered }: StreamTrace,
  logs: ReadonlyMap<string, LogBounds>,
): { readonly ends: ReadonlyMap<string, PartitionOffset>; readonly notes: readonly string[] } {
  const { stream } = job
  const positions = new Map(state.offsets.map(at => [partitionKey(at), at]))
  if (positions.size === 0) {
    throw new ConfigError(
      `${stream} has not begun: its offset store has no starting points of it, so there is nothing to end a backfill at. Start it first (tidemark run); it ` +
        'need not have read anything yet.',
    )
  }
  const ends = new Map<string, PartitionOffset>()
  const notes: string[] = []
  const gaps: string[] = []
  for (const [key, { earliest }] of logs) {
    const { topic, partition, topicId } = earliest
    const position = positions.get(key)
    const isOfThisLog = position?.topicId === undefined || topicId === undefined || position.topicId === topicId
    if (position === undefined && readsOfUnmet(job, state, topic) !== 'all') {
      throw new ConfigError(
        `${stream} has not begun topic ${topic}, which its job names by now, so nobody knows yet where it will. Start it first (tidemark run), or give the ` +
          'end of the backfill otherwise.',
      )
    }
    const known = covered.get(key) ?? []
    const next = position === undefined || !isOfThisLog ? earliest.offset : position.offset
    ends.set(key, { topic, partition, offset: Math.min(next, ...known.map(({ fromOffset }) => fromOffset)) })
    const skipped = gapOf([...known, { fromOffset: next, untilOffset: Number.POSITIVE_INFINITY }])
    if (skipped !== undefined) gaps.push(`${showPartition(earliest)} [${skipped.fromOffset}, ${skipped.untilOffset})`)
  }
  if (gaps.length > 0) {
    const more = gaps.length > 5 ? ` and ${gaps.length - 5} more` : ''
    notes.push(
      `${stream} was put forward since it began and has left out offsets, which are behind the end of this backfill: ${gaps.slice(0, 5).join(', ')}${more}.`,
    )
  }
  return { ends, notes }
}

/** The first offsets between the lowest and the highest that none of the ranges has. */
function gapOf(ranges: readonly { readonly fromOffset: number; readonly untilOffset: number }[]) {
  let reached: number | undefined
  for (const { fromOffset, untilOffset } of ranges.toSorted((a, b) => a.fromOffset - b.fromOffset)) {
    if (reached !== undefined && fromOffset > reached) return { fromOffset: reached, untilOffset: fromOffset }
    reached = Math.max(reached ?? untilOffset, untilOffset)
  }
  return undefined
}
