/** Marks a file as an offset store of ours: `tide` in ASCII, where SQLite keeps an application's id. */
export const APPLICATION_ID = 0x74696465

/** The version of the tables below, kept in the file's `user_version`. */
export const SCHEMA_VERSION = 1

/**
 * One row a stream, a partition and a history entry. The begun batch has a table of its own: `begin` then dirties its page only, and renewing a lease
 * does not rewrite the ranges of ten thousand partitions. A batch goes from there into the history as the text it is.
 */
export const SCHEMA = `
  create table streams (
    id integer primary key,
    name text not null unique,
    stream_id text not null,
    epoch integer not null,
    owner text,
    renewed_at integer not null,
    ttl_ms integer not null,
    last_batch_id integer not null,
    last_committed_id integer not null,
    last_seq integer not null,
    retired text
  ) strict;
  create table offsets (
    stream integer not null,
    topic text not null,
    partition integer not null,
    next_offset integer not null,
    topic_id text,
    leader_epoch integer,
    primary key (stream, topic, partition)
  ) strict, without rowid;
  create table pending (stream integer primary key, batch text not null) strict;
  create table history (
    stream integer not null,
    seq integer not null,
    kind text not null,
    at integer not null,
    epoch integer not null,
    entry text not null,
    primary key (stream, seq)
  ) strict;
  pragma application_id = ${APPLICATION_ID};
  pragma user_version = ${SCHEMA_VERSION};
`
