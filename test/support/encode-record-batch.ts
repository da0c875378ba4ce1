import { gzipSync, zstdCompressSync } from 'node:zlib'
import { crc32c } from '@node-rs/crc32'
import { compressFrameSync } from 'lz4-napi'
import { compressSync as snappySync } from 'snappy'

/** A record to encode. Offsets and timestamps are absolute. */
export type RecordToEncode = {
  readonly offset: number
  readonly timestamp?: number
  readonly key?: Buffer | null
  readonly value?: Buffer | null
  readonly headers?: readonly (readonly [string, Buffer | null])[]
}

export type Codec = 'none' | 'gzip' | 'snappy' | 'snappy-xerial' | 'lz4' | 'zstd'

/** A batch of magic 2 to encode; what is left out is what a plain producer writes. */
export type BatchToEncode = {
  readonly records: readonly RecordToEncode[]
  /** @default the first record's offset, or 0 */
  readonly baseOffset?: number
  /** @default the last record's offset, or `baseOffset` */
  readonly lastOffset?: number
  readonly codec?: Codec
  readonly leaderEpoch?: number
  readonly producerId?: bigint
  readonly isTransactional?: boolean
  readonly isControl?: boolean
  /** The broker's time, in place of the records' own. */
  readonly logAppendTime?: number
  /** Bits to add to the attributes, such as a codec that does not exist. */
  readonly extraAttributes?: number
  /** @default the number of records */
  readonly recordCount?: number
  /** The bytes after the header, in place of the encoded records. */
  readonly body?: Buffer
}

const HEADER_BYTES = 61
const CODEC_NUMBERS = { none: 0, gzip: 1, snappy: 2, 'snappy-xerial': 2, lz4: 3, zstd: 4 } as const

/** Encodes a record batch of magic 2, as a producer or the broker would write it. */
export function encodeRecordBatch(batch: BatchToEncode): Buffer {
  const { records, codec = 'none', isTransactional = false, isControl = false } = batch
  const baseOffset = batch.baseOffset ?? records[0]?.offset ?? 0
  const lastOffset = batch.lastOffset ?? records.at(-1)?.offset ?? baseOffset
  const baseTimestamp = records[0]?.timestamp ?? 0
  const maxTimestamp = batch.logAppendTime ?? records.reduce((max, record) => Math.max(max, record.timestamp ?? 0), baseTimestamp)
  const plain = Buffer.concat(records.map(record => encodeRecord(record, baseOffset, baseTimestamp)))
  const body = batch.body ?? compress(codec, plain)
  const bytes = Buffer.concat([Buffer.alloc(HEADER_BYTES), body])
  const attributes =
    CODEC_NUMBERS[codec] |
    (batch.logAppendTime === undefined ? 0 : 8) |
    (isTransactional ? 16 : 0) |
    (isControl ? 32 : 0) |
    (batch.extraAttributes ?? 0)
  bytes.writeBigInt64BE(BigInt(baseOffset), 0)
  bytes.writeInt32BE(bytes.length - 12, 8)
  bytes.writeInt32BE(batch.leaderEpoch ?? 0, 12)
  bytes.writeInt8(2, 16)
  bytes.writeInt16BE(attributes, 21)
  bytes.writeInt32BE(lastOffset - baseOffset, 23)
  bytes.writeBigInt64BE(BigInt(baseTimestamp), 27)
  bytes.writeBigInt64BE(BigInt(maxTimestamp), 35)
  bytes.writeBigInt64BE(batch.producerId ?? -1n, 43)
  bytes.writeInt16BE(batch.producerId === undefined ? -1 : 0, 51)
  bytes.writeInt32BE(batch.producerId === undefined ? -1 : 0, 53)
  bytes.writeInt32BE(batch.recordCount ?? records.length, 57)
  return sealBatch(bytes)
}

/** Encodes the marker that ends a transaction. */
export function encodeMarker(type: 'abort' | 'commit', offset: number, producerId: bigint): Buffer {
  const key = Buffer.from([0, 0, 0, type === 'abort' ? 0 : 1])
  return encodeRecordBatch({ records: [{ offset, key, value: Buffer.alloc(6) }], producerId, isTransactional: true, isControl: true })
}

/** Writes the checksum that fits a batch's bytes, in place: for tests that change them. */
export function sealBatch(bytes: Buffer): Buffer {
  bytes.writeUInt32BE(crc32c(bytes.subarray(21)), 17)
  return bytes
}

/** Encodes one record with its length, as it lies in a batch. */
export function encodeRecord(record: RecordToEncode, baseOffset: number, baseTimestamp: number): Buffer {
  const headers = record.headers ?? []
  const body = Buffer.concat([
    Buffer.from([0]),
    encodeVarint((record.timestamp ?? 0) - baseTimestamp),
    encodeVarint(record.offset - baseOffset),
    encodeField(record.key ?? null),
    encodeField(record.value ?? null),
    encodeVarint(headers.length),
    ...headers.flatMap(([name, value]) => [encodeField(Buffer.from(name)), encodeField(value)]),
  ])
  return Buffer.concat([encodeVarint(body.length), body])
}

/** A zig-zag varint of up to 64 bits. */
export function encodeVarint(value: number | bigint): Buffer {
  const exact = BigInt(value)
  let left = exact < 0n ? -exact * 2n - 1n : exact * 2n
  const bytes: number[] = []
  for (; left > 127n; left >>= 7n) bytes.push(Number(left & 127n) | 128)
  bytes.push(Number(left))
  return Buffer.from(bytes)
}

/** snappy-java's stream format, with blocks of a size of our choice. */
export function compressXerial(plain: Buffer, blockBytes = 32_768): Buffer {
  const parts: Buffer[] = [Buffer.from('82534e41505059000000000100000001', 'hex')]
  for (let at = 0; at < plain.length; at += blockBytes) {
    const block = snappySync(plain.subarray(at, at + blockBytes))
    const length = Buffer.alloc(4)
    length.writeInt32BE(block.length)
    parts.push(length, block)
  }
  return Buffer.concat(parts)
}

function compress(codec: Codec, plain: Buffer): Buffer {
  switch (codec) {
    case 'none':
      return plain
    case 'gzip':
      return gzipSync(plain)
    case 'snappy':
      return snappySync(plain)
    case 'snappy-xerial':
      return compressXerial(plain)
    case 'lz4':
      return compressFrameSync(plain)
    case 'zstd':
      return zstdCompressSync(plain)
    default:
      throw codec satisfies never
  }
}

function encodeField(bytes: Buffer | null): Buffer {
  return bytes === null ? encodeVarint(-1) : Buffer.concat([encodeVarint(bytes.length), bytes])
}
