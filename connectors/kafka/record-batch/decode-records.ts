import { batchDamage } from './damage.ts'
import { FetchedRecord, type RecordBytes } from './fetched-record.ts'
import { readUvarint, readVarint, readVarlong, varintEnd } from './varint.ts'

/** A batch of magic 2 that is being read: its uncompressed records and how far the reader is. Offsets are deltas of `baseOffset`. */
export type RecordCursor = {
  readonly topic: string
  readonly partition: number
  readonly source: RecordBytes
  readonly end: number
  readonly baseOffset: number
  readonly lastOffsetDelta: number
  /** Every record's where the broker stamps them; else what their deltas are added to. */
  readonly baseTimestamp: number
  readonly isLogAppendTime: boolean
  /** Records from here on belong to someone else. */
  readonly untilDelta: number
  position: number
  /** Records of the batch that have not been read. */
  remaining: number
  /** Records below it are not delivered: they lie before the range, or were delivered before. */
  fromDelta: number
}

/**
 * Appends records to `records` until it holds `limit` or the batch or the range ends. One loop over the bytes, the hottest of the project:
 * lengths and deltas of one and two bytes are read in line, everything rarer is out of it, and nothing but the record is allocated.
 *
 * A record that reaches past its length cannot hide: the position only grows, so the one comparison with the record's end finds it, and
 * what was read past the batch's end on the way there is never used.
 *
 * Throws `DecodeError` where the Java client would (DefaultRecord.java, DefaultRecordBatch.java), and for an offset outside of the batch.
 */
export function decodeRecords(cursor: RecordCursor, records: FetchedRecord[], limit: number): void {
  const { topic, partition, source, end, baseOffset, lastOffsetDelta, baseTimestamp, isLogAppendTime, untilDelta } = cursor
  const { bytes } = source
  let { position, remaining, fromDelta } = cursor
  let room = limit - records.length
  let isPastRange = false

  while (remaining > 0 && room > 0) {
    if (position >= end) throw batchDamage(cursor, baseOffset, `it ends with ${remaining} of its records missing`)
    let raw = bytes[position++] as number
    if (raw >= 0x80) {
      const second = bytes[position] as number
      if (second < 0x80) {
        raw = (raw & 0x7f) | (second << 7)
        position++
      } else {
        raw = readUvarint(bytes, position - 1)
        position = varintEnd
      }
    }
    const length = (raw >>> 1) ^ -(raw & 1)
    const recordEnd = position + length
    if (length < 0 || recordEnd > end) throw batchDamage(cursor, baseOffset, `a record of ${length} bytes does not fit in it`)

    // The byte of attributes is unused so far.
    position++
    let timestampDelta = 0
    raw = bytes[position++] as number
    if (raw < 0x80) timestampDelta = (raw >>> 1) ^ -(raw & 1)
    else {
      const second = bytes[position] as number
      if (second < 0x80) {
        raw = (raw & 0x7f) | (second << 7)
        timestampDelta = (raw >>> 1) ^ -(raw & 1)
        position++
      } else {
        timestampDelta = readVarlong(bytes, position - 1)
        position = varintEnd
      }
    }

    raw = bytes[position++] as number
    if (raw >= 0x80) {
      const second = bytes[position] as number
      if (second < 0x80) {
        raw = (raw & 0x7f) | (second << 7)
        position++
      } else {
        raw = readUvarint(bytes, position - 1)
        position = varintEnd
      }
    }
    const offsetDelta = (raw >>> 1) ^ -(raw & 1)

    const keyAt = position
    raw = bytes[position++] as number
    if (raw >= 0x80) {
      const second = bytes[position] as number
      if (second < 0x80) {
        raw = (raw & 0x7f) | (second << 7)
        position++
      } else {
        raw = readUvarint(bytes, position - 1)
        position = varintEnd
      }
    }
    // An odd number is negative: null.
    if ((raw & 1) === 0) position += raw >>> 1

    raw = bytes[position++] as number
    if (raw >= 0x80) {
      const second = bytes[position] as number
      if (second < 0x80) {
        raw = (raw & 0x7f) | (second << 7)
        position++
      } else {
        raw = readUvarint(bytes, position - 1)
        position = varintEnd
      }
    }
    if ((raw & 1) === 0) position += raw >>> 1

    // Most records have no header, and then one zero byte ends them.
    if (position === recordEnd - 1 && bytes[position] === 0) position = recordEnd
    else position = skipHeaders(bytes, position, recordEnd)
    if (position !== recordEnd) throw batchDamage(cursor, baseOffset, `a record of ${length} bytes does not end where its length says`)
    if (offsetDelta < 0 || offsetDelta > lastOffsetDelta) {
      throw batchDamage(cursor, baseOffset, `a record lies ${offsetDelta} offsets after its first, and it reaches ${lastOffsetDelta}`)
    }

    if (offsetDelta >= untilDelta) {
      isPastRange = true
      remaining = 0
      break
    }
    remaining--
    if (offsetDelta < fromDelta) continue
    fromDelta = offsetDelta + 1
    room--
    const timestamp = isLogAppendTime ? baseTimestamp : baseTimestamp + timestampDelta
    records.push(new FetchedRecord(topic, partition, baseOffset + offsetDelta, timestamp, source, keyAt))
  }

  if (remaining === 0 && !isPastRange && position !== end) {
    throw batchDamage(cursor, baseOffset, `${end - position} bytes are left after the last of its records`)
  }
  cursor.position = position
  cursor.remaining = remaining
  cursor.fromDelta = fromDelta
}

/** Where the headers that begin at `at` end, or -1 where they do not fit in the record. */
function skipHeaders(bytes: Buffer, at: number, recordEnd: number): number {
  if (at >= recordEnd) return -1
  const count = readVarint(bytes, at)
  let position = varintEnd
  if (count < 0 || count > recordEnd - position) return -1
  for (let i = 0; i < count; i++) {
    const nameLength = readVarint(bytes, position)
    if (nameLength < 0) return -1
    position = varintEnd + nameLength
    if (position >= recordEnd) return -1
    const valueLength = readVarint(bytes, position)
    position = varintEnd + Math.max(0, valueLength)
    if (position > recordEnd) return -1
  }
  return position
}
