import { ConfigError } from '../../core/errors.ts'
import type { TimeWindow } from '../../core/time-window.ts'
import { comparePartitions, type PartitionOffset } from '../../core/values.ts'

type AtTime = { readonly at: 'timestamp'; readonly timestamp: number }
/** Partitions that are not named are no part of the backfill. */
type AtOffsets = { readonly at: 'exact'; readonly offsets: readonly PartitionOffset[] }
type AtBatch = { readonly at: 'batch'; readonly batch: number }

/** Where a backfill begins: the first record there is, or at or after a time (ms), exact offsets, or where a batch of the live stream began. */
export type BackfillFrom = { readonly at: 'earliest' } | AtTime | AtOffsets | AtBatch

/**
 * Where a backfill ends, which is not part of it: behind the last record there is at its first start, at the first record at or after a time (ms), at
 * exact offsets, behind a batch of the live stream, or, with `live`, where the live stream began.
 */
export type BackfillTo = { readonly at: 'latest' } | { readonly at: 'live' } | AtTime | AtOffsets | AtBatch

/** What a backfill was asked to be. Two that were asked the same are one: the second goes on with the first. */
export type Asked = {
  readonly from: BackfillFrom
  readonly to: BackfillTo
  /** Only records whose timestamps are between the two times. */
  readonly exactTime: boolean
  /** With exact time: how far behind `to` to look for records that were sent late, ms. */
  readonly lateMs: number
  /** The outputs it writes to. */
  readonly outputs: readonly string[]
}

/** Throws `ConfigError` for what cannot be meant, before anything is connected. */
export function checkAsked({ from, to, exactTime, lateMs }: Asked): void {
  const begins = from.at === 'timestamp' ? from.timestamp : undefined
  const ends = to.at === 'timestamp' ? to.timestamp : undefined
  for (const time of [begins, ends]) {
    if (time !== undefined && !(Number.isSafeInteger(time) && time >= 0 && time <= LAST_DATE))
      throw new ConfigError(`A time is a whole number of milliseconds since 1970 up to the year 275760, not ${time}. Is it in other units?`)
  }
  if (begins !== undefined && ends !== undefined && begins > ends) {
    throw new ConfigError(
      `The backfill would begin at ${showTime(begins)}, which is after its end, ${showTime(ends)}. Are the two swapped?`,
    )
  }
  if (begins !== undefined && begins === ends) {
    throw new ConfigError(
      `The backfill would begin and end at ${showTime(begins)}: nothing is between the two, for the end is not part of it.`,
    )
  }
  if (exactTime && begins === undefined && ends === undefined) {
    throw new ConfigError('Exact time goes by the timestamps of records, and neither end of the backfill is a time.')
  }
  if (lateMs > 0 && (!exactTime || ends === undefined)) {
    throw new ConfigError(
      'Late records are looked for behind the end of a backfill that goes by exact time: it needs exact time, and an end that is a time.',
    )
  }
}

/**
 * Throws `ConfigError` for a time that is yet to come. Only where a backfill is new: one that is settled has its offsets, and a clock that was put back
 * since, or another machine's, is no reason to leave it half done.
 */
export function checkIsPast({ from, to }: Asked, now: number): void {
  if (to.at === 'timestamp' && to.timestamp > now) {
    throw new ConfigError(
      `The backfill would end at ${showTime(to.timestamp)}, which is yet to come, and a backfill is of the past. End it with what is there now (latest), or ` +
        'run the stream itself up to that time (run --until).',
    )
  }
  if (from.at === 'timestamp' && from.timestamp > now)
    throw new ConfigError(`The backfill would begin at ${showTime(from.timestamp)}, which is yet to come, and a backfill is of the past.`)
}

/** The last date that there is. */
const LAST_DATE = 8.64e15

/** The timestamps that count, of a backfill that goes by exact time. */
export function windowOf({ from, to, exactTime }: Asked): TimeWindow | undefined {
  if (!exactTime) return undefined
  return {
    ...(from.at === 'timestamp' && { from: from.timestamp }),
    ...(to.at === 'timestamp' && { until: to.timestamp }),
  }
}

/** Whether two were asked the same, whatever the order of what they name. */
export function isSameAsked(a: Asked, b: Asked): boolean {
  return identify(a) === identify(b)
}

function identify({ from, to, exactTime, lateMs, outputs }: Asked): string {
  return JSON.stringify([identifyBound(from), identifyBound(to), exactTime, lateMs, outputs.toSorted()])
}

function identifyBound(bound: BackfillFrom | BackfillTo): unknown {
  switch (bound.at) {
    case 'timestamp':
      return [bound.at, bound.timestamp]
    case 'batch':
      return [bound.at, bound.batch]
    case 'exact':
      return [bound.at, bound.offsets.toSorted(comparePartitions).map(({ topic, partition, offset }) => [topic, partition, offset])]
    default:
      return [bound.at]
  }
}

/** `2026-11-20T00:00:00.000Z`. */
export function showTime(timestamp: number): string {
  return new Date(timestamp).toISOString()
}

/** A bound in words, the way messages and plans name it. */
export function showBound(bound: BackfillFrom | BackfillTo): string {
  switch (bound.at) {
    case 'earliest':
      return 'the first record there is'
    case 'latest':
      return 'the last record there is'
    case 'live':
      return 'where the live stream began'
    case 'timestamp':
      return showTime(bound.timestamp)
    case 'batch':
      return `batch ${bound.batch} of the live stream`
    case 'exact':
      return bound.offsets.length === 1 ? 'the given offset' : 'the given offsets'
    default:
      return bound satisfies never
  }
}
