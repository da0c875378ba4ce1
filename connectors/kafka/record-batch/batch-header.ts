import type { TopicPartition } from '../../../src/core/values.ts'
import { normalProducerId } from './aborted-transactions.ts'
import { crc32c } from './crc32c.ts'
import { batchDamage } from './damage.ts'
import { ATTRIBUTE, BATCH, readInt64 } from './layout.ts'

/** What the reader needs of a batch's header. */
export type BatchHeader = {
  readonly start: number
  readonly end: number
  readonly baseOffset: number
  readonly lastOffsetDelta: number
  readonly lastOffset: number
  readonly codec: number
  readonly isLogAppendTime: boolean
  readonly isTransactional: boolean
  readonly isControl: boolean
  readonly baseTimestamp: number
  readonly maxTimestamp: number
  /** Negative where the producer has none. */
  readonly producerId: number | bigint
  readonly recordCount: number
}

/**
 * Reads and checks the header of a batch of magic 2 that lies whole in `bytes`. The checksum covers everything from the attributes on.
 * Throws `DecodeError` for a wrong checksum, offsets beyond 2^53 - 1, and counts that cannot be.
 */
export function readBatchHeader(bytes: Buffer, start: number, end: number, at: TopicPartition, checkCrcs: boolean): BatchHeader {
  const baseOffset = readInt64(bytes, start)
  if (end - start < BATCH.records) {
    throw batchDamage(at, baseOffset, `its ${end - start} bytes are fewer than the ${BATCH.records} of a batch's header`)
  }
  if (checkCrcs) {
    const expected = bytes.readUInt32BE(start + BATCH.crc)
    const actual = crc32c(bytes.subarray(start + BATCH.attributes, end))
    if (actual !== expected) {
      throw batchDamage(at, baseOffset, `its checksum is ${expected.toString(16)} and its bytes give ${actual.toString(16)}`)
    }
  }
  const attributes = bytes.readInt16BE(start + BATCH.attributes)
  const lastOffsetDelta = bytes.readInt32BE(start + BATCH.lastOffsetDelta)
  const recordCount = bytes.readInt32BE(start + BATCH.recordCount)
  const lastOffset = baseOffset + lastOffsetDelta
  if (lastOffsetDelta < 0 || recordCount < 0) {
    throw batchDamage(at, baseOffset, `it says that it holds ${recordCount} records over ${lastOffsetDelta + 1} offsets`)
  }
  if (!Number.isSafeInteger(baseOffset) || baseOffset < 0 || !Number.isSafeInteger(lastOffset + 1)) {
    throw batchDamage(at, baseOffset, 'its offsets are outside of 0 to 2^53 - 1', {
      hint: 'Offsets are plain numbers here, and one that would be rounded is refused.',
    })
  }
  return {
    start,
    end,
    baseOffset,
    lastOffsetDelta,
    lastOffset,
    codec: attributes & ATTRIBUTE.codec,
    isLogAppendTime: (attributes & ATTRIBUTE.logAppendTime) !== 0,
    isTransactional: (attributes & ATTRIBUTE.transactional) !== 0,
    isControl: (attributes & ATTRIBUTE.control) !== 0,
    baseTimestamp: readInt64(bytes, start + BATCH.baseTimestamp),
    maxTimestamp: readInt64(bytes, start + BATCH.maxTimestamp),
    producerId: readProducerId(bytes, start + BATCH.producerId),
    recordCount,
  }
}

function readProducerId(bytes: Buffer, at: number): number | bigint {
  const producerId = readInt64(bytes, at)
  return Number.isSafeInteger(producerId) ? producerId : normalProducerId(bytes.readBigInt64BE(at))
}
