import { ConfigError, UnsupportedError } from '../../src/core/errors.ts'
import type { Lease } from '../../src/core/offset-store.ts'
import type { StreamHead } from '../../src/core/store-rules.ts'
import type { Batch, PartitionOffset } from '../../src/core/values.ts'
import { unpack } from './stored-text.ts'

/** A value that has nodes of its own: one, or a folder of `parts`. */
export type Blob = { readonly blob: string; readonly parts: number }

/** What the head of a stream holds, as JSON: all of a small stream's state, so that one node decides and one read shows it. */
export type StreamRecord = {
  readonly v: 1
  readonly stream: string
  /** Of the write that wrote this: who lost the answer looks whether it is its own. */
  readonly nonce: string
  readonly generation: string
  readonly streamId: string
  readonly epoch: number
  readonly lease: { readonly owner: string; readonly ttlMs: number } | null
  readonly lastBatchId: number
  readonly lastCommittedId: number
  readonly lastSeq: number
  /** The first history entry that is in the tail and not in a chunk. */
  readonly tailFrom: number
  /** Entries of batches and discards below this are gone, whether their chunks are still there or not. */
  readonly trimmedBelow: number
  readonly retired: string | null
  readonly offsets: readonly PartitionOffset[] | Blob
  readonly pending: PendingBatch | Blob | null
}

/** A begun batch in the form in which its history entry will hold it. */
export type PendingBatch = { readonly batch: Batch }

export function isBlob(value: object): value is Blob {
  return 'blob' in value
}

/** Throws `UnsupportedError` for a record of a later version, `ConfigError` for a node that is none. */
export function parseRecord(data: Buffer, path: string): StreamRecord {
  let record: { readonly v?: unknown }
  try {
    record = JSON.parse(unpack(data))
  } catch (cause) {
    throw new ConfigError(`${path} in ZooKeeper is no stream of an offset store. Give the store a root of its own.`, {
      cause,
      details: { path },
    })
  }
  if (record.v === 1) return record as StreamRecord
  throw new UnsupportedError(
    `${path} in ZooKeeper has version ${String(record.v)} of a stream, and this version of tidemark knows 1. Upgrade tidemark.`,
    { details: { path } },
  )
}

/** The record as the rules want it. `renewedAtMs` is asked for by an acquire only, and is the time of the lease's own node. */
export function headOf(record: StreamRecord, renewedAtMs = 0): StreamHead {
  const { streamId, epoch, lease, lastBatchId, lastCommittedId, lastSeq, retired } = record
  return {
    streamId,
    epoch,
    lease: lease === null ? undefined : { ...lease, renewedAtMs },
    lastBatchId,
    lastCommittedId,
    lastSeq,
    retired: retired ?? undefined,
  }
}

/** The record of a stream that nothing has happened to yet. */
export function newRecord(lease: Lease, nonce: string, generation: string): StreamRecord {
  return {
    v: 1,
    stream: lease.stream,
    nonce,
    generation,
    streamId: lease.streamId,
    epoch: lease.epoch,
    lease: { owner: lease.owner, ttlMs: lease.ttlMs },
    lastBatchId: 0,
    lastCommittedId: 0,
    lastSeq: 0,
    tailFrom: 1,
    trimmedBelow: 0,
    retired: null,
    offsets: [],
    pending: null,
  }
}
