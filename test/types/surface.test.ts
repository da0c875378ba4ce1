// The public surface as its documentation sketches it. The real types may say more (readonly, doc comments, further optional members); a value of
// one must fit where the other is asked for, both ways, so that what people wrote against the sketch goes on compiling.
import { expect, test } from 'vitest'
import { decodeRecordBatches, hasValue, json, type KafkaRecord, kafkaSource, text } from '../../connectors/kafka/index.ts'
import type { memoryOffsets } from '../../offsets/memory/index.ts'
import { sqliteOffsets } from '../../offsets/sqlite/index.ts'
import {
  type Batch,
  type ErrorCode,
  type FenceMark,
  type HistoryEntry,
  inProcess,
  type Json,
  type Lease,
  type Listener,
  type Log,
  type OffsetRange,
  type OffsetStore,
  type PartitionOffset,
  type PidRateEstimator,
  planBatch,
  type Sink,
  type Source,
  type StartingOffsets,
  type StreamSnapshot,
  splitRanges,
  type Task,
  type TidemarkError,
  type TopicPartition,
} from '../../src/index.ts'
import { type Fits, fails, holds, type Same } from './type-relations.ts'

type Both<A, B> = Fits<A, B> extends true ? Fits<B, A> : false
type Options = { signal?: AbortSignal }

test('values are plain data of these fields', () => {
  holds<Both<TopicPartition, { topic: string; partition: number }>>()
  holds<Both<PartitionOffset, { topic: string; partition: number; offset: number; topicId?: string; leaderEpoch?: number }>>()
  type Range = { topic: string; partition: number; fromOffset: number; untilOffset: number; topicId?: string; leaderEpoch?: number }
  holds<Both<OffsetRange, Range>>()
  holds<Both<Batch, { id: number; batchTime: number; epoch: number; ranges: readonly Range[]; facts?: Json }>>()
  type TaskFields = { stream: string; batchId: number; epoch: number; index: number; range: Range; batchTime: number; output: string }
  holds<Both<Task, TaskFields & { attempt: string }>>()
  type Header = readonly [string, Buffer | null]
  type Bytes = { key: Buffer | null; value: Buffer | null; headers: readonly Header[] }
  holds<Both<KafkaRecord, { topic: string; partition: number; offset: number; timestamp: number } & Bytes>>()
  fails<Fits<bigint, PartitionOffset['offset']>>()
  fails<Fits<Date, Json>>()
})

test('starting offsets are a union without sentinel numbers', () => {
  type Start = 'earliest' | 'latest' | { offset: number } | { timestamp: number }
  type Sketch =
    | { at: 'earliest' }
    | { at: 'latest' }
    | { at: 'committed'; group: string }
    | { at: 'timestamp'; timestamp: number; noMatch?: 'fail' | 'latest' }
    | { at: 'exact'; offsets: readonly PartitionOffset[] }
    | { at: 'each'; partitions: readonly (TopicPartition & { start: Start })[] }
  holds<Both<StartingOffsets, Sketch>>()
  fails<Fits<{ at: 'exact'; offset: number }, StartingOffsets>>()
  fails<Fits<number, StartingOffsets>>()
})

test('a source is what the sketch says, to those who call one and to those who write one', () => {
  type Sketch<R> = {
    partitions(options?: Options): Promise<TopicPartition[]>
    earliestOffsets(options?: Options): Promise<PartitionOffset[]>
    latestOffsets(options?: Options): Promise<PartitionOffset[]>
    offsetsForTimestamp(timestamp: number, options?: Options): Promise<PartitionOffset[]>
    read(range: OffsetRange, options?: Options): AsyncIterable<readonly R[]>
    close(): Promise<void>
  }
  holds<Fits<Source<KafkaRecord>, Sketch<KafkaRecord>>>()
  holds<Fits<Sketch<KafkaRecord>, Source<KafkaRecord>>>()
  holds<Fits<ReturnType<typeof kafkaSource>, Source<KafkaRecord>>>()
  // Sources give rows: one that gives more fits where less is asked for, and not the other way round.
  holds<Fits<Source<KafkaRecord>, Source<{ readonly offset: number }>>>()
  fails<Fits<Source<{ readonly offset: number }>, Source<KafkaRecord>>>()
})

