import { once, setMaxListeners } from 'node:events'
import { type Clock, systemClock } from '../core/clock.ts'
import { ConfigError, DataLossError } from '../core/errors.ts'
import type { CallOptions, Isolation, ReadOptions, Source, StartingOffsets } from '../core/source.ts'
import {
  comparePartitions,
  type OffsetRange,
  type PartitionOffset,
  partitionKey,
  showPartition,
  showRange,
  type TopicPartition,
} from '../core/values.ts'
import { MemoryLog, type MemoryRecord } from './memory-log.ts'

/** The calls of a source that a test can make fail. */
export type SourceCall =
  | 'partitions'
  | 'earliestOffsets'
  | 'latestOffsets'
  | 'offsetsForTimestamp'
  | 'committedOffsets'
  | 'awaitRecords'
  | 'epochEndOffsets'
  | 'read'

/** What `append` takes; text stands for its UTF-8 bytes. */
export type NewRecord = {
  readonly key?: string | Buffer | null
  readonly value?: string | Buffer | null
  readonly timestamp?: number
  readonly headers?: readonly (readonly [string, Buffer | null])[]
}

export type MemorySourceOptions = {
  /** Topics to make, with their numbers of partitions. */
  readonly topics?: Readonly<Record<string, number>>
  readonly name?: string
  readonly startingOffsets?: StartingOffsets
  readonly isolation?: Isolation
  /** Stamps records that bring no timestamp. */
  readonly clock?: Clock
}

type Failure = { readonly call: SourceCall; readonly error: unknown; readonly afterRecords: number }

const MAX_CHUNK_RECORDS = 4_096

/**
 * A source over logs in memory, with what happens to real ones: growth, gaps, retention, truncation, topics made again, failing calls.
 *
 *     const source = memorySource({ topics: { orders: 2 } })
 *     source.append('orders', 0, { value: '{"id":1}' }, { value: '{"id":2}' })
 *     source.failNext('read', new ConnectionError('the broker hung up'), { afterRecords: 1 })
 */
export function memorySource(options: MemorySourceOptions = {}): MemorySource {
  return new MemorySource(options)
}

export class MemorySource implements Source<MemoryRecord> {
  readonly name: string
  readonly startingOffsets: StartingOffsets
  readonly isolation: Isolation
  /** How often each call was made, failed ones too. */
  readonly calls: Record<SourceCall, number> = {
    partitions: 0,
    earliestOffsets: 0,
    latestOffsets: 0,
    offsetsForTimestamp: 0,
    committedOffsets: 0,
    awaitRecords: 0,
    epochEndOffsets: 0,
    read: 0,
  }
  /** Every range that was read, in the order the reads began. */
  readonly reads: OffsetRange[] = []
  readonly #clock: Clock
  readonly #topics = new Map<string, { id: string; logs: MemoryLog[] }>()
  readonly #groups = new Map<string, readonly PartitionOffset[]>()
  readonly #changes = new EventTarget()
  #failures: Failure[] = []
  readonly #everMade = new Set<string>()
  readonly #watermarks = new Map<string, number>()
  #topicsMade = 0
  /** Grows with whatever is no append: partitions, leaders, beginnings. */
  #shape = 0

