import type { CallOptions } from '../core/source.ts'
import { comparePartitions, type PartitionOffset, partitionKey, type TopicPartition } from '../core/values.ts'
import type { JobSource } from './driver-job.ts'
import { type LogBounds, placeInLog } from './surgery-bounds.ts'

/** Where a stream is put by hand. */
export type ResetTarget =
  | { readonly at: 'earliest' }
  | { readonly at: 'latest' }
  | { readonly at: 'timestamp'; readonly timestamp: number }
  | { readonly at: 'exact'; readonly offsets: readonly PartitionOffset[] }

/**
 * The positions of a reset: those of every partition there is, or of the ones that `exact` names. `withoutMatch` are partitions that have no record
 * at or after the timestamp, which go to their end.
 *
 * Throws `ConfigError` for a partition that no source has, and for an offset outside its log.
 */
export async function resolveTarget(
  sources: readonly JobSource[],
  target: ResetTarget,
  bounds: ReadonlyMap<string, LogBounds>,
  options: CallOptions,
): Promise<{ readonly positions: PartitionOffset[]; readonly withoutMatch: readonly TopicPartition[] }> {
  const all = [...bounds.values()]
  switch (target.at) {
    case 'earliest':
      return sorted(all.map(({ earliest }) => earliest))
    case 'latest':
      return sorted(all.map(({ latest }) => latest))
    case 'exact':
      return sorted(placeInLog(target.offsets, bounds))
    case 'timestamp': {
      const found = await Promise.all(sources.map(({ source }) => source.offsetsForTimestamp(target.timestamp, options)))
      const positions = found.flat()
      const ends = new Map(all.map(({ latest }) => [partitionKey(latest), latest.offset]))
      const withoutMatch = positions.filter(at => at.offset >= (ends.get(partitionKey(at)) ?? 0))
      return sorted(positions, withoutMatch)
    }
    default:
      return target satisfies never
  }
}

function sorted(positions: readonly PartitionOffset[], withoutMatch: readonly TopicPartition[] = []) {
  return { positions: positions.toSorted(comparePartitions), withoutMatch: withoutMatch.toSorted(comparePartitions) }
}
