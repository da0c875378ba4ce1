import type { DatabaseSync } from 'node:sqlite'
import type { HistoryEntry, Lease } from '../../src/core/offset-store.ts'
import type { StreamHead } from '../../src/core/store-rules.ts'
import { writeJson } from '../../src/core/store-values.ts'
import type { Batch, PartitionOffset, TopicPartition } from '../../src/core/values.ts'

/** A stream's row with its key in the other tables. */
export type StoredHead = StreamHead & { readonly key: number }

/** A begun batch and the text it is stored as. */
export type StoredBatch = { readonly batch: Batch; readonly text: string }

type HeadRow = {
  id: number
  stream_id: string
  epoch: number
  owner: string | null
  renewed_at: number
  ttl_ms: number
  last_batch_id: number
  last_committed_id: number
  last_seq: number
  retired: string | null
}
type OffsetRow = { topic: string; partition: number; next_offset: number; topic_id: string | null; leader_epoch: number | null }
type HistoryRow = { seq: number; kind: HistoryEntry['kind']; at: number; epoch: number; entry: string }

/** The statements of one connection, prepared once: values in, values out, no decision. */
export type Statements = ReturnType<typeof prepareStatements>

export function prepareStatements(database: DatabaseSync) {
  const statements = {
    begin: database.prepare('begin'),
    beginImmediate: database.prepare('begin immediate'),
    commit: database.prepare('commit'),
    rollback: database.prepare('rollback'),
    head: database.prepare('select * from streams where name = ?'),
    names: database.prepare('select name from streams'),
    insertHead: database.prepare(
      `insert into streams (name, stream_id, epoch, owner, renewed_at, ttl_ms, last_batch_id, last_committed_id, last_seq, retired)
       values (?, ?, ?, null, 0, 0, ?, ?, ?, null)`,
    ),
    grant: database.prepare('update streams set epoch = ?, owner = ?, renewed_at = ?, ttl_ms = ? where name = ?'),
    endLease: database.prepare('update streams set owner = null, retired = ? where id = ?'),
    advance: database.prepare('update streams set last_batch_id = ?, last_committed_id = ?, last_seq = ? where id = ?'),
    removeHead: database.prepare('delete from streams where id = ?'),
    pending: database.prepare('select batch from pending where stream = ?'),
    insertPending: database.prepare('insert into pending (stream, batch) values (?, ?)'),
    removePending: database.prepare('delete from pending where stream = ?'),
    committed: database.prepare('select next_offset from offsets where stream = ? and topic = ? and partition = ?'),
    offsets: database.prepare('select * from offsets where stream = ?'),
    putOffset: database.prepare(
      'insert or replace into offsets (stream, topic, partition, next_offset, topic_id, leader_epoch) values (?, ?, ?, ?, ?, ?)',
    ),
    removeOffset: database.prepare('delete from offsets where stream = ? and topic = ? and partition = ?'),
    removeOffsets: database.prepare('delete from offsets where stream = ?'),
    insertEntry: database.prepare('insert into history (stream, seq, kind, at, epoch, entry) values (?, ?, ?, ?, ?, ?)'),
    entries: database.prepare('select seq, kind, at, epoch, entry from history where stream = ? and seq < ? order by seq desc limit ?'),
    trim: database.prepare("delete from history where stream = ? and seq < ? and kind not in ('start', 'reset')"),
    removeEntries: database.prepare('delete from history where stream = ?'),
  }

  return {
    begin: () => void statements.begin.run(),
    beginImmediate: () => void statements.beginImmediate.run(),
    commit: () => void statements.commit.run(),
    /** After some errors SQLite has rolled back by itself. */
    rollback: () => {
      if (database.isTransaction) statements.rollback.run()
    },
    close: () => database.close(),

    head: (stream: string): StoredHead | undefined => {
      const row = statements.head.get(stream) as HeadRow | undefined
      return row && toHead(row)
    },
    streams: (): string[] => statements.names.all().map(row => String(row.name)),
    insertHead: (stream: string, head: Omit<StreamHead, 'lease' | 'retired'>): void => {
      statements.insertHead.run(stream, head.streamId, head.epoch, head.lastBatchId, head.lastCommittedId, head.lastSeq)
    },
    grant: (lease: Lease, nowMs: number): void => {
      statements.grant.run(lease.epoch, lease.owner, nowMs, lease.ttlMs, lease.stream)
    },
    endLease: (key: number, retired: string | null): void => {
      statements.endLease.run(retired, key)
    },
    advance: (head: StoredHead): void => {
      statements.advance.run(head.lastBatchId, head.lastCommittedId, head.lastSeq, head.key)
    },

    pending: (key: number): StoredBatch | undefined => {
      const text = statements.pending.get(key)?.batch
      return typeof text === 'string' ? { batch: JSON.parse(text), text } : undefined
    },
    insertPending: (key: number, batch: Batch): void => {
      statements.insertPending.run(key, writeJson(batch))
    },
    removePending: (key: number): void => {
      statements.removePending.run(key)
    },

    committed: (key: number, at: TopicPartition): number | undefined => {
      const row = statements.committed.get(key, at.topic, at.partition) as { next_offset: number } | undefined
      return row?.next_offset
    },
    offsets: (key: number): PartitionOffset[] => (statements.offsets.all(key) as OffsetRow[]).map(toPosition),
    putOffset: (key: number, { topic, partition, offset, topicId, leaderEpoch }: PartitionOffset): void => {
      statements.putOffset.run(key, topic, partition, offset, topicId ?? null, leaderEpoch ?? null)
    },
    removeOffset: (key: number, at: TopicPartition): void => {
      statements.removeOffset.run(key, at.topic, at.partition)
    },

    /** `text` is the entry's own fields as JSON, where they are at hand already. */
    insertEntry: (key: number, { seq, kind, at, epoch, ...rest }: HistoryEntry, text = writeJson(rest)): void => {
      statements.insertEntry.run(key, seq, kind, at, epoch, text)
    },
    /** Newest first. */
    entries: (key: number, before: number, limit: number): HistoryEntry[] =>
      (statements.entries.all(key, before, limit) as HistoryRow[]).map(({ entry, ...stamp }) => ({ ...stamp, ...JSON.parse(entry) })),
    trim: (key: number, below: number): void => {
      statements.trim.run(key, below)
    },

    removeStream: (key: number): void => {
      for (const remove of ['removeHead', 'removePending', 'removeOffsets', 'removeEntries'] as const) statements[remove].run(key)
    },
  }
}

function toHead(row: HeadRow): StoredHead {
  return {
    key: row.id,
    streamId: row.stream_id,
    epoch: row.epoch,
    lease: row.owner === null ? undefined : { owner: row.owner, renewedAtMs: row.renewed_at, ttlMs: row.ttl_ms },
    lastBatchId: row.last_batch_id,
    lastCommittedId: row.last_committed_id,
    lastSeq: row.last_seq,
    retired: row.retired ?? undefined,
  }
}

function toPosition(row: OffsetRow): PartitionOffset {
  return {
    topic: row.topic,
    partition: row.partition,
    offset: row.next_offset,
    ...(row.topic_id !== null && { topicId: row.topic_id }),
    ...(row.leader_epoch !== null && { leaderEpoch: row.leader_epoch }),
  }
}
