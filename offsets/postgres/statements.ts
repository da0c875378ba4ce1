import type { HistoryEntry, Lease } from '../../src/core/offset-store.ts'
import type { StreamHead } from '../../src/core/store-rules.ts'
import { writeJson } from '../../src/core/store-values.ts'
import { type Batch, type PartitionOffset, partitionKey, type TopicPartition } from '../../src/core/values.ts'
import { tablesOf } from './schema.ts'
import { list, type Sql, sql } from './sql.ts'
import { hashName, storeBatch } from './stored-stream.ts'
import { toColumn } from './text.ts'

/** How long the server waits in a transaction of ours. */
export type Patience = {
  /** For a lock: one that takes longer to come is somebody's who stopped in a transaction. */
  readonly lockMs: number
  /** For our own next message: less than for a lock, so that whoever takes over from a driver that was stopped in the midst of a write waits it out. */
  readonly idleMs: number
}

const PATIENCE: Patience = { lockMs: 10_000, idleMs: 5_000 }

/** Up to so many partitions their rows are asked for one by one; beyond, all of the stream's are. */
const FEW_PARTITIONS = 200
const ROWS_A_STATEMENT = 5_000
const CHARS_A_STATEMENT = 2_000_000

type Stamp = Pick<HistoryEntry, 'seq' | 'at' | 'epoch'>

/** What an attempt at a write changes of a stream's row. */
export type Advance = Pick<StreamHead, 'lastBatchId' | 'lastCommittedId' | 'lastSeq'>

/** The statements over the tables of one schema: values in, SQL out, no decision. */
export type Statements = ReturnType<typeof statementsOf>