test('a store is what the sketch says, to those who call one and to those who write one', () => {
  type State = {
    streamId: string | undefined
    offsets: readonly PartitionOffset[]
    lastBatchId: number
    pending: Batch | undefined
    epoch: number
  }
  type Acquire = { steal?: boolean } & Options
  type Reset = { reason?: string; forget?: readonly TopicPartition[]; discard?: boolean } & Options
  type Sketch = {
    acquire(stream: string, owner: string, ttlMs: number, options?: Acquire): Promise<Lease>
    renew(lease: Lease, options?: Options): Promise<void>
    release(lease: Lease, options?: Options): Promise<void>
    read(stream: string, options?: Options): Promise<State>
    begin(lease: Lease, batch: Batch, options?: Options): Promise<void>
    commit(lease: Lease, batchId: number, options?: Options): Promise<void>
    reset(lease: Lease, offsets: readonly PartitionOffset[], options?: Reset): Promise<void>
    history(stream: string, options?: { before?: number; limit?: number }): AsyncIterable<HistoryEntry>
    streams(options?: Options): Promise<string[]>
    snapshot(stream: string, options?: Options): Promise<StreamSnapshot>
    restore(snapshot: StreamSnapshot, options?: Options): Promise<void>
    retire(lease: Lease, note: string, options?: Options): Promise<void>
    remove(lease: Lease, options?: Options): Promise<void>
    close(): Promise<void>
  }
  holds<Fits<OffsetStore, Sketch>>()
  holds<Fits<Sketch, OffsetStore>>()
  holds<Fits<Lease, { stream: string; owner: string; epoch: number }>>()
  holds<Same<HistoryEntry['kind'], 'start' | 'batch' | 'reset' | 'discard'>>()
  holds<Fits<ReturnType<typeof memoryOffsets>, OffsetStore & AsyncDisposable>>()
  holds<Fits<ReturnType<typeof sqliteOffsets>, OffsetStore & AsyncDisposable>>()
  // @ts-expect-error a store in a file needs to know which
  expect(() => sqliteOffsets({})).toThrow('path')
})

test('a sink is what the sketch says, and takes rows that have more than it needs', () => {
  type WriteContext = { signal: AbortSignal; log: Log }
  type Sketch<Row> = {
    readonly name: string
    readonly guarantee: 'exactly-once' | 'idempotent' | 'at-least-once'
    readonly ordering: 'partition' | 'none'
    fence?(mark: FenceMark): Promise<void>
    applied?(task: Task): Promise<boolean>
    write(task: Task, rows: AsyncIterable<readonly Row[]>, context: WriteContext): Promise<void>
    close?(): Promise<void>
  }
  type Id = { readonly id: string }
  holds<Fits<Sketch<Id>, Sink<Id>>>()
  holds<Fits<Sink<Id>, Sketch<Id>>>()
  holds<Fits<Sink<Id>, Sink<Id & { readonly total: number }>>>()
  fails<Fits<Sink<Id & { readonly total: number }>, Sink<Id>>>()
  type Marked = { stream: string; streamId: string; output: string; epoch: number; owner: string; lastBegun: number; lastComplete: number }
  holds<Both<FenceMark, Marked>>()
})

