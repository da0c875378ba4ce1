/** A record batch of magic 2, field by field: the byte each begins at, from the batch's start (DefaultRecordBatch.java). */
export const BATCH = {
  baseOffset: 0,
  /** Counts the bytes after this field. */
  length: 8,
  leaderEpoch: 12,
  magic: 16,
  crc: 17,
  attributes: 21,
  lastOffsetDelta: 23,
  baseTimestamp: 27,
  maxTimestamp: 35,
  producerId: 43,
  recordCount: 57,
  records: 61,
} as const

/** Bytes in front of every entry of a log, whatever its magic: the offset and the length of what follows. */
export const ENTRY_HEADER_BYTES = 12

/** What an entry of any magic holds at least after its header: the smallest message of magic 0. */
export const SMALLEST_ENTRY_LENGTH = 14

/** Bits of a batch's `attributes`. */
export const ATTRIBUTE = { codec: 0b111, logAppendTime: 1 << 3, transactional: 1 << 4, control: 1 << 5 } as const

/**
 * The 64-bit integer at `at`, exact as far as a double goes. Beyond 2^53 it is the nearest double: where that matters, as for offsets,
 * check `Number.isSafeInteger`.
 */
export function readInt64(bytes: Buffer, at: number): number {
  return bytes.readInt32BE(at) * 4_294_967_296 + bytes.readUInt32BE(at + 4)
}
