import { zstdCompressSync, zstdDecompressSync } from 'node:zlib'
import { DecodeError, UnsupportedError } from '../../src/core/errors.ts'
import type { HistoryEntry } from '../../src/core/offset-store.ts'
import type { StreamHead } from '../../src/core/store-rules.ts'
import { writeJson } from '../../src/core/store-values.ts'
import type { PartitionOffset } from '../../src/core/values.ts'
import type { KafkajsMessage } from './kafkajs-cluster.ts'
import { PARTS_HEADER } from './record-batch.ts'

/** The version of everything below, in each head. */
export const FORMAT = 1

/** Values above this are compressed, ... */
const COMPRESS_ABOVE_BYTES = 4 << 10
/** ... and those that are still larger than this are cut: a record must fit into `max.message.bytes`, 1 MB by default. */
const PART_BYTES = 512 << 10

const ZSTD_MAGIC = 0xfd2fb528

/**
 * A stream's head as it is written. A lease without `renewedAtMs` was granted or renewed by this very record, at the time the broker appended it.
 * Nothing is ever told by a tombstone, which compaction takes away after a day: a removed stream's head stays and says so.
 */
export type HeadValue = Omit<StreamHead, 'lease' | 'retired'> & {
  readonly v: typeof FORMAT
  readonly lease: { readonly owner: string; readonly ttlMs: number; readonly renewedAtMs?: number } | null
  readonly retired: string | null
  readonly hasPending: boolean
  readonly isRemoved: boolean
  /** Of the write that made it: whoever lost the answer looks whether the newest head is its own. */
  readonly write: string
}

/**
 * The key of a stream's record: its name first, so that a reader of one stream skips all others by their first bytes. All but the head belong to one
 * life of the stream.
 */
export type StreamKey =
  | readonly [stream: string, kind: 'head']
  | readonly [stream: string, kind: 'offsets' | 'pending', streamId: string, part: number]
  | EntryKey

export type EntryKey = readonly [stream: string, kind: 'entry', streamId: string, seq: number, entry: HistoryEntry['kind'], part: number]

/** A history entry's value: what its key does not say. Without `at` it happened when the broker appended it. */
export type EntryValue = { readonly epoch: number; readonly at?: number; readonly [field: string]: unknown }

/** What every key of a stream begins with. */
export function keyPrefix(stream: string): Buffer {
  return Buffer.from(`[${JSON.stringify(stream)},`)
}

export function encodeKey(key: StreamKey): Buffer {
  return Buffer.from(JSON.stringify(key))
}

export function decodeKey(bytes: Buffer): StreamKey {
  return JSON.parse(bytes.toString())
}

export function encodeHead(stream: string, head: HeadValue): KafkajsMessage {
  return { key: encodeKey([stream, 'head']), value: Buffer.from(writeJson(head)) }
}

/** Throws `UnsupportedError` for a head of a later version. */
export function decodeHead(value: Buffer): HeadValue {
  const head = JSON.parse(value.toString()) as HeadValue
  if (head.v === FORMAT) return head
  throw new UnsupportedError(
    `The topic holds a stream in format ${head.v}, and this version of tidemark knows ${FORMAT}. Upgrade tidemark.`,
  )
}

/** The records of a value: one, or its parts. `keyOf` gives the key of each part. */
export function encodeValue(value: unknown, keyOf: (part: number) => StreamKey): KafkajsMessage[] {
  const plain = Buffer.from(writeJson(value))
  const bytes = plain.length > COMPRESS_ABOVE_BYTES ? zstdCompressSync(plain) : plain
  const count = Math.max(1, Math.ceil(bytes.length / PART_BYTES))
  const headers = count === 1 ? {} : { headers: { [PARTS_HEADER]: String(count) } }
  return Array.from({ length: count }, (_, part) => ({
    key: encodeKey(keyOf(part)),
    value: bytes.subarray(part * PART_BYTES, (part + 1) * PART_BYTES),
    ...headers,
  }))
}

/** Throws `DecodeError` where a part is missing: somebody else has written to the topic, or deleted from it. */
export function decodeValue<T>(pieces: readonly (Buffer | undefined)[], what: string): T {
  const parts = pieces.filter(piece => piece !== undefined)
  if (parts.length < pieces.length || parts.length === 0) throw new DecodeError(`${what} in the offsets' topic lacks a part of its value.`)
  const bytes = Buffer.concat(parts)
  const isCompressed = bytes.length >= 4 && bytes.readUInt32LE(0) === ZSTD_MAGIC
  return JSON.parse((isCompressed ? zstdDecompressSync(bytes) : bytes).toString())
}

/** Positions as they are written: by topic, for ten thousand of one topic name it once. */
type PackedOffsets = readonly (readonly [topic: string, positions: readonly PackedPosition[]])[]
type PackedPosition = readonly [partition: number, offset: number, topicId?: string | null, leaderEpoch?: number | null]

export function packOffsets(positions: Iterable<PartitionOffset>): PackedOffsets {
  const byTopic = Map.groupBy(positions, ({ topic }) => topic)
  return Array.from(byTopic, ([topic, own]) => [topic, own.map(packPosition)])
}

export function unpackOffsets(packed: PackedOffsets): PartitionOffset[] {
  return packed.flatMap(([topic, positions]) =>
    positions.map(([partition, offset, topicId, leaderEpoch]) => ({
      topic,
      partition,
      offset,
      ...(topicId != null && { topicId }),
      ...(leaderEpoch != null && { leaderEpoch }),
    })),
  )
}

function packPosition({ partition, offset, topicId, leaderEpoch }: PartitionOffset): PackedPosition {
  if (topicId === undefined && leaderEpoch === undefined) return [partition, offset]
  return [partition, offset, topicId ?? null, leaderEpoch ?? null]
}
