import type { StreamState } from '../../core/offset-store.ts'
import type { OffsetRange } from '../../core/values.ts'
import { countOffsets } from '../../core/values.ts'
import type { DriverJob } from '../driver-job.ts'

/** What a live stream will read of a partition of this topic that it has not met yet: all of it, or what its `startingOffsets` say when it begins the topic. */
export function readsOfUnmet(
  { sources }: Pick<DriverJob, 'sources'>,
  { offsets }: StreamState,
  topic: string,
): 'all' | 'by startingOffsets' {
  if (offsets.some(at => at.topic === topic)) return 'all'
  // One that a pattern finds after the first start begins at earliest.
  const isFound = sources.some(({ source }) => source.findsTopics === true && (source.names?.(topic) ?? true))
  return offsets.length > 0 && isFound ? 'all' : 'by startingOffsets'
}

/** Says which topics of a backfill the live stream has yet to begin, and that it may then write the same rows; nothing where it begins behind what is there. */
export function noteUnmet(
  { stream, sources }: Pick<DriverJob, 'stream' | 'sources'>,
  state: StreamState,
  ranges: readonly OffsetRange[],
): readonly string[] {
  const topics = new Set(ranges.filter(range => countOffsets(range) > 0).map(({ topic }) => topic))
  return Array.from(topics).flatMap(topic => {
    if (readsOfUnmet({ sources }, state, topic) === 'all') return []
    const { at } = sources.find(({ source }) => source.names?.(topic) ?? true)?.startingOffsets ?? { at: 'earliest' }
    if (at === 'latest') return []
    return [
      `${stream} has not begun topic ${topic}: what its startingOffsets (${at}) have it read of these offsets when it does, it writes as well.`,
    ]
  })
}
