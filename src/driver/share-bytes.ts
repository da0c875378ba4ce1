import { comparePartitions, countOffsets, type OffsetRange, type TopicPartition } from '../core/values.ts'

/**
 * Holds a batch to a number of bytes, by what its ranges' offsets are expected to weigh: all ranges are shortened by the same factor, as
 * `maxRecordsPerBatch` is shared by lag. Ranges that would keep less than one record take turns, so that none starves and many heavy ones
 * cannot add up: a batch is above the limit by one record at the most, where the weights are right.
 */
export class ByteShares {
  #lastInTurn: TopicPartition | undefined

  /** `ranges` one a partition, sorted; `weightOf` in bytes an offset, undefined where nobody knows. */
  limit(ranges: readonly OffsetRange[], weightOf: (at: TopicPartition) => number | undefined, maxBytes: number): OffsetRange[] {
    let total = 0
    for (const range of ranges) total += countOffsets(range) * (weightOf(range) ?? 0)
    if (total <= maxBytes) return [...ranges]

    const factor = maxBytes / total
    const kept: OffsetRange[] = []
    const small: OffsetRange[] = []
    let bytesOfSmall = 0
    for (const range of ranges) {
      const weight = weightOf(range) ?? 0
      const records = weight === 0 ? countOffsets(range) : Math.floor(countOffsets(range) * factor)
      if (records >= 1) kept.push({ ...range, untilOffset: range.fromOffset + records })
      else {
        small.push(range)
        bytesOfSmall += countOffsets(range) * factor * weight
      }
    }
    kept.push(...this.#takeTurns(small, weightOf, Math.round(bytesOfSmall)))
    return kept.sort(comparePartitions)
  }

  /** One record of as many ranges as their part of the limit allows, and of one at least: a record larger than the limit must not stop the stream. */
  #takeTurns(small: readonly OffsetRange[], weightOf: (at: TopicPartition) => number | undefined, bytes: number): OffsetRange[] {
    const last = this.#lastInTurn
    const first = last === undefined ? 0 : small.findIndex(range => comparePartitions(range, last) > 0)
    const inTurn = first > 0 ? [...small.slice(first), ...small.slice(0, first)] : small
    const taken: OffsetRange[] = []
    let left = bytes
    for (const range of inTurn) {
      left -= weightOf(range) ?? 0
      if (left < 0 && taken.length > 0) break
      taken.push({ ...range, untilOffset: range.fromOffset + 1 })
      this.#lastInTurn = range
    }
    return taken
  }
}