export function statementsOf(schema: string, { lockMs, idleMs }: Patience = PATIENCE) {
  const { streams, offsets, history } = tablesOf(schema)
  const keyOf = (stream: string) => sql`(select id from ${streams} where name_sha256 = ${hashName(stream)})`
  const begunIn = (stream: string) => sql`h.stream = s.id and h.seq = s.last_seq + 1 and s.name_sha256 = ${hashName(stream)}`

  const positions = (where: Sql) => sql`select array_to_json(array_agg(topic)) as topics, array_to_json(array_agg(partition)) as partitions,
      array_to_json(array_agg(next_offset)) as offsets, array_to_json(array_agg(topic_id)) as topic_ids,
      array_to_json(array_agg(leader_epoch)) as leader_epochs from ${offsets} where ${where}`

  const head = (stream: string) => sql`select * from ${streams} where name_sha256 = ${hashName(stream)}`

  return {
    /** Settings are of the transaction, for behind PgBouncer the session is another's a moment later. */
    beginWrite: (): Sql[] => [
      sql`begin isolation level read committed`,
      sql`select set_config('lock_timeout', ${String(lockMs)}, true),
        set_config('idle_in_transaction_session_timeout', ${String(idleMs)}, true),
        set_config('synchronous_commit', replace(current_setting('synchronous_commit'), 'off', 'on'), true)`,
    ],
    beginRead: (): Sql => sql`begin isolation level repeatable read read only`,
    commit: (): Sql => sql`commit`,

    head,
    lockHead: (stream: string): Sql => sql`${head(stream)} for update`,
    /** A statement of its own, after the lock: within that one's, a wait of seconds for the lock would leave the time that it began at. */
    clock: (): Sql => sql`select floor(extract(epoch from clock_timestamp()) * 1000)::bigint as now_ms`,
    names: (): Sql => sql`select name from ${streams}`,
    pendingId: (stream: string): Sql => sql`select h.batch_id from ${history} h, ${streams} s where ${begunIn(stream)}`,
    pending: (stream: string): Sql => sql`select h.batch, h.ranges from ${history} h, ${streams} s where ${begunIn(stream)}`,
    positions: (stream: string): Sql => positions(sql`stream = ${keyOf(stream)}`),
    /** The positions of at least the partitions of a batch; what is none, the rules refuse. */
    positionsOf: (stream: string, partitions: readonly TopicPartition[]): Sql => {
      const named = partitions.filter(({ topic, partition }) => typeof topic === 'string' && Number.isSafeInteger(partition))
      const few = [...new Map(named.map(at => [partitionKey(at), at])).values()]
      if (few.length === 0) return positions(sql`false`)
      if (few.length > FEW_PARTITIONS) return positions(sql`stream = ${keyOf(stream)}`)
      const asked = list(few.map(({ topic, partition }) => sql`(${toColumn(topic)}, ${partition})`))
      return positions(sql`stream = ${keyOf(stream)} and (topic, partition) in (${asked})`)
    },
    entries: (stream: string, before: number, limit: number): Sql =>
      sql`select * from ${history} where stream = ${keyOf(stream)} and seq < ${before} and kind <> 'begun' order by seq desc limit ${limit}`,

    /** Touches no row where somebody else made the stream first. */
    insertHead: (stream: string, made: StreamHead, lastWrite: string): Sql =>
      sql`insert into ${streams} (name_sha256, name, stream_id, epoch, owner, renewed_at, ttl_ms, last_batch_id, last_committed_id, last_seq, last_write)
        values (${hashName(stream)}, ${toColumn(stream)}, ${toColumn(made.streamId)}, ${made.epoch}, ${made.lease && toColumn(made.lease.owner)},
        ${made.lease?.renewedAtMs ?? 0}, ${made.lease?.ttlMs ?? 0}, ${made.lastBatchId}, ${made.lastCommittedId}, ${made.lastSeq}, ${lastWrite})
        on conflict (name_sha256) do nothing`,
    grant: (key: number, { epoch, owner, ttlMs }: Lease, nowMs: number, lastWrite: string): Sql =>
      sql`update ${streams} set epoch = ${epoch}, owner = ${toColumn(owner)}, renewed_at = ${nowMs}, ttl_ms = ${ttlMs}, last_write = ${lastWrite} where id = ${key}`,
    renew: (key: number, { ttlMs }: Lease, nowMs: number): Sql =>
      sql`update ${streams} set renewed_at = ${nowMs}, ttl_ms = ${ttlMs} where id = ${key}`,
    endLease: (key: number, retired: string | undefined, lastWrite: string): Sql =>
      sql`update ${streams} set owner = null, retired = ${retired && toColumn(retired)}, last_write = ${lastWrite} where id = ${key}`,
    advance: (key: number, { lastBatchId, lastCommittedId, lastSeq }: Advance, lastWrite: string): Sql =>
      sql`update ${streams} set last_batch_id = ${lastBatchId}, last_committed_id = ${lastCommittedId}, last_seq = ${lastSeq},
        last_write = ${lastWrite} where id = ${key}`,
    remove: (key: number): Sql[] => [
      sql`delete from ${streams} where id = ${key}`,
      sql`delete from ${offsets} where stream = ${key}`,
      sql`delete from ${history} where stream = ${key}`,
    ],

    insertBegun: (key: Sql, begun: Batch, { seq, at, epoch }: Stamp): Sql[] =>
      insertRows(history, key, [rowOf({ seq, at, epoch, kind: 'begun', batch: begun })]),
    /** The begun batch becomes an entry as it lies there: its ranges are not written a second time. */
    endBegun: (key: number, kind: 'batch' | 'discard', { seq, at, epoch }: Stamp, reason?: string): Sql =>
      sql`update ${history} set kind = ${kind}, at = ${at}, epoch = ${epoch}, reason = ${reason === undefined ? null : toColumn(reason)}
        where stream = ${key} and seq = ${seq}`,
    /**
     * `positionsAfter` on the server, which has the begun batch already: slices of a partition tile it upwards, so the one that ends highest is the
     * last, and what it says of topic id and leader epoch stays.
     */
    moveOffsets: (key: number, seq: number): Sql =>
      sql`insert into ${offsets} select distinct on (r.partition, r.topic collate "C") h.stream, r.topic, r.partition, r."untilOffset", r."topicId", r."leaderEpoch"
        from ${history} h, json_to_recordset(h.ranges::json) as r (topic text, partition bigint, "untilOffset" bigint, "topicId" text, "leaderEpoch" bigint)
        where h.stream = ${key} and h.seq = ${seq} order by r.partition, r.topic collate "C", r."untilOffset" desc
        on conflict (stream, topic, partition) do update
        set next_offset = excluded.next_offset, topic_id = excluded.topic_id, leader_epoch = excluded.leader_epoch`,
    putOffsets: (key: Sql, positionsToPut: readonly PartitionOffset[]): Sql[] => {
      const rows = positionsToPut.map(
        ({ topic, partition, offset, topicId, leaderEpoch }) =>
          sql`(${toColumn(topic)}, ${partition}, ${offset}, ${topicId === undefined ? null : toColumn(topicId)}, ${leaderEpoch})`,
      )
      return inPieces(rows).map(
        piece => sql`insert into ${offsets} select k.id, r.topic, r.partition, r.next_offset, r.topic_id::text, r.leader_epoch::bigint
          from (${key}) k, (values ${piece}) as r (topic, partition, next_offset, topic_id, leader_epoch)
          on conflict (stream, topic, partition) do update
          set next_offset = excluded.next_offset, topic_id = excluded.topic_id, leader_epoch = excluded.leader_epoch`,
      )
    },
    removeOffsets: (key: number, partitions: readonly TopicPartition[]): Sql[] =>
      inPieces(partitions.map(({ topic, partition }) => sql`(${toColumn(topic)}, ${partition}::bigint)`)).map(
        piece => sql`delete from ${offsets} where stream = ${key} and (topic, partition) in (values ${piece})`,
      ),
    insertEntries: (key: Sql, entries: readonly HistoryEntry[]): Sql[] => insertRows(history, key, entries.map(rowOf)),
    trim: (key: number, below: number): Sql =>
      sql`delete from ${history} where stream = ${key} and seq < ${below} and kind in ('batch', 'discard')`,

    /** A stream's key while it is still as the call of this name left it; no row where it is not. */
    keyWrittenBy: (stream: string, lastWrite: string): Sql =>
      sql`select id from ${streams} where name_sha256 = ${hashName(stream)} and last_write = ${lastWrite}`,
    /** A key that is known already, in the form of {@link keyWrittenBy}. */
    key: (key: number): Sql => sql`select ${key}::bigint as id`,
  }
}

