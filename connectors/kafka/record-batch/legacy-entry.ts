import { crc32 } from 'node:zlib'
import type { TopicPartition } from '../../../src/core/values.ts'
import type { KafkaRecord } from '../record.ts'
import { batchDamage } from './damage.ts'
import { ATTRIBUTE, ENTRY_HEADER_BYTES, readInt64, SMALLEST_ENTRY_LENGTH } from './layout.ts'

/** A message of magic 0 or 1: the byte each field begins at, from the entry's start. Magic 0 has no timestamp. */
const MESSAGE = { crc: 12, magic: 16, attributes: 17, timestamp: 18 } as const
const ZSTD = 4
const NO_TIMESTAMP = -1

type LegacyOptions = {
  readonly checkCrcs: boolean
  readonly decompress: (codec: number, bytes: Buffer) => Buffer
}

type Message = {
  readonly offset: number
  readonly magic: number
  readonly codec: number
  readonly isLogAppendTime: boolean
  readonly timestamp: number
  readonly key: Buffer | null
  readonly value: Buffer | null
}

/**
 * Decodes one entry of magic 0 or 1, as old segments still hold them: a message, or a wrapper whose value is a compressed set of messages.
 * A cold path, so its records are plain objects. It follows AbstractLegacyRecordBatch.java:
 *
 * - the wrapper's offset is that of its last message; inner offsets are absolute in magic 0 and relative in magic 1;
 * - under LogAppendTime the inner timestamps are the wrapper's; magic 0 has none, and says -1;
 * - the checksum is CRC-32 (IEEE), and the wrapper's covers everything in it.
 *
 * Throws `DecodeError` like the decoder of batches.
 */
export function decodeLegacyEntry(entry: Buffer, at: TopicPartition, options: LegacyOptions): KafkaRecord[] {
  const outer = readMessage(entry, at, options.checkCrcs)
  if (outer.codec === 0) return [toRecord(outer, at, outer.offset, outer.timestamp)]
  const damaged = (what: string) => batchDamage(at, outer.offset, what)
  if (outer.value === null) throw damaged('it is a compressed set of messages without a value')
  if (outer.codec === ZSTD) throw damaged(`it is a zstd set of messages of magic ${outer.magic}, which never was`)

  const inner = readInner(options.decompress(outer.codec, outer.value), at, outer, damaged)
  const last = inner.at(-1)
  if (last === undefined) throw damaged('it is a compressed set of messages that holds none')
  let base = 0
  // Old librdkafka left the wrapper's offset at 0, and its inner offsets are then absolute.
  if (outer.magic === 1 && outer.offset !== 0) {
    base = outer.offset - last.offset
    if (base < 0) throw damaged(`its last message has the relative offset ${last.offset}`)
  }
  return inner.map(message => {
    const timestamp = message.magic === 1 && outer.isLogAppendTime ? outer.timestamp : message.timestamp
    return toRecord(message, at, base + message.offset, timestamp)
  })
}

function readInner(bytes: Buffer, at: TopicPartition, outer: Message, damaged: (what: string) => Error): Message[] {
  const messages: Message[] = []
  for (let start = 0; bytes.length - start >= ENTRY_HEADER_BYTES; ) {
    const length = bytes.readInt32BE(start + 8)
    if (length < SMALLEST_ENTRY_LENGTH) throw damaged(`a message in it says that it is ${length} bytes long`)
    const end = start + ENTRY_HEADER_BYTES + length
    // Old producers cut sets off in the middle of a message, and the Java client takes what is whole.
    if (end > bytes.length) break
    const message = readMessage(bytes.subarray(start, end), at, false)
    if (message.codec !== 0) throw damaged('a message in it is compressed again')
    if (message.magic !== outer.magic) throw damaged(`a message in it has magic ${message.magic}, and it has ${outer.magic}`)
    messages.push(message)
    start = end
  }
  return messages
}

function readMessage(entry: Buffer, at: TopicPartition, checkCrc: boolean): Message {
  const offset = readInt64(entry, 0)
  const damaged = (what: string) => batchDamage(at, offset, what)
  if (checkCrc) {
    const expected = entry.readUInt32BE(MESSAGE.crc)
    const actual = crc32(entry.subarray(MESSAGE.magic))
    if (actual !== expected) throw damaged(`its checksum is ${expected.toString(16)} and its bytes give ${actual.toString(16)}`)
  }
  if (!Number.isSafeInteger(offset) || offset < 0) throw damaged('its offset is outside of 0 to 2^53 - 1')
  const magic = entry.readInt8(MESSAGE.magic)
  if (magic !== 0 && magic !== 1) throw damaged(`a message in it has magic ${magic}`)
  const attributes = entry.readInt8(MESSAGE.attributes)
  const fieldsAt = magic === 0 ? MESSAGE.timestamp : MESSAGE.timestamp + 8
  if (entry.length < fieldsAt + 8) throw damaged(`its ${entry.length} bytes are too few for a message`)
  const keyEnd = endOfField(entry, fieldsAt)
  const valueEnd = endOfField(entry, keyEnd)
  if (valueEnd !== entry.length) throw damaged('its key and value do not fill it')
  return {
    offset,
    magic,
    codec: attributes & ATTRIBUTE.codec,
    isLogAppendTime: magic === 1 && (attributes & ATTRIBUTE.logAppendTime) !== 0,
    timestamp: magic === 0 ? NO_TIMESTAMP : readInt64(entry, MESSAGE.timestamp),
    key: readField(entry, fieldsAt, keyEnd),
    value: readField(entry, keyEnd, valueEnd),
  }
}

// A negative length is null. A field that does not fit ends past the entry, which is never its end.
function endOfField(entry: Buffer, at: number): number {
  if (at + 4 > entry.length) return Number.POSITIVE_INFINITY
  return at + 4 + Math.max(0, entry.readInt32BE(at))
}

function readField(entry: Buffer, at: number, end: number): Buffer | null {
  return entry.readInt32BE(at) < 0 ? null : entry.subarray(at + 4, end)
}

function toRecord(message: Message, at: TopicPartition, offset: number, timestamp: number): KafkaRecord {
  return { topic: at.topic, partition: at.partition, offset, timestamp, key: message.key, value: message.value, headers: [] }
}