test('planning is pure functions of these signatures', () => {
  type PerPartition = number | ((at: TopicPartition) => number)
  type PlanLimits = {
    maxRecordsPerBatch?: number
    maxRatePerPartition?: PerPartition
    minRatePerPartition?: PerPartition
    initialRate?: number
  }
  type PlanInput = {
    from: readonly PartitionOffset[]
    latest: readonly PartitionOffset[]
    batchIntervalMs?: number
    rate?: number
    limits?: PlanLimits
  }
  holds<Fits<typeof planBatch, (input: PlanInput) => OffsetRange[]>>()
  type SplitOptions = { minTasks?: number; maxRecordsPerTask?: number }
  holds<Fits<typeof splitRanges, (ranges: readonly OffsetRange[], options: SplitOptions) => OffsetRange[]>>()
  type PidOptions = { batchIntervalMs: number; proportional?: number; integral?: number; derivative?: number; minRate?: number }
  holds<Fits<PidOptions, ConstructorParameters<typeof PidRateEstimator>[0]>>()
  type Measure = { time: number; records: number; processingDelayMs: number; schedulingDelayMs: number }
  holds<Fits<PidRateEstimator['compute'], (batch: Measure) => number | undefined>>()

  const from = [{ topic: 'orders', partition: 0, offset: 3 }]
  const latest = [{ topic: 'orders', partition: 0, offset: 7 }]
  const [range] = splitRanges(planBatch({ from, latest }), { minTasks: 1 })
  expect(range).toEqual({ topic: 'orders', partition: 0, fromOffset: 3, untilOffset: 7 })
  // @ts-expect-error how far each partition reaches is not guessed
  expect(() => planBatch({ from })).toThrow()
})

test('the decoder is a pure function of this signature', () => {
  type Where = { topic: string; partition: number; fromOffset: number; untilOffset?: number }
  type Visible = {
    isolation: 'read_committed' | 'read_uncommitted'
    abortedTransactions?: readonly { producerId: number | bigint; firstOffset: number }[]
  }
  type Decoded = { records: KafkaRecord[]; nextOffset: number }
  holds<Fits<typeof decodeRecordBatches, (bytes: Uint8Array, options: Where & Visible) => Decoded>>()
  const decoded = decodeRecordBatches(new Uint8Array(), { topic: 'orders', partition: 0, fromOffset: 5, isolation: 'read_committed' })
  expect(decoded).toEqual({ records: [], nextOffset: 5 })
  // @ts-expect-error whether aborted records are visible is not guessed
  decodeRecordBatches(new Uint8Array(), { topic: 'orders', partition: 0, fromOffset: 5 })
})

test('values of records are read as JSON or text, and told from tombstones', () => {
  const record: KafkaRecord = {
    topic: 'orders',
    partition: 0,
    offset: 0,
    timestamp: 0,
    key: null,
    value: Buffer.from('{"id":"a"}'),
    headers: [],
  }
  const order = json<{ id: string }>()(record)
  holds<Same<typeof order, { id: string }>>()
  expect(order.id).toBe('a')
  expect(text()(record)).toBe('{"id":"a"}')
  if (hasValue(record)) holds<Same<typeof record.value, Buffer>>()
  expect(hasValue({ ...record, value: null })).toBe(false)
})

test('kafkajs is accepted structurally, as a configuration or as a client', () => {
  expect(kafkaSource({ kafka: { brokers: ['localhost:9092'] }, topics: ['orders'] })).toBeDefined()
  expect(kafkaSource({ kafka: { brokers: ['localhost:9092'], ssl: true }, topics: /^orders/ })).toBeDefined()
  // @ts-expect-error without an address there is nothing to read
  expect(() => kafkaSource({ kafka: {}, topics: ['orders'] })).toThrow('kafka')
  // @ts-expect-error topics are a list or a pattern
  expect(() => kafkaSource({ kafka: { brokers: ['localhost:9092'] }, topics: 'orders' })).toThrow('topics')
})

test('errors are known by one of these codes', () => {
  type Codes = 'CONFIG' | 'JOB' | 'CONNECTION' | 'AUTH' | 'UNSUPPORTED' | 'FENCED' | 'LEASE_HELD' | 'CONFLICT' | 'DATA_LOSS' | 'DECODE'
  holds<Same<ErrorCode, Codes | 'RECORD' | 'TASK_FAILED' | 'TIMEOUT'>>()
  holds<Fits<TidemarkError, Error & { code: ErrorCode; message: string; details: object; retryable: boolean; cause?: unknown }>>()
  holds<Fits<Listener, (event: never) => void>>()
  expect(inProcess({ concurrency: 2 }).name).toBe('in-process')
})
