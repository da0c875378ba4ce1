-- An offset store as version 1 wrote it: the driver of `orders` died inside batch 3, and `returns "ü"` was retired.
-- The tables of Tidemark's offset store, version 1.
begin;
select pg_advisory_xact_lock(1953064037);
create schema if not exists "released_v1";
create table if not exists "released_v1"."streams" (
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
) with (fillfactor = 50);
create table if not exists "released_v1"."offsets" (
  stream bigint not null,
  topic text collate "C" not null,
  partition bigint not null,
  next_offset bigint not null,
  topic_id text,
  leader_epoch bigint,
  primary key (stream, topic, partition)
) with (fillfactor = 50);
create table if not exists "released_v1"."history" (
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
);
create table if not exists "released_v1"."offsets_version" (
  only_row boolean primary key default true check (only_row),
  version integer not null
);
insert into "released_v1"."offsets_version" (version) values (1) on conflict do nothing;
commit;
insert into "released_v1"."streams" (id, name_sha256, name, stream_id, epoch, owner, renewed_at, ttl_ms, last_batch_id, last_committed_id, last_seq, retired, last_write) overriding system value values (1, '1c168adb00d208e42f93314529f1fa9c0427eb63233ceda95a5db52b7012a719', 'orders', '00fb86738b42c835', 2, null, 0, 0, 2, 1, 5, null, 'b6356a9e3f6c3bd3');
insert into "released_v1"."streams" (id, name_sha256, name, stream_id, epoch, owner, renewed_at, ttl_ms, last_batch_id, last_committed_id, last_seq, retired, last_write) overriding system value values (2, '96edb31b7f211176bc9aadea4bdb10f5039733b68a2737c8ef02921b22b8d418', 'returns "ü"', 'fce36c66d4125fbb', 1, null, 1795193330513, 1000, 0, 0, 0, 'copied to 0 sqlite', '9c3347303e162a87');
insert into "released_v1"."offsets" (stream, topic, partition, next_offset, topic_id, leader_epoch) values (1, 'orders', 0, 100, 'q83vEjRWeJCrze8SNFZ4kA', 3);
insert into "released_v1"."offsets" (stream, topic, partition, next_offset, topic_id, leader_epoch) values (1, 'orders', 1, 9007199254740000, null, null);
insert into "released_v1"."history" (stream, seq, kind, at, epoch, batch_id, batch, ranges, reason, offsets, forgotten) values (1, 1, 'start', 1795132800000, 1, null, null, null, null, '[{"topic":"orders","partition":0,"offset":0,"topicId":"q83vEjRWeJCrze8SNFZ4kA","leaderEpoch":3},{"topic":"orders","partition":1,"offset":40}]', null);
insert into "released_v1"."history" (stream, seq, kind, at, epoch, batch_id, batch, ranges, reason, offsets, forgotten) values (1, 2, 'batch', 1795132801000, 1, 1, '{"id":1,"batchTime":1795132801000,"epoch":1,"facts":{"v":1,"outputs":["orders","forEachBatch"],"isolation":"read_committed","job":"0123456789abcdef"}}', '[{"topic":"orders","partition":0,"fromOffset":0,"untilOffset":50,"topicId":"q83vEjRWeJCrze8SNFZ4kA","leaderEpoch":3},{"topic":"orders","partition":0,"fromOffset":50,"untilOffset":100,"topicId":"q83vEjRWeJCrze8SNFZ4kA","leaderEpoch":3},{"topic":"orders","partition":1,"fromOffset":40,"untilOffset":41}]', null, null, null);
insert into "released_v1"."history" (stream, seq, kind, at, epoch, batch_id, batch, ranges, reason, offsets, forgotten) values (1, 3, 'discard', 1795132802000, 1, 2, '{"id":2,"batchTime":1795132802000,"epoch":1,"facts":{"v":1,"outputs":["orders","forEachBatch"],"isolation":"read_committed","job":"0123456789abcdef"}}', '[{"topic":"orders","partition":1,"fromOffset":41,"untilOffset":45}]', 'skip the poison', null, null);
insert into "released_v1"."history" (stream, seq, kind, at, epoch, batch_id, batch, ranges, reason, offsets, forgotten) values (1, 4, 'reset', 1795132802000, 1, null, null, null, 'skip the poison', '[{"topic":"orders","partition":1,"offset":9007199254740000}]', '[]');
insert into "released_v1"."history" (stream, seq, kind, at, epoch, batch_id, batch, ranges, reason, offsets, forgotten) values (1, 5, 'reset', 1795132802000, 1, null, null, null, 'gone', '[]', '[{"topic":"returns","partition":0}]');
insert into "released_v1"."history" (stream, seq, kind, at, epoch, batch_id, batch, ranges, reason, offsets, forgotten) values (1, 6, 'begun', 1795193330481, 2, 3, '{"id":3,"batchTime":1795132803000,"epoch":2,"facts":{"v":1,"outputs":["orders","forEachBatch"],"isolation":{"orders":"read_committed"},"job":"0123456789abcdef"}}', '[{"topic":"orders","partition":0,"fromOffset":100,"untilOffset":103,"topicId":"q83vEjRWeJCrze8SNFZ4kA","leaderEpoch":4},{"topic":"orders","partition":0,"fromOffset":103,"untilOffset":106,"topicId":"q83vEjRWeJCrze8SNFZ4kA","leaderEpoch":4}]', null, null, null);
