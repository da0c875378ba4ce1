import { OFFSET_OUT_OF_RANGE, throwIfRefused } from './kafka-error.ts'
import { type RawRequest, rawRequest } from './kafkajs-cluster.ts'
import { decodeBatches, type LogBatch } from './record-batch.ts'

/** A piece of a partition's log, and how far the log reaches. */
export type FetchedLog = { readonly highWatermark: number; readonly batches: readonly LogBatch[] }

const FETCH = 1
/** Old enough for Kafka 2.1, and the newest that needs no topic ids and no compact fields. */
const VERSION = 10
const MAX_BYTES = 4 << 20
const READ_UNCOMMITTED = 0

/**
 * Asks for what is in a partition from an offset on, open transactions too: which of them count is told by their markers, and so nobody else's
 * open transaction hides what comes after it.
 */
export function fetchRequest(
  topic: string,
  partition: number,
  offset: number,
  maxBytes = MAX_BYTES,
): RawRequest<FetchedLog | 'out-of-range'> {
  const api = { apiKey: FETCH, apiVersion: VERSION, apiName: 'Fetch' }
  return rawRequest(api, () => encode(topic, partition, offset, maxBytes), decode)
}

function encode(topic: string, partition: number, offset: number, maxBytes: number): Buffer {
  const name = Buffer.from(topic)
  const head = Buffer.alloc(31)
  head.writeInt32BE(-1, 0) // no replica
  head.writeInt32BE(0, 4) // does not wait
  head.writeInt32BE(1, 8)
  head.writeInt32BE(maxBytes, 12)
  head.writeInt8(READ_UNCOMMITTED, 16)
  head.writeInt32BE(0, 17) // no session
  head.writeInt32BE(-1, 21)
  head.writeInt32BE(1, 25) // one topic
  head.writeInt16BE(name.length, 29)
  const tail = Buffer.alloc(36)
  tail.writeInt32BE(1, 0) // one partition
  tail.writeInt32BE(partition, 4)
  tail.writeInt32BE(-1, 8) // whichever leader epoch
  tail.writeBigInt64BE(BigInt(offset), 12)
  tail.writeBigInt64BE(-1n, 20)
  tail.writeInt32BE(maxBytes, 28)
  tail.writeInt32BE(0, 32) // nothing forgotten
  return Buffer.concat([head, name, tail])
}

function decode(body: Buffer): FetchedLog | 'out-of-range' {
  throwIfRefused(body.readInt16BE(4))
  // Behind throttle time, error, session, and the number of topics, which is 1 as that of partitions.
  const partitionAt = 14 + 2 + body.readInt16BE(14) + 4
  const errorCode = body.readInt16BE(partitionAt + 4)
  if (errorCode === OFFSET_OUT_OF_RANGE) return 'out-of-range'
  throwIfRefused(errorCode)
  const highWatermark = Number(body.readBigInt64BE(partitionAt + 6))
  const abortedAt = partitionAt + 30
  const recordsAt = abortedAt + 4 + Math.max(0, body.readInt32BE(abortedAt)) * 16
  const length = Math.max(0, body.readInt32BE(recordsAt))
  return { highWatermark, batches: decodeBatches(body.subarray(recordsAt + 4, recordsAt + 4 + length)) }
}
