import { ConfigError, DataLossError } from '../../core/errors.ts'
import {
  comparePartitions,
  type OffsetRange,
  type PartitionOffset,
  partitionKey,
  showPartition,
  type TopicPartition,
} from '../../core/values.ts'
import type { DriverJob } from '../driver-job.ts'
import { findBatches } from '../replay-batches.ts'
import { placeInLog, readBounds } from '../surgery-bounds.ts'
import { type Asked, type BackfillFrom, type BackfillTo, showBound, showTime } from './asked.ts'
import { lowestLive } from './lowest-live.ts'
import { findGone, type Gone } from './retention.ts'
import { type Standing, type StreamTrace, topicIdsOf, traceStream } from './stream-trace.ts'

/** How many partitions a message names. */
const SHOWN = 5

export type ResolveOptions = {
  /** Go on with what is left where retention has taken records of the window. */
  readonly whatIsLeft: boolean
  readonly signal: AbortSignal
}

/** What a backfill would read, with what a person should know about how it came about. */
export type ResolvedBounds = {
  readonly ranges: readonly OffsetRange[]
  readonly notes: readonly string[]
  /** Of the live stream. */
  readonly trace: StreamTrace
}

/** A partition with a place in its log, by partition key. */
type Places = ReadonlyMap<string, PartitionOffset>

/**
 * Turns what was asked into offsets, by what is there now: this happens once in a backfill's life. Times are looked up in Kafka's own index, so a range goes
 * from the first record at or after `from` up to the first one at or after `to`.
 *
 * Throws `ConfigError` for bounds that cannot be, and `DataLossError` where retention has taken records of the window.
 */
export async function resolveBounds(job: DriverJob, asked: Asked, { whatIsLeft, signal }: ResolveOptions): Promise<ResolvedBounds> {
  const { sources, store, stream, options } = job
  const { from, to, lateMs } = asked
  const logs = await readBounds(sources, { signal })
  const batches = [from, to].flatMap(bound => (bound.at === 'batch' ? [bound.batch] : []))
  // For what it says of batches that are not there, or not whole.
  if (batches.length > 0) await findBatches(store, stream, batches, signal, 'bound a backfill')
  const trace = await traceStream(store, stream, {
    topicIds: topicIdsOf(Array.from(logs.values(), ({ latest }) => latest)),
    batches,
    time: from.at === 'timestamp' ? from.timestamp : undefined,
    signal,
  })

  const begins = await placesOf(from, 'before')
  const ends = await placesOf(to, 'after')
  checkSamePartitions(from, to, begins, ends)
  const notes: string[] = []
  if (to.at === 'live') notes.push(...lowestLive(job, trace, logs).notes)

  const gone: Gone[] = []
  const ranges: OffsetRange[] = []
  const crossed: string[] = []
  for (const [key, log] of logs) {
    const begin = begins.get(key)
    const end = ends.get(key)
    if (begin === undefined || end === undefined) continue
    const lost = findGone(from, begin, log, trace.standingAt?.get(key))
    if (lost !== undefined && end.offset > lost.fromOffset) gone.push(lost)
    const { earliest, latest } = log
    const fromOffset = Math.min(Math.max(begin.offset, earliest.offset), latest.offset)
    // Where the logs have grown since the first question, the window has not.
    const untilOffset = Math.min(Math.max(end.offset, earliest.offset), latest.offset)
    if (fromOffset > untilOffset && to.at !== 'live')
      crossed.push(`${showPartition(begin)} would begin at ${fromOffset} and end at ${untilOffset}`)
    const { offset: _, ...at } = latest
    ranges.push({ ...at, fromOffset, untilOffset: Math.max(fromOffset, untilOffset) })
  }
  if (crossed.length > 0) {
    throw new ConfigError(
      `The backfill would begin (${showBound(from)}) behind its end (${showBound(to)}): ${some(crossed)}. Are the two swapped?`,
    )
  }
  if (gone.length > 0) notes.push(await tellGone(gone))
  if (ranges.length === 0)
    throw new ConfigError('The backfill has no partitions: no source of its outputs has one that both of its ends name.')
  return { ranges: ranges.toSorted(comparePartitions), notes, trace }

  async function placesOf(bound: BackfillFrom | BackfillTo, side: keyof Standing): Promise<Places> {
    switch (bound.at) {
      case 'earliest':
        return new Map(Array.from(logs, ([key, { earliest }]) => [key, earliest]))
      case 'latest':
        return new Map(Array.from(logs, ([key, { latest }]) => [key, latest]))
      case 'exact':
        return byKey(checkInLog(bound.offsets, side))
      case 'timestamp': {
        const time = bound.timestamp + (side === 'after' ? lateMs : 0)
        return byKey((await Promise.all(sources.map(({ source }) => source.offsetsForTimestamp(time, { signal })))).flat())
      }
      case 'batch':
        return placesAtBatch(bound.batch, side)
      case 'live':
        return lowestLive(job, trace, logs).ends
      default:
        return bound satisfies never
    }
  }

  /** Offsets behind the log are a mistake; those before it are gone, which is told with all that is. */
  function checkInLog(offsets: readonly PartitionOffset[], side: keyof Standing): readonly PartitionOffset[] {
    const isBefore = (at: PartitionOffset) => at.offset < (logs.get(partitionKey(at))?.earliest.offset ?? 0)
    const what = side === 'before' ? 'The backfill cannot begin there' : 'The backfill cannot end there'
    placeInLog(
      offsets.filter(at => !isBefore(at)),
      logs,
      what,
    )
    return offsets
  }

  function placesAtBatch(id: number, side: keyof Standing): Places {
    const standing = trace.standings.get(id)?.[side]
    const places = new Map<string, PartitionOffset>()
    const unknown: TopicPartition[] = []
    for (const [key, { earliest }] of logs) {
      const at = standing?.get(key)
      const { topic, partition, topicId } = earliest
      // A partition that the stream did not have by then: all of it came later.
      if (standing !== undefined && !standing.has(key)) places.set(key, earliest)
      else if (at === undefined) unknown.push({ topic, partition })
      else if (at.topicId !== undefined && topicId !== undefined && at.topicId !== topicId) {
        throw new DataLossError(
          'recreated',
          `Topic ${topic} was made again since batch ${id} of ${stream}; what that batch read is gone.`,
          [],
        )
      } else places.set(key, { topic, partition, offset: at.offset })
    }
    if (unknown.length === 0) return places
    throw new ConfigError(
      `Where ${some(unknown.map(showPartition))} stood at batch ${id} of ${stream} is not known any more, for the history before it is trimmed. Give offsets instead.`,
    )
  }

  async function tellGone(all: readonly Gone[]): Promise<string> {
    const [first] = all as [Gone, ...Gone[]]
    const message = await describeGone(job, asked, all, ranges, signal)
    if (whatIsLeft || options.onDataLoss.retention === 'skip') return message
    throw new DataLossError(
      'retention',
      `${message} To backfill what is left, add --what-is-left (whatIsLeft: true from code); nothing was begun.`,
      all.map(({ isCertain: _, ...range }) => range),
      { resumeAt: first.untilOffset },
    )
  }
}

