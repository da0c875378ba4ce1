import { crc32c } from '../../record-batch/crc32c.ts'
import { ATTRIBUTE, BATCH } from '../../record-batch/layout.ts'
import { CODEC_NUMBER, type Compression, compress } from './compress.ts'
import { varintBytes, varlongBytes, writeVarint, writeVarlong } from './write-varint.ts'

/** A header as it is written. */
export type HeaderBytes = readonly [name: Buffer, value: Buffer | null]

/** What is put in front of a batch's sequence: who wrote it (KIP-98). */
export type BatchWriter = { readonly producerId: number; readonly producerEpoch: number; readonly baseSequence: number }

const FIRST_BYTES = 16_384
/** Where in a batch's header producer epoch and base sequence lie. */
const PRODUCER_EPOCH = 51
const BASE_SEQUENCE = 53
const NO_HEADERS: readonly HeaderBytes[] = []

/** Collects one partition's records as the record batch of magic 2 that they will be. One loop over bytes: no object, no BigInt a record. */
export class BatchBuilder {
  readonly #maxBytes: number
  #bytes: Buffer
  #end: number = BATCH.records
  #count = 0
  #baseTimestamp = 0
  #maxTimestamp = 0

  /** `maxBytes` is the size that no batch exceeds, header included, before compression. */
  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes
    this.#bytes = Buffer.allocUnsafeSlow(Math.min(FIRST_BYTES, maxBytes))
  }

  get count(): number {
    return this.#count
  }

  /** The size so far, before compression. */
  get bytes(): number {
    return this.#end
  }

  /**
   * Adds a record and gives true, or gives false and changes nothing where it no longer fits. Of `key` the first `keyLength` bytes count; −1 is
   * null.
   */
  append(key: Uint8Array, keyLength: number, value: Buffer | string | null, timestamp: number, headers = NO_HEADERS): boolean {
    const timestampDelta = this.#count === 0 ? 0 : timestamp - this.#baseTimestamp
    const valueLength = value === null ? -1 : typeof value === 'string' ? Buffer.byteLength(value) : value.length
    const length =
      1 +
      varlongBytes(timestampDelta) +
      varintBytes(this.#count) +
      varintBytes(keyLength) +
      Math.max(0, keyLength) +
      varintBytes(valueLength) +
      Math.max(0, valueLength) +
      headersBytes(headers)
    const end = this.#end + varintBytes(length) + length
    if (end > this.#maxBytes) return false
    if (end > this.#bytes.length) this.#grow(end)
    if (this.#count === 0) this.#baseTimestamp = this.#maxTimestamp = timestamp
    else if (timestamp > this.#maxTimestamp) this.#maxTimestamp = timestamp

    const bytes = this.#bytes
    let at = writeVarint(bytes, length, this.#end)
    bytes[at++] = 0
    at = writeVarlong(bytes, timestampDelta, at)
    at = writeVarint(bytes, this.#count, at)
    at = writeVarint(bytes, keyLength, at)
    // A loop is faster than a call for keys as short as they are.
    for (let i = 0; i < keyLength; i++) bytes[at++] = key[i] as number
    at = writeVarint(bytes, valueLength, at)
    if (typeof value === 'string') at += valueLength === value.length ? bytes.write(value, at, 'latin1') : bytes.write(value, at, 'utf8')
    else if (value !== null) at += value.copy(bytes, at)
    at = writeVarint(bytes, headers.length, at)
    for (const [name, content] of headers) {
      at = writeVarint(bytes, name.length, at)
      at += name.copy(bytes, at)
      at = writeVarint(bytes, content === null ? -1 : content.length, at)
      if (content !== null) at += content.copy(bytes, at)
    }
    this.#end = at
    this.#count += 1
    return true
  }

  /** The batch as it goes over the wire. The builder is used up. */
  finish(compression: Compression, { producerId, producerEpoch, baseSequence }: BatchWriter): Buffer {
    const plain = this.#bytes.subarray(0, this.#end)
    const batch =
      compression === 'none'
        ? plain
        : Buffer.concat([plain.subarray(0, BATCH.records), compress(compression, plain.subarray(BATCH.records))])
    batch.fill(0, 0, BATCH.records)
    batch.writeInt32BE(batch.length - BATCH.leaderEpoch, BATCH.length)
    batch.writeInt32BE(-1, BATCH.leaderEpoch)
    batch.writeInt8(2, BATCH.magic)
    batch.writeInt16BE(CODEC_NUMBER[compression] | ATTRIBUTE.transactional, BATCH.attributes)
    batch.writeInt32BE(this.#count - 1, BATCH.lastOffsetDelta)
    batch.writeBigInt64BE(BigInt(this.#baseTimestamp), BATCH.baseTimestamp)
    batch.writeBigInt64BE(BigInt(this.#maxTimestamp), BATCH.maxTimestamp)
    batch.writeBigInt64BE(BigInt(producerId), BATCH.producerId)
    batch.writeInt16BE(producerEpoch, PRODUCER_EPOCH)
    batch.writeInt32BE(baseSequence, BASE_SEQUENCE)
    batch.writeInt32BE(this.#count, BATCH.recordCount)
    batch.writeUInt32BE(crc32c(batch.subarray(BATCH.attributes)), BATCH.crc)
    return batch
  }

  #grow(atLeast: number): void {
    const larger = Buffer.allocUnsafeSlow(Math.min(this.#maxBytes, Math.max(atLeast, this.#bytes.length * 4)))
    this.#bytes.copy(larger, 0, 0, this.#end)
    this.#bytes = larger
  }
}

function headersBytes(headers: readonly HeaderBytes[]): number {
  let bytes = varintBytes(headers.length)
  for (const [name, value] of headers) {
    bytes += varintBytes(name.length) + name.length + varintBytes(value === null ? -1 : value.length) + (value === null ? 0 : value.length)
  }
  return bytes
}
