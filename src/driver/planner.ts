import { ConfigError, DataLossError, JobError } from '../core/errors.ts'
import type { RunnableJob } from '../core/runnable-job.ts'
import type { CallOptions } from '../core/source.ts'
import { comparePartitions, type OffsetRange, type PartitionOffset, partitionKey, showPartition } from '../core/values.ts'
import type { BatchFacts } from './batch-facts.ts'
import type { JobSource, Limits, Until, World } from './driver-job.ts'
import { planBatch } from './plan-batch.ts'
import { splitRanges } from './split-ranges.ts'

/** How long a latest offset below the committed one is taken for a new leader's lagging watermark before it counts as a truncated log. */
const TRUNCATION_GRACE_MS = 30_000

/** What the planner has seen of one partition. */
type Seen = { readonly latest: PartitionOffset; readonly source: JobSource }

/**
 * Knows how far the sources reach and turns that into ranges. Its planning is pure ({@link planBatch}, {@link splitRanges});
 * this class adds what was last seen, the bounds of a run, and the judgement of offsets that do not fit.
 */
export class Planner {
  readonly #sources: readonly JobSource[]
  readonly #limits: Limits
  readonly #batchIntervalMs: number
  readonly #world: World
  readonly #seen = new Map<string, Seen>()
  readonly #topics = new Map<string, JobSource>()
  readonly #belowSince = new Map<string, number>()
  /** The newest leader epoch under which a partition's committed position was found whole. */
  readonly #checkedEpochs = new Map<string, number>()
  #bounds: ReadonlyMap<string, number> | undefined
  #plannedAt: number | undefined

  constructor(sources: readonly JobSource[], limits: Limits, batchIntervalMs: number, world: World) {
    this.#sources = sources
    this.#limits = limits
    this.#batchIntervalMs = batchIntervalMs
    this.#world = world
  }

