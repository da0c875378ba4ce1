import { ConfigError } from '../core/errors.ts'
import type { CallOptions } from '../core/source.ts'
import { type PartitionOffset, partitionKey, showPartition } from '../core/values.ts'
import type { JobSource } from './driver-job.ts'

/** How far the log of a partition reaches now: a position in it is from `earliest` up to `latest`, which is the next record's. */
export type LogBounds = { readonly earliest: PartitionOffset; readonly latest: PartitionOffset }

/** Asks the sources how far every partition's log reaches, by partition key. */
export async function readBounds(sources: readonly JobSource[], options: CallOptions): Promise<Map<string, LogBounds>> {
  const bounds = new Map<string, LogBounds>()
  for (const { source } of sources) {
    const first = new Map((await source.earliestOffsets(options)).map(at => [partitionKey(at), at]))
    for (const latest of await source.latestOffsets(options)) {
      const earliest = first.get(partitionKey(latest))
      if (earliest !== undefined) bounds.set(partitionKey(latest), { earliest, latest })
    }
  }
  return bounds
}

/**
 * Refuses positions that their partitions' logs do not have, all of them at once, with how far each reaches, and gives the rest the log they belong to.
 * There is no way around it: the next run would find each of them to be lost data.
 *
 * Throws `ConfigError`.
 */
export function placeInLog(
  positions: readonly PartitionOffset[],
  bounds: ReadonlyMap<string, LogBounds>,
  what = 'The stream cannot be put there',
): PartitionOffset[] {
  const wrong: string[] = []
  const placed = positions.map(position => {
    const found = bounds.get(partitionKey(position))
    const at = showPartition(position)
    if (found === undefined) {
      wrong.push(`no source of the job has ${at}`)
      return position
    }
    const { earliest, latest } = found
    if (position.topicId !== undefined && latest.topicId !== undefined && position.topicId !== latest.topicId) {
      wrong.push(`${at} was made again since it stood at ${position.offset}, and its log now is another one`)
    } else if (position.offset < earliest.offset) {
      wrong.push(`${at} begins at ${earliest.offset} by now, and ${position.offset} is before that`)
    } else if (position.offset > latest.offset) {
      wrong.push(`${at} ends at ${latest.offset}, and ${position.offset} is beyond it`)
    }
    return { ...latest, offset: position.offset }
  })
  if (wrong.length === 0) return placed
  const shown = wrong.slice(0, 5).join('; ')
  const more = wrong.length > 5 ? `; and ${wrong.length - 5} more` : ''
  throw new ConfigError(`${what}: ${shown}${more}. Choose offsets within the logs, which \`offsets show\` lists.`)
}
