import { ConfigError, UnsupportedError } from '../core/errors.ts'
import type { CallOptions } from '../core/source.ts'
import { comparePartitions, type PartitionOffset, partitionKey, showPartition, type TopicPartition } from '../core/values.ts'
import type { JobSource } from './driver-job.ts'

/**
 * Where a source's partitions that the store has no offset for begin. A partition added to a topic that the stream already knows begins at
 * earliest, and so do a topic that a pattern finds after the source's first start and one that comes, or comes back, while the stream runs: what
 * was written before they were noticed would be lost. The others follow the source's `startingOffsets`.
 *
 * @throws ConfigError where `startingOffsets` leaves a partition out, names one there is not, or an offset that is not in the log
 */
export async function resolveStartingPoints(
  { name, source, startingOffsets }: JobSource,
  partitions: readonly TopicPartition[],
  known: { readonly topics: ReadonlySet<string>; readonly hasStarted: boolean; readonly isRunning?: boolean },
  options: CallOptions,
): Promise<PartitionOffset[]> {
  const isAdded = (at: TopicPartition) => known.isRunning || known.topics.has(at.topic) || (known.hasStarted && source.findsTopics === true)
  const added = partitions.filter(isAdded)
  const fresh = partitions.filter(at => !isAdded(at))
  const points: PartitionOffset[] = []
  if (added.length > 0) points.push(...pick(await source.earliestOffsets(options), added))
  if (fresh.length > 0) points.push(...(await resolveFresh(fresh)))
  return points.sort(comparePartitions)

  async function resolveFresh(wanted: readonly TopicPartition[]): Promise<PartitionOffset[]> {
    switch (startingOffsets.at) {
      case 'earliest':
        return pick(await source.earliestOffsets(options), wanted)
      case 'latest':
        return pick(await source.latestOffsets(options), wanted)
      case 'timestamp':
        return atTimestamp(wanted, startingOffsets.timestamp, startingOffsets.noMatch ?? 'fail')
      case 'committed': {
        if (source.committedOffsets === undefined) {
          throw new UnsupportedError(`${name} has no consumer groups, so startingOffsets cannot be { at: 'committed' }. Choose another.`)
        }
        const { group } = startingOffsets
        return complete(wanted, await source.committedOffsets(group, options), `group ${group} has committed no offset for`)
      }
      case 'exact':
        return checkedAgainstLog(wanted, complete(wanted, startingOffsets.offsets, 'startingOffsets.offsets has no entry for'))
      case 'each': {
        const starts = new Map(startingOffsets.partitions.map(entry => [partitionKey(entry), entry.start]))
        complete(wanted, startingOffsets.partitions, 'startingOffsets.partitions has no entry for')
        const at = (test: (start: Start) => boolean) => wanted.filter(entry => test(starts.get(partitionKey(entry)) as Start))
        const result: PartitionOffset[] = []
        const earliest = at(start => start === 'earliest')
        const latest = at(start => start === 'latest')
        if (earliest.length > 0) result.push(...pick(await source.earliestOffsets(options), earliest))
        if (latest.length > 0) result.push(...pick(await source.latestOffsets(options), latest))
        const exact = at(start => typeof start === 'object' && 'offset' in start)
        if (exact.length > 0) {
          const offsets = exact.map(entry => ({ ...entry, offset: (starts.get(partitionKey(entry)) as { offset: number }).offset }))
          result.push(...(await checkedAgainstLog(exact, offsets)))
        }
        const byTime = Map.groupBy(
          at(start => typeof start === 'object' && 'timestamp' in start),
          entry => (starts.get(partitionKey(entry)) as { timestamp: number }).timestamp,
        )
        for (const [timestamp, entries] of byTime) result.push(...(await atTimestamp(entries, timestamp, 'fail')))
        return result
      }
      default:
        return startingOffsets satisfies never
    }
  }

  async function atTimestamp(wanted: readonly TopicPartition[], timestamp: number, noMatch: 'fail' | 'latest') {
    const found = pick(await source.offsetsForTimestamp(timestamp, options), wanted)
    if (noMatch === 'latest') return found
    // No match is told by the lookup answering the end of the log.
    const ends = new Map(pick(await source.latestOffsets(options), wanted).map(end => [partitionKey(end), end.offset]))
    const without = found.filter(point => point.offset >= (ends.get(partitionKey(point)) ?? 0))
    if (without.length === 0) return found
    throw new ConfigError(
      `${name}: no record at or after ${showTime(timestamp)} in ${list(without)}. ` +
        `Choose an earlier timestamp, or noMatch: 'latest' to begin at the end of such partitions.`,
    )
  }

  async function checkedAgainstLog(wanted: readonly TopicPartition[], points: PartitionOffset[]): Promise<PartitionOffset[]> {
    const first = new Map(pick(await source.earliestOffsets(options), wanted).map(at => [partitionKey(at), at]))
    const last = new Map(pick(await source.latestOffsets(options), wanted).map(at => [partitionKey(at), at]))
    return points.map(point => {
      const earliest = first.get(partitionKey(point))
      const latest = last.get(partitionKey(point))
      if (earliest === undefined || latest === undefined || point.offset < earliest.offset || point.offset > latest.offset) {
        throw new ConfigError(
          `${name}: startingOffsets puts ${showPartition(point)} at ${point.offset}, but its log reaches from ${earliest?.offset} to ${latest?.offset}.`,
        )
      }
      return { ...latest, offset: point.offset }
    })
  }

  function complete(wanted: readonly TopicPartition[], given: readonly TopicPartition[], missing: string): PartitionOffset[] {
    const byKey = new Map(given.map(entry => [partitionKey(entry), entry as PartitionOffset]))
    const without = wanted.filter(at => !byKey.has(partitionKey(at)))
    if (without.length > 0) throw new ConfigError(`${name}: ${missing} ${list(without)}. Add it, or choose another startingOffsets.`)
    const exists = new Set(partitions.map(partitionKey))
    const topics = new Set(wanted.map(at => at.topic))
    const unknown = given.filter(at => topics.has(at.topic) && !exists.has(partitionKey(at)))
    if (unknown.length > 0 && startingOffsets.at !== 'committed') {
      throw new ConfigError(`${name}: startingOffsets names ${list(unknown)}, which the topic does not have.`)
    }
    return wanted.map(at => byKey.get(partitionKey(at)) as PartitionOffset)
  }
}

type Start = 'earliest' | 'latest' | { readonly offset: number } | { readonly timestamp: number }

function pick(offsets: readonly PartitionOffset[], wanted: readonly TopicPartition[]): PartitionOffset[] {
  const keys = new Set(wanted.map(partitionKey))
  return offsets.filter(at => keys.has(partitionKey(at)))
}

/** A timestamp in microseconds, say, is no date any more. */
function showTime(timestamp: number): string {
  const date = new Date(timestamp)
  return Number.isNaN(date.getTime()) ? `${timestamp} ms` : date.toISOString()
}

function list(partitions: readonly TopicPartition[]): string {
  const shown = partitions.slice(0, 5).map(showPartition).join(', ')
  return partitions.length > 5 ? `${shown} and ${partitions.length - 5} more` : shown
}
