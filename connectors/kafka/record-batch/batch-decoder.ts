import { DecodeError, errorMessage, isTidemarkError } from '../../../src/core/errors.ts'
import type { Isolation } from '../../../src/core/source.ts'
import { showPartition, type TopicPartition } from '../../../src/core/values.ts'
import { decompress, MAX_DECOMPRESSED_BATCH_BYTES } from '../codecs/decompress.ts'
import type { KafkaRecord } from '../record.ts'
import { type AbortedTransaction, AbortedTransactions } from './aborted-transactions.ts'
import { type BatchHeader, readBatchHeader } from './batch-header.ts'
import { batchDamage } from './damage.ts'
import { decodeRecords, type RecordCursor } from './decode-records.ts'
import { type FetchedRecord, type RecordBytes, recordBytes } from './fetched-record.ts'
import { BATCH, ENTRY_HEADER_BYTES, readInt64, SMALLEST_ENTRY_LENGTH } from './layout.ts'
import { decodeLegacyEntry } from './legacy-entry.ts'

/**
 * Arrays of records are no longer than this. Longer ones are no faster, and where several ranges are read side by side the arrays in their
 * hands outlive young garbage collections: with 4,096 the heap grows by 80 MB.
 */
export const MAX_RECORDS_PER_ARRAY = 256

/** Decompressed bytes after which an array of records ends, so that many batches of few large records do not pile up in one. */
const MAX_DECOMPRESSED_BYTES_PER_ARRAY = 1_048_576

/** The type of the marker that ends an aborted transaction (ControlRecordType.java). */
const ABORT = 0

/** What is wanted of a partition's bytes. */
export type DecodeOptions = TopicPartition & {
  readonly fromOffset: number
  /** The end of the range, which is not in it. @default no end */
  readonly untilOffset?: number | undefined
  readonly isolation: Isolation
  /** The response's list for this partition, in any order; only looked at under `read_committed`. */
  readonly abortedTransactions?: readonly AbortedTransaction[] | null | undefined
  /** @default true */
  readonly checkCrcs?: boolean
  /** The most that one batch may decompress to. @default 256 MiB */
  readonly maxDecompressedBytes?: number
}

/**
 * Decodes one partition of one fetch response, array by array, so that at no time more than one batch is decompressed ahead of what was
 * asked for. Synchronous, without a promise or a closure a record; it follows the Java client's `CompletedFetch`.
 *
 * A batch cut off at the end of the bytes is no error. `DecodeError` with topic, partition and offset for everything that breaks the
 * format, and for bytes that hold no complete batch at all; `UnsupportedError` where a codec's native package does not load.
 */
export class BatchDecoder {
  readonly #bytes: Buffer
  readonly #source: RecordBytes
  readonly #at: TopicPartition
  readonly #untilOffset: number
  readonly #checkCrcs: boolean
  readonly #maxDecompressedBytes: number
  /** Undefined under `read_uncommitted`. */
  readonly #aborted: AbortedTransactions | undefined
  /** Where the next entry begins. */
  #position = 0
  #nextOffset: number
  #cursor: RecordCursor | undefined
  /** Records of old messages that did not fit into the array that was asked for. */
  #legacy: readonly KafkaRecord[] = []
  #legacyEnd = 0
  #decompressedBytes = 0
  #failure: unknown

  constructor(bytes: Buffer, options: DecodeOptions) {
    this.#bytes = bytes
    this.#source = recordBytes(bytes)
    this.#at = { topic: options.topic, partition: options.partition }
    this.#nextOffset = options.fromOffset
    this.#untilOffset = options.untilOffset ?? Number.POSITIVE_INFINITY
    this.#checkCrcs = options.checkCrcs ?? true
    this.#maxDecompressedBytes = options.maxDecompressedBytes ?? MAX_DECOMPRESSED_BATCH_BYTES
    this.#aborted = options.isolation === 'read_committed' ? new AbortedTransactions(options.abortedTransactions ?? []) : undefined
  }

