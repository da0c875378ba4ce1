import { z } from 'zod'
import { ConfigError } from '../core/errors.ts'
import { countOffsets, type OffsetRange, showPartition } from '../core/values.ts'
import { parseOptions } from '../util/parse-options.ts'

/** How a batch's ranges become tasks. */
export type SplitOptions = {
  /** About how many tasks a batch should have at least: large ranges are cut up, rounding decides the rest. @default one task a range */
  readonly minTasks?: number | undefined
  /** No task covers more offsets than this. @default no limit */
  readonly maxRecordsPerTask?: number | undefined
}

const settings = z.strictObject({
  minTasks: z.int().min(1).optional().describe('a whole number of tasks, 1 or more; leave it out for one task a range'),
  maxRecordsPerTask: z.int().min(1).optional().describe('a whole number of records, 1 or more; leave it out for no limit'),
})

/**
 * Cuts ranges into the slices that are a batch's tasks, so that a hot partition can use more than one core. Slices tile their range, keep its
 * topic id and leader epoch, and come in the order of the ranges given; empty and inverted ranges are dropped.
 *
 * The same numbers as Spark's `KafkaOffsetRangeCalculator`: `maxRecordsPerTask` (`maxRecordsPerPartition`) first, then `minTasks`
 * (`minPartitions`) on what that gave. Throws `ConfigError` for options and offsets that are no whole numbers.
 */
export function splitRanges(ranges: readonly OffsetRange[], options: SplitOptions): OffsetRange[] {
  const { minTasks, maxRecordsPerTask } = parseOptions(settings, options, 'splitRanges')
  const pieces: OffsetRange[] = []
  for (const range of ranges) {
    if (hasRecords(range)) cutInto(pieces, range, maxRecordsPerTask === undefined ? 1 : countOffsets(range) / maxRecordsPerTask)
  }
  if (minTasks === undefined || pieces.length >= minTasks) return pieces
  return spread(pieces, minTasks)
}

/** Cuts the large pieces in proportion, once the small ones that stay whole and their share of `minTasks` are out of the sum. */
function spread(pieces: readonly OffsetRange[], minTasks: number): OffsetRange[] {
  const total = totalSize(pieces)
  const whole = pieces.filter(piece => partsOf(piece, total, minTasks) === 1)
  // Spark judges by partition: one slice that stays whole keeps every slice of its partition whole.
  const wholePartitions = partitionsOf(whole)
  const left = total - totalSize(whole)
  const tasksLeft = Math.max(minTasks - whole.length, 1)
  const slices: OffsetRange[] = []
  for (const piece of pieces)
    cutInto(slices, piece, wholePartitions.get(piece.topic)?.has(piece.partition) ? 1 : partsOf(piece, left, tasksLeft))
  return slices
}

/** By topic, then partition: keys of text for 20,000 slices would cost more than all the rest. */
function partitionsOf(ranges: readonly OffsetRange[]): Map<string, Set<number>> {
  const byTopic = new Map<string, Set<number>>()
  for (const { topic, partition } of ranges) {
    const partitions = byTopic.get(topic)
    if (partitions === undefined) byTopic.set(topic, new Set([partition]))
    else partitions.add(partition)
  }
  return byTopic
}

function partsOf(range: OffsetRange, total: number, tasks: number): number {
  return Math.max(Math.round((countOffsets(range) / total) * tasks), 1)
}

/** Adds `parts` (rounded up) slices that differ by at most one record, the longer ones last; fewer where there are fewer records. */
function cutInto(slices: OffsetRange[], range: OffsetRange, parts: number): void {
  const count = Math.ceil(parts)
  if (count <= 1) {
    slices.push(range)
    return
  }
  let fromOffset = range.fromOffset
  for (let part = 0; part < count; part++) {
    const untilOffset = fromOffset + Math.floor((range.untilOffset - fromOffset) / (count - part))
    if (untilOffset > fromOffset) slices.push({ ...range, fromOffset, untilOffset })
    fromOffset = untilOffset
  }
}

function totalSize(ranges: readonly OffsetRange[]): number {
  return ranges.reduce((sum, range) => sum + countOffsets(range), 0)
}

function hasRecords(range: OffsetRange): boolean {
  const { fromOffset, untilOffset } = range
  if (isOffset(fromOffset) && isOffset(untilOffset)) return untilOffset > fromOffset
  const offset = isOffset(fromOffset) ? untilOffset : fromOffset
  throw new ConfigError(
    `splitRanges: ${showPartition(range)} [${fromOffset}, ${untilOffset}) has offset ${offset}: expected a safe integer, 0 or more`,
  )
}

function isOffset(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 0
}
