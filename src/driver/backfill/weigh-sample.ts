import { errorMessage } from '../../core/errors.ts'
import { countOffsets, type OffsetRange } from '../../core/values.ts'
import type { JobSource } from '../driver-job.ts'

/** The largest ranges stand for all. */
const RANGES = 4
/** What is read of each: enough that the fetch around it does not count. */
const OFFSETS_EACH = 10_000
const BYTES_EACH = 2 * 1_048_576
const SAMPLE_FOR_MS = 10_000

/** What a sample says of all: records and bytes as they would be fetched, and how fast reading alone went. */
export type Weight = {
  readonly records: number
  readonly bytes: number
  /** Offsets of the sample. */
  readonly sampled: number
  /** Records a second of reading the sample, without the job's functions and outputs. */
  readonly readPerSecond: number
}

/**
 * Reads a little of the largest ranges, from their middles, and takes the rest for alike. Undefined where there is nothing to read; a text says why
 * it could not be done, which is no reason not to show a plan.
 */
export async function weighSample(
  sources: readonly JobSource[],
  ranges: readonly OffsetRange[],
  signal: AbortSignal,
): Promise<Weight | string | undefined> {
  const total = ranges.reduce((sum, range) => sum + countOffsets(range), 0)
  const largest = ranges.toSorted((a, b) => countOffsets(b) - countOffsets(a)).slice(0, RANGES)
  const read = { offsets: 0, records: 0, bytes: 0, ms: 0 }
  const within = AbortSignal.any([signal, AbortSignal.timeout(SAMPLE_FOR_MS)])
  try {
    for (const range of largest.filter(range => countOffsets(range) > 0)) {
      const { source, isolation } = sources.find(({ source }) => source.names?.(range.topic) ?? true) ?? {}
      if (source === undefined || isolation === undefined) continue
      const startedAt = performance.now()
      const fromOffset = range.fromOffset + Math.floor(Math.max(0, countOffsets(range) - OFFSETS_EACH) / 2)
      const untilOffset = Math.min(range.untilOffset, fromOffset + OFFSETS_EACH)
      let bytes = 0
      let last = fromOffset - 1
      let isWhole = true
      const { topicId: _, leaderEpoch: _epoch, ...at } = range
      const options = { isolation, signal: within, onBytes: (count: number) => (bytes += count) }
      for await (const rows of source.read({ ...at, fromOffset, untilOffset }, options)) {
        read.records += rows.length
        last = offsetOf(rows.at(-1)) ?? last
        isWhole = bytes < BYTES_EACH || last < fromOffset
        if (!isWhole) break
      }
      read.offsets += (isWhole ? untilOffset : last + 1) - fromOffset
      read.bytes += bytes
      read.ms += performance.now() - startedAt
    }
  } catch (error) {
    signal.throwIfAborted()
    return errorMessage(error)
  }
  if (read.offsets === 0) return undefined
  const share = total / read.offsets
  return {
    records: Math.round(read.records * share),
    bytes: Math.round(read.bytes * share),
    sampled: read.offsets,
    readPerSecond: (read.records / Math.max(read.ms, 1)) * 1_000,
  }
}

function offsetOf(row: unknown): number | undefined {
  if (typeof row !== 'object' || row === null || !('offset' in row)) return undefined
  return typeof row.offset === 'number' ? row.offset : undefined
}
