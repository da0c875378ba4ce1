import { completeMigrationOptions, type PostgresMigrationOptions } from './options.ts'
import { quoteName, type Sql, sql } from './sql.ts'

/** The version of the tables below, kept in `offsets_version`. */
export const SCHEMA_VERSION = 1

/** Held while tables are made, so that of fifty clients that start at once one makes them: `tide` in ASCII. */
const MIGRATION_LOCK = 0x74696465

export const TABLES = ['streams', 'offsets', 'history', 'offsets_version'] as const

/** The tables' names with their schema. */
export type Tables = Readonly<Record<(typeof TABLES)[number], Sql>>

export function tablesOf(schema: string): Tables {
  const table = (name: (typeof TABLES)[number]) => sql`${quoteName(schema)}.${quoteName(name)}`
  return { streams: table('streams'), offsets: table('offsets'), history: table('history'), offsets_version: table('offsets_version') }
}

/**
 * The SQL that makes the offset store's tables, for people whose service may not make tables itself. May be run again.
 *
 *     node -e "import('tidemark/offsets/postgres').then(m => console.log(m.postgresOffsetsMigration()))" | psql "$DATABASE_URL"
 */
export function postgresOffsetsMigration(options: PostgresMigrationOptions = {}): string {
  const { schema } = completeMigrationOptions(options)
  const { streams, offsets, history, offsets_version } = tablesOf(schema)
  return [
    `-- The tables of Tidemark's offset store, version ${SCHEMA_VERSION}.`,
    'begin;',
    `${takeMigrationLock().text};`,
    `${makeSchema(schema).text};`,
    ...makeTables(schema).map(({ text }) => `${text};`),
    'commit;',
    '',
    '-- All that the user needs whom Tidemark logs in as:',
    `-- grant usage on schema ${quoteName(schema).text} to <user>;`,
    `-- grant select, insert, update, delete on ${[streams, offsets, history].map(({ text }) => text).join(', ')} to <user>;`,
    `-- grant select on ${offsets_version.text} to <user>;`,
    '',
  ].join('\n')
}

/** A lock of the transaction, not of the session: PgBouncer gives the session to somebody else when the transaction ends. */
export function takeMigrationLock(): Sql {
  return sql`select pg_advisory_xact_lock(${MIGRATION_LOCK})`
}

export function makeSchema(schema: string): Sql {
  return sql`create schema if not exists ${quoteName(schema)}`
}

/**
 * One row a stream, a partition and a history entry. The begun batch is the history's row after the stream's `last_seq`, of kind `begun`: a commit then
 * only turns its kind, and the ranges of ten thousand partitions are written once. Names are found by their hash, for an index takes no long text; `ranges`
 * is what the server derives positions from. Times are milliseconds since 1970 by the server's clock. Half-empty pages let rows that are updated
 * at every batch stay where they are, without a new entry in an index.
 */
export function makeTables(schema: string): Sql[] {
  const { streams, offsets, history, offsets_version } = tablesOf(schema)
  return [
    sql`create table if not exists ${streams} (
  id bigint generated always as identity primary key,
  name_sha256 text not null unique,
  name text not null,
  stream_id text not null,
  epoch bigint not null,
  owner text,
  renewed_at bigint not null,
  ttl_ms bigint not null,
  last_batch_id bigint not null,
  last_committed_id bigint not null,
  last_seq bigint not null,
  retired text,
  last_write text not null
) with (fillfactor = 50)`,
    sql`create table if not exists ${offsets} (
  stream bigint not null,
  topic text collate "C" not null,
  partition bigint not null,
  next_offset bigint not null,
  topic_id text,
  leader_epoch bigint,
  primary key (stream, topic, partition)
) with (fillfactor = 50)`,
    sql`create table if not exists ${history} (
  stream bigint not null,
  seq bigint not null,
  kind text not null,
  at bigint not null,
  epoch bigint not null,
  batch_id bigint,
  batch text,
  ranges text,
  reason text,
  offsets text,
  forgotten text,
  primary key (stream, seq)
)`,
    sql`create table if not exists ${offsets_version} (
  only_row boolean primary key default true check (only_row),
  version integer not null
)`,
    sql`insert into ${offsets_version} (version) values (${SCHEMA_VERSION}) on conflict do nothing`,
  ]
}