  constructor(options: MemorySourceOptions) {
    this.name = options.name ?? 'memory'
    this.startingOffsets = options.startingOffsets ?? { at: 'earliest' }
    this.isolation = options.isolation ?? 'read_uncommitted'
    this.#clock = options.clock ?? systemClock
    // Every read that waits listens, and a job may well have more than ten.
    setMaxListeners(0, this.#changes)
    for (const [topic, partitions] of Object.entries(options.topics ?? {})) this.createTopic(topic, partitions)
  }

  /** Topics it has, and those it has had. */
  names(topic: string): boolean {
    return this.#everMade.has(topic)
  }

  /** Makes a topic, or makes it again: empty, and with another topic id. */
  createTopic(topic: string, partitions: number): void {
    this.#topicsMade += 1
    this.#everMade.add(topic)
    this.#shape += 1
    this.#topics.set(topic, { id: `topic-${this.#topicsMade}`, logs: Array.from({ length: partitions }, () => new MemoryLog()) })
    this.#changed()
  }

  addPartitions(topic: string, count: number): void {
    this.#topic(topic).logs.push(...Array.from({ length: count }, () => new MemoryLog()))
    this.#shape += 1
    this.#changed()
  }

  removeTopic(topic: string): void {
    this.#topics.delete(topic)
    this.#shape += 1
    this.#changed()
  }

  /** Returns the offset of the first of `records`. */
  append(topic: string, partition: number, ...records: readonly NewRecord[]): number {
    const log = this.#log({ topic, partition })
    const first = log.endOffset
    for (const { key, value, timestamp, headers } of records) {
      log.append({
        topic,
        partition,
        timestamp: timestamp ?? this.#clock.now(),
        key: bytes(key),
        value: bytes(value),
        headers: headers ?? [],
      })
    }
    this.#changed()
    return first
  }

  /** Takes `count` offsets that no reader gets, as compaction and aborted transactions leave them. */
  skip(topic: string, partition: number, count: number): void {
    this.#log({ topic, partition }).skip(count)
    this.#changed()
  }

  /** Retention: what is before `offset` is gone. */
  deleteBefore(topic: string, partition: number, offset: number): void {
    this.#log({ topic, partition }).deleteBefore(offset)
    this.#shape += 1
    this.#changed()
  }

  /** An unclean election: what is at and after `offset` is gone, and the leader epoch grows. */
  truncate(topic: string, partition: number, offset: number): void {
    this.#log({ topic, partition }).truncate(offset)
    this.#shape += 1
    this.#changed()
  }

  /** A clean election: the leader epoch grows and nothing is gone. */
  electLeader(topic: string, partition: number): void {
    this.#log({ topic, partition }).electLeader()
    this.#shape += 1
    this.#changed()
  }

  /** A new leader's watermark lags: nothing at or after `offset` can be seen, although it is there; undefined ends that. */
  holdWatermark(topic: string, partition: number, offset: number | undefined): void {
    const key = partitionKey({ topic, partition })
    if (offset === undefined) this.#watermarks.delete(key)
    else this.#watermarks.set(key, offset)
    this.#shape += 1
    this.#changed()
  }

  /** What a consumer group has committed. */
  setCommitted(group: string, offsets: readonly PartitionOffset[]): void {
    this.#groups.set(group, offsets)
  }

  /** The next `times` calls of `call` reject with `error`; a read does so after it has given `afterRecords` records. */
  failNext(call: SourceCall, error: unknown, { times = 1, afterRecords = 0 }: { times?: number; afterRecords?: number } = {}): void {
    for (let time = 0; time < times; time++) this.#failures.push({ call, error, afterRecords })
  }

  async partitions(options: CallOptions = {}): Promise<TopicPartition[]> {
    this.#called('partitions', options)
    return this.#all().map(({ topic, partition }) => ({ topic, partition }))
  }

  async earliestOffsets(options: CallOptions = {}): Promise<PartitionOffset[]> {
    this.#called('earliestOffsets', options)
    return this.#all().map(({ log, ...at }) => ({ ...at, offset: log.startOffset }))
  }

  async latestOffsets(options: CallOptions = {}): Promise<PartitionOffset[]> {
    this.#called('latestOffsets', options)
    return this.#all().map(({ log, ...at }) => ({ ...at, offset: this.#visibleEnd(at, log) }))
  }

  async offsetsForTimestamp(timestamp: number, options: CallOptions = {}): Promise<PartitionOffset[]> {
    this.#called('offsetsForTimestamp', options)
    return this.#all().map(({ log, ...at }) => ({ ...at, offset: log.offsetFor(timestamp) }))
  }

  async committedOffsets(group: string, options: CallOptions = {}): Promise<PartitionOffset[]> {
    this.#called('committedOffsets', options)
    return [...(this.#groups.get(group) ?? [])]
  }

  async epochEndOffsets(positions: readonly PartitionOffset[], options: CallOptions = {}): Promise<PartitionOffset[]> {
    this.#called('epochEndOffsets', options)
    return positions.flatMap(({ topic, partition, leaderEpoch }) => {
      const log = this.#topics.get(topic)?.logs[partition]
      if (leaderEpoch === undefined || log === undefined) return []
      return [{ topic, partition, offset: log.endOffsetOf(leaderEpoch), leaderEpoch }]
    })
  }

  /** Resolves empty only when a partition is not there, or when partitions or leaders have changed: a test that waits for records hangs where none come, and does not spin. */
  async awaitRecords(from: readonly PartitionOffset[], options: CallOptions = {}): Promise<PartitionOffset[]> {
    this.#called('awaitRecords', options)
    const isGone = ({ topic, partition }: TopicPartition) => this.#topics.get(topic)?.logs[partition] === undefined
    for (const shape = this.#shape; shape === this.#shape && !from.some(isGone); ) {
      const beyond = this.#all()
        .filter(({ log, ...at }) => from.some(other => comparePartitions(other, at) === 0 && other.offset < this.#visibleEnd(at, log)))
        .map(({ log, ...at }) => ({ ...at, offset: this.#visibleEnd(at, log) }))
      if (beyond.length > 0) return beyond
      await this.#change(options.signal)
    }
    return []
  }

  /**
   * Waits for records that the log does not have yet, as a reader of Kafka does while a new leader's watermark lags.
   * Throws `DataLossError` where the range's log was cut, deleted or made again, or gives what is left where `onDataLoss` returns.
   */
  async *read(range: OffsetRange, options: ReadOptions = {}): AsyncGenerator<readonly MemoryRecord[]> {
    this.calls.read += 1
    this.reads.push(range)
    const failure = this.#takeFailure('read')
    let given = 0
    let untilOffset = range.untilOffset
    for (let next = range.fromOffset; next < untilOffset; ) {
      options.signal?.throwIfAborted()
      if (failure !== undefined && given >= failure.afterRecords) throw failure.error
      const log = this.#intactLog({ ...range, untilOffset }, next)
      if (log instanceof DataLossError) {
        if (options.onDataLoss === undefined) throw log
        options.onDataLoss(log)
        const [missing] = log.missing
        if (log.lossCause === 'retention') next = missing?.untilOffset ?? untilOffset
        else if (log.lossCause === 'truncation') untilOffset = Math.max(next, missing?.fromOffset ?? next)
        else break
        continue
      }
      const until = Math.min(untilOffset, this.#visibleEnd(range, log))
      if (next >= until) {
        await this.#change(options.signal)
        continue
      }
      const most = failure === undefined ? MAX_CHUNK_RECORDS : Math.min(MAX_CHUNK_RECORDS, failure.afterRecords - given)
      const chunk = log.slice(next, until, most)
      next = chunk.length < most ? until : (chunk.at(-1)?.offset ?? next) + 1
      given += chunk.length
      if (chunk.length > 0) {
        options.onBytes?.(chunk.reduce((sum, { key, value }) => sum + (key?.length ?? 0) + (value?.length ?? 0), 0))
        yield chunk
      }
    }
    if (failure !== undefined) throw failure.error
  }

  async close(): Promise<void> {}

  #intactLog(range: OffsetRange, next: number): MemoryLog | DataLossError {
    const rest = { ...range, fromOffset: next }
    const topic = this.#topics.get(range.topic)
    const log = topic?.logs[range.partition]
    if (topic === undefined || log === undefined)
      return new DataLossError('removed', `${showRange(rest)} cannot be read: the partition is gone.`, [rest])
    if (range.topicId !== undefined && range.topicId !== topic.id) {
      return new DataLossError('recreated', `${showRange(rest)} cannot be read: topic ${range.topic} was made again.`, [rest])
    }
    if (next < log.startOffset) {
      const missing = { ...rest, untilOffset: Math.min(log.startOffset, range.untilOffset) }
      return new DataLossError('retention', `${showRange(missing)} is gone: the log begins at ${log.startOffset}.`, [missing], {
        resumeAt: log.startOffset,
      })
    }
    const intactUntil = range.leaderEpoch === undefined ? range.untilOffset : log.endOffsetOf(range.leaderEpoch)
    if (intactUntil < range.untilOffset && range.leaderEpoch !== log.leaderEpoch) {
      const missing = { ...rest, fromOffset: Math.max(next, intactUntil) }
      return new DataLossError(
        'truncation',
        `${showRange(missing)} is gone: the log of epoch ${range.leaderEpoch} ends at ${intactUntil}.`,
        [missing],
        { resumeAt: intactUntil },
      )
    }
    return log
  }

  #all(): (TopicPartition & { topicId: string; leaderEpoch: number; log: MemoryLog })[] {
    return [...this.#topics]
      .flatMap(([topic, { id, logs }]) =>
        logs.map((log, partition) => ({ topic, partition, topicId: id, leaderEpoch: log.leaderEpoch, log })),
      )
      .sort(comparePartitions)
  }

  #topic(topic: string) {
    const found = this.#topics.get(topic)
    if (found === undefined) throw new ConfigError(`memorySource has no topic ${topic}; createTopic makes one.`)
    return found
  }

  #log(at: TopicPartition): MemoryLog {
    const log = this.#topic(at.topic).logs[at.partition]
    if (log === undefined) throw new ConfigError(`memorySource has no partition ${showPartition(at)}; addPartitions makes more.`)
    return log
  }

  #visibleEnd(at: TopicPartition, log: MemoryLog): number {
    return Math.min(log.endOffset, this.#watermarks.get(partitionKey(at)) ?? log.endOffset)
  }

  #called(call: SourceCall, options: CallOptions): void {
    this.calls[call] += 1
    options.signal?.throwIfAborted()
    const failure = this.#takeFailure(call)
    if (failure !== undefined) throw failure.error
  }

  #takeFailure(call: SourceCall): Failure | undefined {
    const failure = this.#failures.find(other => other.call === call)
    this.#failures = this.#failures.filter(other => other !== failure)
    return failure
  }

  #changed(): void {
    this.#changes.dispatchEvent(new Event('change'))
  }

  async #change(signal: AbortSignal | undefined): Promise<void> {
    try {
      await once(this.#changes, 'change', signal === undefined ? {} : { signal })
    } catch (error) {
      // `once` wraps the reason in an AbortError of its own; callers are promised the reason itself.
      signal?.throwIfAborted()
      throw error
    }
  }
}

function bytes(value: string | Buffer | null | undefined): Buffer | null {
  return typeof value === 'string' ? Buffer.from(value) : (value ?? null)
}
