import type { OffsetRange, PartitionOffset } from '../../core/values.ts'
import type { LogBounds } from '../surgery-bounds.ts'
import type { BackfillFrom } from './asked.ts'

/** The beginning of a window that its log no longer has; `isCertain` where offsets were asked for, which were there once. */
export type Gone = OffsetRange & { readonly isCertain: boolean }

/**
 * What of a window's beginning is gone from its log. Of a time nobody can be sure: the first record that is left is behind it, and whether others were
 * between the two is not known. So it is told, and never taken for nothing. A log that begins at 0 has lost nothing, and neither has one of which the live
 * stream had read by then all that is gone since (`readByThen`): those records were there before that time.
 */
export function findGone(
  from: BackfillFrom,
  begin: PartitionOffset,
  { earliest }: LogBounds,
  readByThen?: Pick<PartitionOffset, 'offset' | 'topicId'>,
): Gone | undefined {
  const { topic, partition, offset: untilOffset } = earliest
  switch (from.at) {
    case 'earliest':
      return undefined
    case 'exact':
    case 'batch':
      return begin.offset < untilOffset ? { topic, partition, fromOffset: begin.offset, untilOffset, isCertain: true } : undefined
    case 'timestamp':
      if (readByThen !== undefined && readByThen.topicId === earliest.topicId && readByThen.offset >= untilOffset) return undefined
      return untilOffset > 0 && begin.offset <= untilOffset ? { topic, partition, fromOffset: 0, untilOffset, isCertain: false } : undefined
    default:
      return from satisfies never
  }
}
