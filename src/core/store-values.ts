import { ConfigError, ConflictError, UnsupportedError } from './errors.ts'
import type { HistoryOptions, StreamSnapshot } from './offset-store.ts'
import {
  type Batch,
  type OffsetRange,
  type PartitionOffset,
  partitionKey,
  showPartition,
  showRange,
  type TopicPartition,
} from './values.ts'

/** Refuses what is no name of a stream: any non-empty text is one. Throws `ConfigError`. */
export function checkStreamName(stream: string): void {
  checkText(stream, "a stream's name")
}

/** Refuses what `acquire` cannot grant a lease to. Throws `ConfigError`. */
export function checkLeaseRequest(stream: string, owner: string, ttlMs: number): void {
  checkStreamName(stream)
  checkText(owner, "a lease's owner")
  if (!(Number.isSafeInteger(ttlMs) && ttlMs > 0))
    throw new ConfigError(`A lease's ttlMs is a whole number of milliseconds above 0, not ${ttlMs}.`)
}

/** Refuses an empty note: it is all that a retired stream can say for itself. Throws `ConfigError`. */
export function checkNote(note: string): void {
  checkText(note, 'the note of a retired stream')
}

/** Completes what `history` was asked for. Throws `ConfigError`. */
export function completeHistoryOptions(options: HistoryOptions): { readonly before: number; readonly limit: number } {
  const { before = Number.MAX_SAFE_INTEGER, limit = Number.MAX_SAFE_INTEGER } = options
  for (const [name, value] of Object.entries({ before, limit })) {
    if (!isCount(value)) throw new ConfigError(`history's ${name} is a whole number from 0, not ${value}.`)
  }
  return { before, limit }
}

/** Refuses an offset that cannot be kept exactly, or that no partition has. Throws `ConflictError`, whose message begins with `refused`. */
export function checkPosition(at: PartitionOffset, refused: string): void {
  checkPartition(at, refused)
  if (!isCount(at.offset)) {
    throw new ConflictError(`${refused}: ${showPartition(at)} at ${at.offset} is no offset; one is a whole number from 0 to 2^53 - 1.`, {
      details: { ...at },
    })
  }
}

/** Refuses a range whose offsets cannot be kept exactly, or that holds none. Throws `ConflictError`. */
export function checkRange(range: OffsetRange, refused: string): void {
  checkPartition(range, refused)
  if (!isCount(range.fromOffset) || !isCount(range.untilOffset)) {
    throw new ConflictError(`${refused}: ${showRange(range)} has an offset that is no whole number from 0 to 2^53 - 1.`, {
      details: { range },
    })
  }
  if (range.untilOffset <= range.fromOffset) {
    throw new ConflictError(`${refused}: ${showRange(range)} holds no offset; untilOffset must be above fromOffset.`, {
      details: { range },
    })
  }
}

/** Refuses what names no partition. Throws `ConflictError`. */
export function checkPartition(at: TopicPartition, refused: string): void {
  const isTopic = typeof at.topic === 'string' && at.topic !== '' && at.topic.isWellFormed()
  if (isTopic && isCount(at.partition)) return
  throw new ConflictError(`${refused}: ${showPartition(at)} names no partition.`, { details: { topic: at.topic, partition: at.partition } })
}

/** Refuses a list that names a partition twice: which of the two counts would be anybody's guess. Throws `ConflictError`. */
export function checkDistinct(partitions: readonly TopicPartition[], refused: string): void {
  const seen = new Set<string>()
  for (const at of partitions) {
    if (seen.has(partitionKey(at))) throw new ConflictError(`${refused}: ${showPartition(at)} is named twice.`, { details: { ...at } })
    seen.add(partitionKey(at))
  }
}

/** Refuses a snapshot of a format nobody here knows (`UnsupportedError`), or one that contradicts itself (`ConflictError`). */
export function checkSnapshot(snapshot: StreamSnapshot): void {
  const refused = `Restore of ${snapshot.stream} refused`
  if (snapshot.v !== 1) {
    throw new UnsupportedError(
      `${refused}: its format is version ${String(snapshot.v)}, and this version of tidemark knows 1. Upgrade tidemark.`,
    )
  }
  checkStreamName(snapshot.stream)
  checkText(snapshot.streamId, "a snapshot's streamId")
  const { epoch, lastBatchId, lastCommittedId, pending, offsets, history } = snapshot
  for (const [name, value] of Object.entries({ epoch, lastBatchId, lastCommittedId })) {
    if (!isCount(value)) throw new ConflictError(`${refused}: its ${name} is ${value}, not a whole number from 0.`)
  }
  if (lastCommittedId > lastBatchId)
    throw new ConflictError(`${refused}: it committed batch ${lastCommittedId} and used ids up to ${lastBatchId}.`)
  for (const at of offsets) checkPosition(at, refused)
  checkDistinct(offsets, refused)
  if (pending !== null && pending.id !== lastBatchId + 1) {
    throw new ConflictError(`${refused}: batch ${pending.id} is begun and batch ${lastBatchId} was the last.`)
  }
  let lastSeq = 0
  for (const { seq } of history) {
    if (!isCount(seq) || seq <= lastSeq) throw new ConflictError(`${refused}: entry ${seq} of its history comes after entry ${lastSeq}.`)
    lastSeq = seq
  }
}

/** Whether two batches are the same work. `topicId`, `leaderEpoch` and `epoch` do not count: a new driver sends a begun batch again as it read it. */
export function sameBatch(a: Batch, b: Batch): boolean {
  return sameJson(batchIdentity(a), batchIdentity(b))
}

/** A copy that shares nothing with `value`, which is plain data. Throws `ConfigError` where it is not. */
export function copyJson<T>(value: T): T {
  return JSON.parse(writeJson(value))
}

/** The text of plain data. Throws `ConfigError` for what has none, such as a bigint or a cycle. */
export function writeJson(value: unknown): string {
  try {
    return JSON.stringify(value)
  } catch (cause) {
    throw new ConfigError(`A store keeps plain data only: ${String(cause)}`, { cause })
  }
}

function batchIdentity({ id, batchTime, ranges, facts }: Batch): unknown {
  return [id, batchTime, ranges.map(range => [range.topic, range.partition, range.fromOffset, range.untilOffset]), facts ?? null]
}

/** Compared as they would be stored, whatever the order of their keys: a database may keep JSON in its own order. */
function sameJson(a: unknown, b: unknown): boolean {
  return JSON.stringify(a, sortKeys) === JSON.stringify(b, sortKeys)
}

function sortKeys(_key: string, value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value
  return Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)))
}

/** Lone surrogates are no text: a database turns them into U+FFFD, and two names would become one. */
function checkText(text: string, what: string): void {
  if (typeof text === 'string' && text !== '' && text.isWellFormed()) return
  throw new ConfigError(`Expected ${what} to be a non-empty text, got ${JSON.stringify(text)}.`)
}

function isCount(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 0
}
