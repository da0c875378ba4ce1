import { ATTRIBUTE, BATCH, ENTRY_HEADER_BYTES, readInt64, SMALLEST_ENTRY_LENGTH } from './layout.ts'

/** What the headers of a partition's records say, before anything is decoded. */
export type BatchScan = {
  /** The offset that the first batch begins at (of an old compressed one, that it ends at), or -1. Below the one asked for, where that lies inside it. */
  readonly firstOffset: number
  /** The offset after the last complete batch, or -1 where there is none: what the next fetch asks for. */
  readonly nextOffset: number
  /** The leader epoch of the last complete batch of magic 2, or -1: the `lastFetchedEpoch` of the next fetch. */
  readonly lastEpoch: number
  /** The bytes of the complete batches. What follows is a batch cut off by the fetch's size. */
  readonly completeBytes: number
  readonly isTruncated: boolean
  /** Whether some batch is compressed, so that decoding takes more memory than the bytes. */
  readonly isCompressed: boolean
}

/**
 * Walks the headers of a partition's records, so that the next fetch can be sent before this one is decoded. It judges nothing: at an entry
 * it cannot make sense of it stops, and the decoder says what is wrong when it gets there.
 */
export function scanBatches(bytes: Buffer): BatchScan {
  let at = 0
  let firstOffset = -1
  let nextOffset = -1
  let lastEpoch = -1
  let isCompressed = false
  while (at + BATCH.magic < bytes.length) {
    const length = bytes.readInt32BE(at + BATCH.length)
    const end = at + ENTRY_HEADER_BYTES + length
    if (length < SMALLEST_ENTRY_LENGTH || end > bytes.length) break
    const isBatch = bytes[at + BATCH.magic] === 2
    if (isBatch && end < at + BATCH.records) break
    const next = readInt64(bytes, at) + (isBatch ? bytes.readInt32BE(at + BATCH.lastOffsetDelta) : 0) + 1
    if (!Number.isSafeInteger(next)) break
    const attributes = (isBatch ? bytes[at + BATCH.attributes + 1] : bytes[at + BATCH.magic + 1]) ?? 0
    if ((attributes & ATTRIBUTE.codec) !== 0) isCompressed = true
    if (isBatch) lastEpoch = bytes.readInt32BE(at + BATCH.leaderEpoch)
    if (firstOffset < 0) firstOffset = readInt64(bytes, at)
    if (next > nextOffset) nextOffset = next
    at = end
  }
  return { firstOffset, nextOffset, lastEpoch, completeBytes: at, isTruncated: at < bytes.length, isCompressed }
}