  /** Asks every source for its latest offsets, and so for its partitions. */
  async look(options: CallOptions): Promise<void> {
    const looked = await Promise.all(this.#sources.map(async source => ({ source, latest: await source.source.latestOffsets(options) })))
    this.#seen.clear()
    this.#topics.clear()
    for (const { source, latest } of looked) this.note(source, latest)
  }

  /** Takes over latest offsets that came another way than by asking, such as with a fetch that waited for records. */
  note(source: JobSource, latest: readonly PartitionOffset[]): void {
    for (const at of latest) {
      const other = this.#topics.get(at.topic)
      if (other !== undefined && other !== source) {
        throw new JobError(
          `Topic ${at.topic} comes from two sources of the job, ${other.name} and ${source.name}. Give one of them an alias, or read the topic once.`,
        )
      }
      this.#topics.set(at.topic, source)
      this.#seen.set(partitionKey(at), { latest: at, source })
    }
  }

  /** Whether some topic of the source is among those that the stream knows. */
  hasStarted(source: JobSource, knownTopics: ReadonlySet<string>): boolean {
    for (const topic of knownTopics) if (this.#topics.get(topic) === source) return true
    return false
  }

  /**
   * Finds logs that were cut below what is committed and have grown since, which no comparison of offsets shows: the leader says where the
   * epoch of the committed position ended (KIP-320).
   *
   * @throws DataLossError with what was written over
   */
  async checkEpochs(committed: ReadonlyMap<string, PartitionOffset>, options: CallOptions): Promise<void> {
    const changed = new Map<JobSource, PartitionOffset[]>()
    for (const [key, position] of committed) {
      const seen = this.#seen.get(key)
      const epoch = seen?.latest.leaderEpoch
      if (seen === undefined || epoch === undefined || position.leaderEpoch === undefined || epoch <= position.leaderEpoch) continue
      if (epoch <= (this.#checkedEpochs.get(key) ?? Number.NEGATIVE_INFINITY)) continue
      const list = changed.get(seen.source)
      if (list === undefined) changed.set(seen.source, [position])
      else list.push(position)
    }
    for (const [{ source }, positions] of changed) {
      const ends = (await source.epochEndOffsets?.(positions, options)) ?? []
      for (const { topic, partition, offset } of ends) {
        const key = partitionKey({ topic, partition })
        const position = committed.get(key)
        const epoch = this.#seen.get(key)?.latest.leaderEpoch
        if (position === undefined || epoch === undefined) continue
        if (offset < position.offset) throw overwritten(position, offset)
        this.#checkedEpochs.set(key, epoch)
      }
    }
  }

  /** Whether some source has the topic, as last seen. */
  hasTopic(topic: string): boolean {
    return this.#topics.has(topic)
  }

  /** Those of a batch's outputs that the range's topic goes to. */
  outputsOf({ topic }: OffsetRange, names: readonly string[], outputs: RunnableJob['outputs']): string[] {
    const source = this.#topics.get(topic)?.source
    return names.filter(name => outputs.get(name)?.source === source)
  }

  /** What an intent says of isolation: one for all, or by topic where sources differ. */
  isolationOf(ranges: readonly OffsetRange[]): BatchFacts['isolation'] {
    const byTopic = new Map(ranges.map(({ topic }) => [topic, this.#topics.get(topic)?.isolation ?? 'read_committed']))
    const [first, ...others] = new Set(byTopic.values())
    return first !== undefined && others.length === 0 ? first : Object.fromEntries(byTopic)
  }

  /** Partitions that exist and have no committed offset yet, by source. */
  withoutOffset(committed: ReadonlyMap<string, PartitionOffset>): Map<JobSource, PartitionOffset[]> {
    const found = new Map<JobSource, PartitionOffset[]>()
    for (const [key, { latest, source }] of this.#seen) {
      if (committed.has(key)) continue
      const list = found.get(source)
      if (list === undefined) found.set(source, [latest])
      else list.push(latest)
    }
    return found
  }

  /** Fixes where the run ends, from what is there now. Partitions that appear later are not part of it. */
  async bound(until: Until, options: CallOptions): Promise<void> {
    this.#bounds = new Map((await this.#resolve(until, options)).map(at => [partitionKey(at), at.offset]))
  }

  async #resolve(until: Until, options: CallOptions): Promise<readonly PartitionOffset[]> {
    if (until === 'latest') return [...this.#seen.values()].map(seen => seen.latest)
    if (until.at === 'exact') {
      const unknown = until.offsets.find(at => !this.#seen.has(partitionKey(at)))
      if (unknown === undefined) return until.offsets
      throw new ConfigError(
        `until names ${showPartition(unknown)}, which no source of the job has. Take it out, or the run would never end.`,
      )
    }
    const found = await Promise.all(this.#sources.map(({ source }) => source.offsetsForTimestamp(until.timestamp, options)))
    return found.flat()
  }

  /** Whether the run's bounds are reached. False while it has none. */
  isDone(committed: ReadonlyMap<string, PartitionOffset>): boolean {
    if (this.#bounds === undefined) return false
    for (const [key, offset] of this.#bounds) if ((committed.get(key)?.offset ?? -1) < offset) return false
    return true
  }

  /**
   * The next batch's ranges, from the committed offsets and what was last seen. Empty where there is nothing to read.
   *
   * @throws DataLossError where a topic was deleted, recreated or truncated below what is committed
   */
  plan(committed: ReadonlyMap<string, PartitionOffset>, rate: number | undefined): { ranges: OffsetRange[]; lag: number } {
    const from: PartitionOffset[] = []
    const latest: PartitionOffset[] = []
    let lag = 0
    for (const [key, position] of committed) {
      const seen = this.#seen.get(key)
      if (seen === undefined) throw this.#removed(position)
      this.#checkIncarnation(position, seen.latest)
      this.#checkTruncation(key, position, seen.latest)
      const bound = this.#bounds === undefined ? Number.MAX_SAFE_INTEGER : (this.#bounds.get(key) ?? position.offset)
      const end = Math.max(Math.min(seen.latest.offset, bound), position.offset)
      from.push(position)
      latest.push({ ...seen.latest, offset: end })
      lag += end - position.offset
    }
    const { maxRecordsPerBatch, maxRatePerPartition, minRatePerPartition, initialRate, minTasks, maxRecordsPerTask } = this.#limits
    const planned = planBatch({
      from,
      latest,
      batchIntervalMs: this.#intervalMs(),
      ...(rate !== undefined && { rate }),
      limits: {
        maxRecordsPerBatch,
        ...(maxRatePerPartition !== undefined && { maxRatePerPartition }),
        ...(minRatePerPartition !== undefined && { minRatePerPartition }),
        ...(initialRate !== undefined && { initialRate }),
      },
    })
    const ranges = splitRanges(planned, {
      ...(minTasks !== undefined && { minTasks }),
      ...(maxRecordsPerTask !== undefined && { maxRecordsPerTask }),
    })
    for (const range of ranges) lag -= range.untilOffset - range.fromOffset
    return { ranges, lag }
  }

  /** What a rate a second is a rate of: the interval, or without one the time since the last batch was planned. */
  #intervalMs(): number {
    const now = this.#world.clock.monotonic()
    const sinceLast = Math.max(1, now - (this.#plannedAt ?? now - 1_000))
    this.#plannedAt = now
    return this.#batchIntervalMs === 0 ? sinceLast : this.#batchIntervalMs
  }

  /** Committed offsets, by source, of the partitions whose next records this run would read: what to wait on. */
  positions(committed: ReadonlyMap<string, PartitionOffset>): Map<JobSource, PartitionOffset[]> {
    const positions = new Map<JobSource, PartitionOffset[]>(this.#sources.map(source => [source, []]))
    for (const [key, position] of committed) {
      const seen = this.#seen.get(key)
      // What the run's bounds leave out, or a watermark that lags, would end the wait at once, for nothing.
      const isDone = this.#bounds !== undefined && (this.#bounds.get(key) ?? 0) <= position.offset
      if (seen !== undefined && !isDone && seen.latest.offset >= position.offset) positions.get(seen.source)?.push(position)
    }
    for (const list of positions.values()) list.sort(comparePartitions)
    return positions
  }

  #removed(position: PartitionOffset): DataLossError {
    return new DataLossError(
      'removed',
      `${showPartition(position)} is gone from Kafka, and the stream has read it up to offset ${position.offset}: its topic was deleted, or the job no ` +
        `longer names it. Name the topic again, or start a stream under another name.`,
      [],
      { details: { ...position } },
    )
  }

  #checkIncarnation(position: PartitionOffset, latest: PartitionOffset): void {
    if (position.topicId === undefined || latest.topicId === undefined || position.topicId === latest.topicId) return
    throw new DataLossError(
      'recreated',
      `Topic ${position.topic} was deleted and created again (its id was ${position.topicId} and is ${latest.topicId}): offset ${position.offset} of ` +
        `partition ${position.partition} belongs to a log that is gone. Start a stream under another name to read the new topic.`,
      [],
      { details: { ...position, newTopicId: latest.topicId } },
    )
  }

  #checkTruncation(key: string, position: PartitionOffset, latest: PartitionOffset): void {
    if (latest.offset >= position.offset) {
      this.#belowSince.delete(key)
      return
    }
    const now = this.#world.clock.monotonic()
    const since = this.#belowSince.get(key) ?? now
    this.#belowSince.set(key, since)
    if (now - since < TRUNCATION_GRACE_MS) return
    throw new DataLossError(
      'truncation',
      `${showPartition(position)} ends at offset ${latest.offset}, below ${position.offset}, which the stream has committed: its log was cut, and other ` +
        `records may take those offsets.`,
      [{ topic: position.topic, partition: position.partition, fromOffset: latest.offset, untilOffset: position.offset }],
      { details: { ...position, latest: latest.offset } },
    )
  }
}

function overwritten(position: PartitionOffset, endOffset: number): DataLossError {
  const { topic, partition } = position
  return new DataLossError(
    'truncation',
    `The log of ${showPartition(position)} was cut at offset ${endOffset} after an election and has grown again: the stream has read it up to ` +
      `${position.offset}, and offsets from ${endOffset} on are other records now, which it would never read.`,
    [{ topic, partition, fromOffset: endOffset, untilOffset: position.offset }],
    { details: { ...position, endOffset } },
  )
}
