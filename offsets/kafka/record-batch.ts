import { createRequire } from 'node:module'
import { DecodeError, UnsupportedError } from '../../src/core/errors.ts'

/** A record of the log. `appendedAtMs` is the broker's clock; a null value is a tombstone. */
export type LogRecord = {
  readonly offset: number
  readonly appendedAtMs: number
  readonly key: Buffer
  readonly value: Buffer | null
  /** Of a value that is cut into parts, how many there are; else 1. */
  readonly parts: number
}

/** One batch of the log: records, or the marker with which a transaction ends. */
export type LogBatch = {
  readonly lastOffset: number
  /** -1 for what was written without a producer session. */
  readonly producerId: bigint
  readonly producerEpoch: number
  readonly isTransactional: boolean
  readonly marker: 'commit' | 'abort' | undefined
  /** The broker's clock, ms. */
  readonly appendedAtMs: number
  readonly records: readonly LogRecord[]
}

/** Names the header that tells the parts of a value. */
export const PARTS_HEADER = 'parts'

const HEADER_BYTES = 61
const LENGTH_AT = 8
const MAGIC_AT = 16
const CRC_AT = 17
const ATTRIBUTES_AT = 21
const LAST_OFFSET_DELTA_AT = 23
const MAX_TIMESTAMP_AT = 35
const PRODUCER_ID_AT = 43
const PRODUCER_EPOCH_AT = 51
const COUNT_AT = 57
const CODEC = 0b111
const TRANSACTIONAL = 1 << 4
const CONTROL = 1 << 5

type Crc32 = { crc32c(input: Uint8Array): number }

let native: Crc32 | undefined

/**
 * The batches of a fetched piece of the log. The topic is ours, so of Kafka's format it knows what is written there: magic 2 without compression. A
 * batch that is cut off at the end of the piece is left out.
 *
 * @throws DecodeError for bytes that break the format, UnsupportedError for a batch that somebody had compressed
 */
export function decodeBatches(bytes: Buffer): LogBatch[] {
  const batches: LogBatch[] = []
  for (let at = 0; bytes.length - at >= HEADER_BYTES; ) {
    const end = at + LENGTH_AT + 4 + bytes.readInt32BE(at + LENGTH_AT)
    if (end > bytes.length) break
    batches.push(decodeBatch(bytes.subarray(at, end)))
    at = end
  }
  return batches
}

function decodeBatch(batch: Buffer): LogBatch {
  const baseOffset = Number(batch.readBigInt64BE(0))
  if (batch.length < HEADER_BYTES || batch[MAGIC_AT] !== 2) throw broken(baseOffset, 'it is no batch of magic 2')
  // On first use, for it has a part in machine code.
  native ??= createRequire(import.meta.url)('@node-rs/crc32') as Crc32
  if (native.crc32c(batch.subarray(ATTRIBUTES_AT)) !== batch.readUInt32BE(CRC_AT)) throw broken(baseOffset, 'its checksum does not fit')
  const attributes = batch.readInt16BE(ATTRIBUTES_AT)
  if ((attributes & CODEC) !== 0) {
    throw new UnsupportedError(
      `The batch at offset ${baseOffset} of the offsets' topic is compressed, which Tidemark never does. Set compression.type=producer on the topic.`,
    )
  }
  const appendedAtMs = Number(batch.readBigInt64BE(MAX_TIMESTAMP_AT))
  const isControl = (attributes & CONTROL) !== 0
  const reader = new RecordReader(batch, HEADER_BYTES, baseOffset)
  const records = Array.from({ length: batch.readInt32BE(COUNT_AT) }, () => reader.next(appendedAtMs))
  return {
    lastOffset: baseOffset + batch.readInt32BE(LAST_OFFSET_DELTA_AT),
    producerId: batch.readBigInt64BE(PRODUCER_ID_AT),
    producerEpoch: batch.readInt16BE(PRODUCER_EPOCH_AT),
    isTransactional: (attributes & TRANSACTIONAL) !== 0,
    marker: isControl ? markerOf(records[0]) : undefined,
    appendedAtMs,
    records: isControl ? [] : records,
  }
}

/** A marker's key is its version and its type; compaction may leave the batch of one without a record, and then there is nothing it ends. */
function markerOf(record: LogRecord | undefined): LogBatch['marker'] {
  if (record === undefined || record.key.length < 4) return undefined
  return record.key.readInt16BE(2) === 1 ? 'commit' : 'abort'
}

class RecordReader {
  readonly #bytes: Buffer
  readonly #baseOffset: number
  #at: number

  constructor(bytes: Buffer, at: number, baseOffset: number) {
    this.#bytes = bytes
    this.#at = at
    this.#baseOffset = baseOffset
  }

  next(appendedAtMs: number): LogRecord {
    const length = this.#varint()
    const end = this.#at + length
    if (length < 0 || end > this.#bytes.length) throw broken(this.#baseOffset, 'a record does not fit in it')
    this.#at += 1
    // The time is the batch's, for brokers of this topic set it.
    this.#varint()
    const offset = this.#baseOffset + this.#varint()
    const key = this.#bytesOrNull() ?? Buffer.alloc(0)
    const value = this.#bytesOrNull()
    let parts = 1
    for (let left = this.#varint(); left > 0; left--) {
      const name = this.#bytesOrNull()?.toString()
      const text = this.#bytesOrNull()?.toString()
      if (name === PARTS_HEADER) parts = Number(text)
    }
    if (this.#at !== end) throw broken(this.#baseOffset, 'a record has another length than it says')
    return { offset, appendedAtMs, key, value, parts }
  }

  #bytesOrNull(): Buffer | null {
    const length = this.#varint()
    if (length < 0) return null
    const from = this.#at
    this.#at += length
    if (this.#at > this.#bytes.length) throw broken(this.#baseOffset, 'a field does not fit in it')
    return this.#bytes.subarray(from, this.#at)
  }

  /** Zigzag; also the 64 bits of a time, which nobody looks at. */
  #varint(): number {
    let value = 0
    for (let scale = 1; ; scale *= 128) {
      const byte = this.#bytes[this.#at++]
      if (byte === undefined || scale > 2 ** 63) throw broken(this.#baseOffset, 'a number in it does not end')
      value += (byte & 127) * scale
      if (byte < 128) return value % 2 === 0 ? value / 2 : -(value + 1) / 2
    }
  }
}

function broken(offset: number, what: string): DecodeError {
  return new DecodeError(`The batch at offset ${offset} of the offsets' topic cannot be read: ${what}.`, { details: { offset } })
}
