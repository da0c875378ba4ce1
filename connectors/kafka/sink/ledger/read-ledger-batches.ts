import type { TopicPartition } from '../../../../src/core/values.ts'
import { decodeRecordBatches } from '../../decode-record-batches.ts'
import type { KafkaRecord } from '../../record.ts'
import { readBatchHeader } from '../../record-batch/batch-header.ts'
import { BATCH, ENTRY_HEADER_BYTES } from '../../record-batch/layout.ts'
import { readVarint, readVarlong, varintEnd } from '../../record-batch/varint.ts'

/** One batch of the ledger's log, with who wrote it. */
export type LedgerBatch = { readonly producerId: number | bigint; readonly nextOffset: number } & (
  | { readonly kind: 'records'; readonly isTransactional: boolean; readonly records: readonly KafkaRecord[] }
  | { readonly kind: 'commit' | 'abort' }
)

/** The type of the marker that commits (ControlRecordType.java); 0 aborts. */
const COMMIT = 1

/**
 * Takes a fetch of the ledger apart into batches: records with their producer, and the markers that end transactions. The source hides both, and the
 * ledger needs them: it is read uncommitted and decides itself (see `Ledger`). Batches below `fromOffset` are passed over.
 */
export function* readLedgerBatches(bytes: Buffer, at: TopicPartition, fromOffset: number): Generator<LedgerBatch> {
  for (let start = 0; start + BATCH.records <= bytes.length; ) {
    const end = start + ENTRY_HEADER_BYTES + bytes.readInt32BE(start + BATCH.length)
    if (end > bytes.length) return
    const header = readBatchHeader(bytes, start, end, at, true)
    const { producerId, lastOffset, isTransactional } = header
    const nextOffset = lastOffset + 1
    // Compaction leaves batches without records behind, for their producers' sequences.
    if (nextOffset > fromOffset && header.recordCount > 0) {
      if (header.isControl) {
        const type = readMarkerType(bytes, start + BATCH.records)
        yield { kind: type === COMMIT ? 'commit' : 'abort', producerId, nextOffset }
      } else {
        const { records } = decodeRecordBatches(bytes.subarray(start, end), { ...at, fromOffset, isolation: 'read_uncommitted' })
        yield { kind: 'records', isTransactional, records, producerId, nextOffset }
      }
    }
    start = end
  }
}

/** A marker is one record whose key is a version and a type, 16 bits each. */
function readMarkerType(bytes: Buffer, at: number): number {
  readVarint(bytes, at)
  // After the length: attributes, then the time and the offset, both relative.
  readVarlong(bytes, varintEnd + 1)
  readVarint(bytes, varintEnd)
  readVarint(bytes, varintEnd)
  return bytes.readInt16BE(varintEnd + 2)
}
