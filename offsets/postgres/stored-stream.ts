import { createHash } from 'node:crypto'
import type { HistoryEntry } from '../../src/core/offset-store.ts'
import type { StreamHead } from '../../src/core/store-rules.ts'
import { writeJson } from '../../src/core/store-values.ts'
import type { Batch, OffsetRange, PartitionOffset, TopicPartition } from '../../src/core/values.ts'
import type { Answer } from './session.ts'
import { fromColumn, hasOdd, toColumn } from './text.ts'

/** A stream's row. `key` names it in the other tables; `lastWrite` is the name of the call that changed it last, renewals apart. */
export type StoredHead = StreamHead & { readonly key: number; readonly lastWrite: string }

/** A batch as the history keeps it: its ranges apart, for the server derives positions from them, and the rest. */
export type StoredBatch = { readonly batch: string; readonly ranges: string }

type Row = Answer['rows'][number]

/** What a stream's row is found by. */
export function hashName(stream: string): string {
  return createHash('sha256').update(stream).digest('hex')
}

export function readHead(row: Row | undefined): StoredHead | undefined {
  if (row === undefined) return undefined
  const { owner, retired } = row
  return {
    key: Number(row.id),
    streamId: fromColumn(text(row.stream_id)),
    epoch: Number(row.epoch),
    lease:
      typeof owner === 'string' ? { owner: fromColumn(owner), renewedAtMs: Number(row.renewed_at), ttlMs: Number(row.ttl_ms) } : undefined,
    lastBatchId: Number(row.last_batch_id),
    lastCommittedId: Number(row.last_committed_id),
    lastSeq: Number(row.last_seq),
    retired: typeof retired === 'string' ? fromColumn(retired) : undefined,
    lastWrite: text(row.last_write),
  }
}

export function storeBatch({ ranges, ...batch }: Batch): StoredBatch {
  const json = writeJson(ranges)
  return { batch: writeJson(batch), ranges: hasOdd(json) ? writeJson(ranges.map(range => withTexts(range, toColumn))) : json }
}

export function readBatch(row: Row | undefined): Batch | undefined {
  if (row === undefined) return undefined
  const json = text(row.ranges)
  const ranges: OffsetRange[] = JSON.parse(json)
  return { ...JSON.parse(text(row.batch)), ranges: hasOdd(json) ? ranges.map(range => withTexts(range, fromColumn)) : ranges }
}

export function readEntry(row: Row): HistoryEntry {
  const stamp = { seq: Number(row.seq), at: Number(row.at), epoch: Number(row.epoch) }
  const batch = readBatch(row.batch === null ? undefined : row)
  if (batch !== undefined) {
    return row.kind === 'discard'
      ? { ...stamp, kind: 'discard', reason: fromColumn(text(row.reason)), batch }
      : { ...stamp, kind: 'batch', batch }
  }
  const offsets: PartitionOffset[] = JSON.parse(text(row.offsets))
  if (row.kind === 'start') return { ...stamp, kind: 'start', offsets }
  const forgotten: TopicPartition[] = JSON.parse(text(row.forgotten))
  return { ...stamp, kind: 'reset', reason: fromColumn(text(row.reason)), offsets, forgotten }
}

/** Positions out of a row of lists, one a column: half the time that ten thousand rows take. */
export function readPositions(row: Row | undefined): PartitionOffset[] {
  const column = (name: string): unknown[] => JSON.parse(row?.[name] ?? '[]')
  const [topics, partitions, offsets] = [column('topics'), column('partitions'), column('offsets')]
  const [topicIds, leaderEpochs] = [column('topic_ids'), column('leader_epochs')]
  return topics.map((topic, n) => ({
    topic: fromColumn(String(topic)),
    partition: Number(partitions[n]),
    offset: Number(offsets[n]),
    ...(typeof topicIds[n] === 'string' && { topicId: fromColumn(topicIds[n]) }),
    ...(typeof leaderEpochs[n] === 'number' && { leaderEpoch: leaderEpochs[n] }),
  }))
}

function withTexts(range: OffsetRange, change: (text: string) => string): OffsetRange {
  return { ...range, topic: change(range.topic), ...(range.topicId !== undefined && { topicId: change(range.topicId) }) }
}

function text(value: string | null | undefined): string {
  return value ?? ''
}