/** An entry of the history, or a begun batch before it is one. */
function rowOf(entry: HistoryEntry | (Stamp & { readonly kind: 'begun'; readonly batch: Batch })): Sql {
  const { seq, kind, at, epoch } = entry
  const stored = 'batch' in entry ? storeBatch(entry.batch) : undefined
  const batchId = 'batch' in entry ? entry.batch.id : null
  const reason = 'reason' in entry ? toColumn(entry.reason) : null
  const positions = 'offsets' in entry ? writeJson(entry.offsets) : null
  const forgotten = 'forgotten' in entry ? writeJson(entry.forgotten) : null
  return sql`(${seq}, ${kind}, ${at}, ${epoch}, ${batchId}, ${stored?.batch}, ${stored?.ranges}, ${reason}, ${positions}, ${forgotten})`
}

function insertRows(history: Sql, key: Sql, rows: readonly Sql[]): Sql[] {
  return inPieces(rows).map(
    piece => sql`insert into ${history} select k.id, r.seq::bigint, r.kind, r.at::bigint, r.epoch::bigint, r.batch_id::bigint, r.batch, r.ranges,
      r.reason, r.offsets, r.forgotten from (${key}) k,
      (values ${piece}) as r (seq, kind, at, epoch, batch_id, batch, ranges, reason, offsets, forgotten)`,
  )
}

/** Rows by so many as go into one statement: the server keeps a statement in memory whole, several times over. */
function inPieces(rows: readonly Sql[]): Sql[] {
  const pieces: Sql[] = []
  let [piece, chars]: [Sql[], number] = [[], 0]
  for (const [index, row] of rows.entries()) {
    piece.push(row)
    chars += row.text.length
    if (piece.length < ROWS_A_STATEMENT && chars < CHARS_A_STATEMENT && index < rows.length - 1) continue
    pieces.push(list(piece))
    piece = []
    chars = 0
  }
  return pieces
}