  /**
   * The position: the offset to go on at once the arrays so far are consumed. It goes past gaps, markers, aborted and empty batches, and
   * stands at `untilOffset` as soon as nothing of the range can follow, so a range is complete when the two are equal.
   */
  get nextOffset(): number {
    return this.#nextOffset
  }

  /**
   * The next records, 1 to `maxRecords` of them, or undefined when the bytes or the range have ended. What is sound in front of a damaged
   * batch is given first and the error thrown by the next call, so `nextOffset` never stands behind a record that nobody was given.
   */
  next(maxRecords: number = MAX_RECORDS_PER_ARRAY): KafkaRecord[] | undefined {
    if (this.#failure !== undefined) throw this.#failure
    const records: KafkaRecord[] = []
    let sound = 0
    this.#decompressedBytes = 0
    try {
      while (sound < maxRecords) {
        if (this.#cursor !== undefined) this.#readBatch(this.#cursor, records as FetchedRecord[], maxRecords)
        else if (this.#legacy.length > 0) this.#takeLegacy(records, maxRecords)
        else if (sound > 0 && this.#decompressedBytes >= MAX_DECOMPRESSED_BYTES_PER_ARRAY) break
        else if (!this.#openEntry()) break
        sound = records.length
      }
    } catch (error) {
      this.#failure = error
      if (sound === 0) throw error
      records.length = sound
    }
    return records.length === 0 ? undefined : records
  }

  #readBatch(cursor: RecordCursor, records: FetchedRecord[], maxRecords: number): void {
    decodeRecords(cursor, records, maxRecords)
    const next = cursor.remaining > 0 ? cursor.fromDelta : cursor.lastOffsetDelta + 1
    this.#advance(cursor.baseOffset + next)
    if (cursor.remaining === 0) this.#cursor = undefined
  }

  #takeLegacy(records: KafkaRecord[], maxRecords: number): void {
    const taken = this.#legacy.slice(0, maxRecords - records.length)
    this.#legacy = this.#legacy.slice(taken.length)
    for (const record of taken) {
      if (record.offset < this.#nextOffset || record.offset >= this.#untilOffset) continue
      records.push(record)
      this.#advance(record.offset + 1)
    }
    if (this.#legacy.length === 0) this.#advance(this.#legacyEnd)
  }

  /** Whether there was another entry. Afterwards the cursor is in it, or the position behind it. */
  #openEntry(): boolean {
    if (this.#nextOffset >= this.#untilOffset) return false
    const bytes = this.#bytes
    const start = this.#position
    const left = bytes.length - start
    const length = left < ENTRY_HEADER_BYTES ? 0 : bytes.readInt32BE(start + BATCH.length)
    const isWhole = left >= ENTRY_HEADER_BYTES && left >= ENTRY_HEADER_BYTES + length
    if (!isWhole) {
      if (start === 0 && left > 0) throw this.#nothingComplete(left, length)
      return false
    }
    const baseOffset = readInt64(bytes, start)
    if (length < SMALLEST_ENTRY_LENGTH) throw batchDamage(this.#at, baseOffset, `it says that it is ${length} bytes long`)
    const magic = bytes[start + BATCH.magic]
    // Only a batch carries its first offset: a set of old messages carries its last, and may begin inside of the range.
    if (magic === 2 && baseOffset >= this.#untilOffset && baseOffset <= Number.MAX_SAFE_INTEGER) {
      this.#advance(baseOffset)
      return false
    }
    this.#position = start + ENTRY_HEADER_BYTES + length
    if (magic === 2) this.#openBatch(readBatchHeader(bytes, start, this.#position, this.#at, this.#checkCrcs))
    else if (magic === 0 || magic === 1) this.#openLegacy(start, baseOffset)
    else throw batchDamage(this.#at, baseOffset, `its format has the number ${magic}, and Kafka knows 0, 1 and 2`)
    return true
  }

  #openBatch(header: BatchHeader): void {
    const isHidden = this.#passTransactions(header) || header.isControl
    if (isHidden || header.recordCount === 0 || header.lastOffset < this.#nextOffset) this.#advance(header.lastOffset + 1)
    else this.#cursor = this.#openRecords(header)
  }

  /** Whether the batch belongs to an aborted transaction. Such a batch is not even decompressed. */
  #passTransactions(header: BatchHeader): boolean {
    const aborted = this.#aborted
    if (aborted === undefined || header.producerId < 0) return false
    // The order is CompletedFetch's: what begins by the end of this batch comes in first, then a marker may end one, then the batch is
    // judged.
    aborted.advanceTo(header.lastOffset)
    if (!header.isControl) return header.isTransactional && aborted.isActive(header.producerId)
    if (this.#isAbortMarker(header)) aborted.end(header.producerId)
    return false
  }

  // Only a control batch ends a transaction, whatever the keys of others look like. The cleaner may have emptied it.
  #isAbortMarker(header: BatchHeader): boolean {
    if (header.recordCount === 0) return false
    const records: FetchedRecord[] = []
    decodeRecords({ ...this.#openRecords(header), fromDelta: 0, untilDelta: header.lastOffsetDelta + 1 }, records, 1)
    const key = records[0]?.key ?? null
    if (key === null || key.length < 4 || key.readInt16BE(0) < 0) {
      throw batchDamage(this.#at, header.baseOffset, 'it is a control batch whose record has no type')
    }
    return key.readInt16BE(2) === ABORT
  }

  #openRecords(header: BatchHeader): RecordCursor {
    const { baseOffset, lastOffsetDelta } = header
    const source = header.codec === 0 ? this.#source : recordBytes(this.#decompress(header))
    return {
      ...this.#at,
      source,
      position: header.codec === 0 ? header.start + BATCH.records : 0,
      end: header.codec === 0 ? header.end : source.bytes.length,
      baseOffset,
      lastOffsetDelta,
      baseTimestamp: header.isLogAppendTime ? header.maxTimestamp : header.baseTimestamp,
      isLogAppendTime: header.isLogAppendTime,
      remaining: header.recordCount,
      fromDelta: Math.max(0, this.#nextOffset - baseOffset),
      untilDelta: Math.min(this.#untilOffset - baseOffset, lastOffsetDelta + 1),
    }
  }

  #decompress(header: BatchHeader): Buffer {
    const bytes = this.#bytes.subarray(header.start + BATCH.records, header.end)
    return this.#decompressed(header.codec, bytes, header.baseOffset)
  }

  #decompressed(codec: number, bytes: Buffer, baseOffset: number): Buffer {
    try {
      const decompressed = decompress(codec, bytes, this.#maxDecompressedBytes)
      this.#decompressedBytes += decompressed.length
      return decompressed
    } catch (cause) {
      if (isTidemarkError(cause, 'UNSUPPORTED')) throw cause
      throw batchDamage(this.#at, baseOffset, 'its records do not decompress', { hint: errorMessage(cause), cause })
    }
  }

  #openLegacy(start: number, lastOffset: number): void {
    // A set at offset 0 may hold later ones: see decodeLegacyEntry.
    if (lastOffset >= this.#nextOffset || lastOffset === 0) {
      this.#legacy = decodeLegacyEntry(this.#bytes.subarray(start, this.#position), this.#at, {
        checkCrcs: this.#checkCrcs,
        decompress: (codec, bytes) => this.#decompressed(codec, bytes, lastOffset),
      })
    }
    this.#legacyEnd = lastOffset + 1
    if (this.#legacy.length === 0) this.#advance(this.#legacyEnd)
  }

  #advance(offset: number): void {
    const next = Math.min(offset, this.#untilOffset)
    if (next > this.#nextOffset) this.#nextOffset = next
  }

  #nothingComplete(bytes: number, length: number): DecodeError {
    return new DecodeError(
      `${showPartition(this.#at)}: the ${bytes} bytes fetched at offset ${this.#nextOffset} hold no complete batch` +
        `${bytes < ENTRY_HEADER_BYTES ? '' : `; the first is ${length + ENTRY_HEADER_BYTES} bytes long`}. ` +
        'Brokers since Kafka 0.10.1 send at least one whole batch whatever the limit: the bytes are damaged, or were cut off on the way.',
      { at: { ...this.#at, offset: this.#nextOffset } },
    )
  }
}
