import { ConfigError } from '../../src/core/errors.ts'
import type { Isolation } from '../../src/core/source.ts'
import type { KafkaRecord } from './record.ts'
import type { AbortedTransaction } from './record-batch/aborted-transactions.ts'
import { BatchDecoder } from './record-batch/batch-decoder.ts'
import { FetchedRecord } from './record-batch/fetched-record.ts'

/** What {@link decodeRecordBatches} is to read from the bytes of a fetch response. */
export type DecodeRecordBatchesOptions = {
  readonly topic: string
  readonly partition: number
  /** Records below it are dropped: a batch may begin before the offset that was asked for. */
  readonly fromOffset: number
  /** The end of the range, which is not in it. @default no end */
  readonly untilOffset?: number | undefined
  readonly isolation: Isolation
  /** The response's list for this partition, in any order; only looked at under `read_committed`. */
  readonly abortedTransactions?: readonly AbortedTransaction[] | null | undefined
}

/** The records, and the offset to go on at. */
export type DecodedRecordBatches = { readonly records: KafkaRecord[]; readonly nextOffset: number }

/**
 * Decodes the records that a fetch response holds for one partition, for people with a client of their own. What `source.read` does, as a
 * pure function: records are plain objects, and their keys and values views of `bytes` where these are not compressed.
 *
 * `nextOffset` is where the reader stands afterwards: behind the last complete batch, also where that held nothing visible, and at most at
 * `untilOffset`, which it reaches exactly when the range is complete. Without a complete batch that says more it is `fromOffset`.
 *
 * Checksums are checked. Throws `DecodeError` for bytes that break the format, `ConfigError` for offsets that are no safe integers.
 */
export function decodeRecordBatches(bytes: Uint8Array, options: DecodeRecordBatchesOptions): DecodedRecordBatches {
  checkOffset('fromOffset', options.fromOffset)
  if (options.untilOffset !== undefined) checkOffset('untilOffset', options.untilOffset)
  const decoder = new BatchDecoder(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength), options)
  const records: KafkaRecord[] = []
  for (let read = decoder.next(); read !== undefined; read = decoder.next()) {
    for (const record of read) records.push(record instanceof FetchedRecord ? record.toJSON() : record)
  }
  return { records, nextOffset: decoder.nextOffset }
}

function checkOffset(name: string, offset: number): void {
  if (!Number.isSafeInteger(offset) || offset < 0) {
    throw new ConfigError(`${name} is ${offset}. An offset is an integer from 0 to 2^53 - 1.`, { details: { [name]: offset } })
  }
}