async function describeGone(
  { sources }: DriverJob,
  { from }: Asked,
  all: readonly Gone[],
  ranges: readonly OffsetRange[],
  signal: AbortSignal,
): Promise<string> {
  const left = ranges.reduce((sum, range) => sum + range.untilOffset - range.fromOffset, 0)
  const rest = `${left.toLocaleString('en-US')} offsets of the window are left.`
  const certain = all.filter(({ isCertain }) => isCertain)
  if (certain.length > 0) {
    const each = certain.map(
      range => `${showPartition(range)} begins at ${range.untilOffset} by now, and ${range.fromOffset} is before that`,
    )
    return `Retention has taken records of the window: ${some(each)}. ${rest}`
  }
  const [first] = all as [Gone, ...Gone[]]
  const source = sources.find(({ source }) => source.names?.(first.topic) ?? true)?.source
  const range = ranges.find(other => comparePartitions(other, first) === 0)
  const time = source && range && (await firstTimestamp(source, { ...range, fromOffset: first.untilOffset }, signal))
  const each = all.map(range => `${showPartition(range)} begins at ${range.untilOffset}`)
  return (
    `Retention may have taken records of the window: ${some(each)}, and the first record that is left there is behind ${showBound(from)}` +
    `${time === undefined ? '' : ` (that of ${showPartition(first)} is of ${showTime(time)})`}, so nobody can say what was before it. ${rest}`
  )
}

type AnySource = DriverJob['sources'][number]['source']

/** When the first record behind an offset was written; undefined where there is none, or where the source has no timestamps. */
async function firstTimestamp(source: AnySource, range: OffsetRange, signal: AbortSignal): Promise<number | undefined> {
  if (range.untilOffset <= range.fromOffset) return undefined
  const { topicId: _, leaderEpoch: _epoch, ...at } = range
  for await (const [row] of source.read(at, { signal })) {
    if (typeof row === 'object' && row !== null && 'timestamp' in row && typeof row.timestamp === 'number') return row.timestamp
    return undefined
  }
  return undefined
}

/** Two lists must name the same partitions: of one that only one names nobody knows where it begins or ends. */
function checkSamePartitions(from: BackfillFrom, to: BackfillTo, begins: Places, ends: Places): void {
  if (from.at !== 'exact' || to.at !== 'exact') return
  const lacking = (a: Places, b: Places) => Array.from(a.values(), at => at).filter(at => !b.has(partitionKey(at)))
  const noEnd = lacking(begins, ends)
  const noBegin = lacking(ends, begins)
  if (noEnd.length + noBegin.length === 0) return
  const parts = [
    ...(noEnd.length > 0 ? [`${some(noEnd.map(showPartition))} would begin and has no end`] : []),
    ...(noBegin.length > 0 ? [`${some(noBegin.map(showPartition))} would end and has no beginning`] : []),
  ]
  throw new ConfigError(`Both ends of the backfill are lists of offsets, and they name different partitions: ${parts.join('; ')}.`)
}

function byKey(positions: readonly PartitionOffset[]): Places {
  return new Map(positions.map(at => [partitionKey(at), at]))
}

function some(texts: readonly string[]): string {
  return `${texts.slice(0, SHOWN).join(', ')}${texts.length > SHOWN ? ` and ${texts.length - SHOWN} more` : ''}`
}
