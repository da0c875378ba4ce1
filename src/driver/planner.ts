import { ConfigError, JobError } from '../core/errors.ts'
import type { RunnableJob } from '../core/runnable-job.ts'
import type { CallOptions } from '../core/source.ts'
import { comparePartitions, countOffsets, type OffsetRange, type PartitionOffset, partitionKey, showPartition } from '../core/values.ts'
import type { BatchFacts } from './batch-facts.ts'
import type { JobSource, Limits, Until, World } from './driver-job.ts'
import { type Loss, LossFinder, type Sight } from './loss-finder.ts'
import { OffsetWeights } from './offset-weights.ts'
import { planBatch } from './plan-batch.ts'
import { PACED_BATCH_MS, RatePacer } from './rate-pacer.ts'
import { ByteShares } from './share-bytes.ts'
import { splitRanges } from './split-ranges.ts'
import { TotalRate } from './total-rate.ts'

/** What the planner has seen of one partition. */
type Seen = { readonly latest: PartitionOffset; readonly source: JobSource }

const NOTHING_ALLOWED =
  'the rates leave every partition less than a record a batch, and limits.minRatePerPartition, 0, lifts none of them: raise one of the two'

/**
 * Knows how far the sources reach and turns that into ranges. Its planning is pure ({@link planBatch}, {@link splitRanges});
 * this class adds what was last seen and the bounds of a run.
 */
export class Planner {
  readonly #sources: readonly JobSource[]
  readonly #limits: Limits
  readonly #batchIntervalMs: number
  readonly #world: World
  readonly #seen = new Map<string, Seen>()
  readonly #topics = new Map<string, JobSource>()
  /** Where topics came from, also those that are gone. */
  readonly #owners = new Map<string, JobSource>()
  readonly #lossFinder: LossFinder
  #bounds: Map<string, number> | undefined
  /** Exact bounds may lie beyond what is there: they are waited for. */
  #hasExactBounds = false
  /** The partitions that this run is about, where it is about some only. */
  #scope: ReadonlySet<string> | undefined
  #lastBatchAt: number
  /** What offsets weigh, for `maxBytesPerBatch`. */
  readonly weights = new OffsetWeights()
  readonly #byteShares = new ByteShares()
  readonly #pacer: RatePacer | undefined
  readonly #totalRate: TotalRate | undefined

  constructor(sources: readonly JobSource[], limits: Limits, batchIntervalMs: number, world: World) {
    this.#sources = sources
    this.#limits = limits
    this.#batchIntervalMs = batchIntervalMs
    this.#world = world
    this.#lossFinder = new LossFinder(world)
    this.#lastBatchAt = world.clock.monotonic()
    this.#pacer = batchIntervalMs === 0 ? new RatePacer(world.clock, limits) : undefined
    this.#totalRate = limits.maxRate === undefined ? undefined : new TotalRate(world.clock, limits.maxRate)
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
      if (this.#scope !== undefined && !this.#scope.has(partitionKey(at))) continue
      const other = this.#topics.get(at.topic)
      if (other !== undefined && other !== source) {
        throw new JobError(
          `Topic ${at.topic} comes from two sources of the job, ${other.name} and ${source.name}. Give one of them an alias, or read the topic once.`,
        )
      }
      this.#topics.set(at.topic, source)
      this.#owners.set(at.topic, source)
      this.#seen.set(partitionKey(at), { latest: at, source })
    }
  }

  /** Whether some topic of the source is among those that the stream knows. */
  hasStarted(source: JobSource, knownTopics: ReadonlySet<string>): boolean {
    for (const topic of knownTopics) if (this.#topics.get(topic) === source) return true
    return false
  }

  /** Records that the stream was to read and that are gone, with where it may go on. */
  findLosses(committed: ReadonlyMap<string, PartitionOffset>, options: CallOptions): Promise<Loss[]> {
    return this.#lossFinder.find(committed, (key, at) => this.#sight(key, at), options)
  }

  /** Whether some partition has to be looked at again before it may be read on. */
  get isStalled(): boolean {
    return this.#lossFinder.waiting.size > 0
  }

  /** A task met lost records: the next search looks for all kinds. */
  expectLosses(): void {
    this.#lossFinder.expectLosses()
  }

  /** Takes what is gone out of the run's bounds: it would wait for it for ever. */
  passLoss(loss: Loss): void {
    const at = 'forget' in loss ? loss.forget : loss.resume
    const key = partitionKey(at)
    const bound = this.#bounds?.get(key)
    if (bound === undefined) return
    if ('forget' in loss) this.#bounds?.delete(key)
    // What was written since the log was cut or made again is not what a backfill was asked for.
    else if (this.#scope !== undefined) {
      if (loss.error.lossCause !== 'retention') this.#bounds?.set(key, Math.min(bound, loss.resume.offset))
    } else if (!this.#hasExactBounds) {
      const end = this.#seen.get(key)?.latest.offset ?? 0
      this.#bounds?.set(key, Math.min(bound, Math.max(end, loss.resume.offset)))
    }
  }

  /** Topics of sources that name theirs which the stream has no offsets of: what the job has gained. */
  addedTopics(committed: ReadonlyMap<string, PartitionOffset>): string[] {
    const known = new Set(Array.from(committed.values(), position => position.topic))
    const added = Array.from(this.#topics).filter(([topic, { source }]) => !known.has(topic) && source.findsTopics !== true)
    return added.map(([topic]) => topic).sort()
  }

  /** Committed topics that no source of the job names any more: not lost, only left out. */
  unnamedTopics(committed: ReadonlyMap<string, PartitionOffset>): string[] {
    const topics = new Set(Array.from(committed.values(), position => position.topic))
    return [...topics].filter(topic => this.#sourceNaming(topic) === undefined).sort()
  }

  #sight(key: string, { topic }: PartitionOffset | { readonly topic: string }): Sight | undefined {
    const seen = this.#seen.get(key)
    if (seen !== undefined) return seen
    const source = this.#sourceNaming(topic)
    return source && { source, latest: undefined }
  }

  /** The source that reads the topic, or would if it were there. */
  #sourceNaming(topic: string): JobSource | undefined {
    const known = this.#topics.get(topic) ?? this.#owners.get(topic)
    return known ?? this.#sources.find(({ source }) => source.names?.(topic) ?? this.#sources.length === 1)
  }

  /** Positions by the source that reads their topic; those that no source names are left out. */
  bySource(positions: Iterable<PartitionOffset>): Map<JobSource, PartitionOffset[]> {
    const found = new Map<JobSource, PartitionOffset[]>()
    for (const position of positions) {
      const source = this.#sourceNaming(position.topic)
      if (source === undefined) continue
      const list = found.get(source)
      if (list === undefined) found.set(source, [position])
      else list.push(position)
    }
    return found
  }

  /** Whether some source reads the topic, or would if it were there. */
  namesTopic(topic: string): boolean {
    return this.#sourceNaming(topic) !== undefined
  }

  /** Those of a batch's outputs that the range's topic goes to, whether or not it is still there. */
  outputsOf({ topic }: OffsetRange, names: readonly string[], outputs: RunnableJob['outputs']): string[] {
    const source = this.#sourceNaming(topic)?.source
    return names.filter(name => {
      const output = outputs.get(name)
      // Dead letters are of every source.
      return output?.isDeadLetters ? source !== undefined : output?.source === source
    })
  }

  /** How many of the ranges go to each output. */
  countTasks(ranges: readonly OffsetRange[], names: readonly string[], outputs: RunnableJob['outputs']): Record<string, number> {
    const counts = new Map(names.map(name => [name, 0]))
    for (const range of ranges) {
      for (const name of this.outputsOf(range, names, outputs)) counts.set(name, (counts.get(name) ?? 0) + 1)
    }
    return Object.fromEntries(counts)
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
    this.#hasExactBounds = until !== 'latest' && until.at === 'exact'
    this.#bounds = new Map((await this.#resolve(until, options)).map(at => [partitionKey(at), at.offset]))
  }

  /** Makes this run one of these partitions only, up to these offsets; all others might as well not be there. */
  scopeTo(ends: readonly PartitionOffset[]): void {
    this.#bounds = new Map(ends.map(at => [partitionKey(at), at.offset]))
    this.#scope = new Set(this.#bounds.keys())
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
   * The next batch's ranges, from the committed offsets and what was last seen. Empty where there is nothing to read; `stalled` says why a
   * partition cannot go on, where one cannot; `heldBackMs` how long a batch of too few records waits for more.
   */
  plan(
    committed: ReadonlyMap<string, PartitionOffset>,
    rate: number | undefined,
  ): { ranges: OffsetRange[]; lag: number; stalled: string | undefined; heldBackMs: number | undefined } {
    const from: PartitionOffset[] = []
    const latest: PartitionOffset[] = []
    let lag = 0
    let stalled: string | undefined
    for (const [key, position] of committed) {
      const seen = this.#seen.get(key)
      if (seen === undefined) continue
      const waiting = this.#lossFinder.waiting.get(key)
      if (waiting !== undefined) {
        stalled ??= waiting
        continue
      }
      const bound = this.#bounds === undefined ? Number.MAX_SAFE_INTEGER : (this.#bounds.get(key) ?? position.offset)
      const end = Math.max(Math.min(seen.latest.offset, bound), position.offset)
      from.push(position)
      latest.push({ ...seen.latest, offset: end })
      lag += end - position.offset
    }
    const maxRecordsPerBatch = this.#maxRecords(latest)
    const heldBackMs = this.#heldBackMs(lag, maxRecordsPerBatch)
    if (heldBackMs !== undefined) return { ranges: [], lag, stalled, heldBackMs }
    const { maxBytesPerBatch, maxRatePerPartition, minRatePerPartition, initialRate } = this.#limits
    const { minTasks, maxRecordsPerTask } = this.#limits
    const planned = planBatch({
      from,
      latest,
      batchIntervalMs: this.#batchIntervalMs === 0 ? PACED_BATCH_MS : this.#batchIntervalMs,
      ...(rate !== undefined && { rate }),
      limits: {
        maxRecordsPerBatch,
        ...(maxRatePerPartition !== undefined && { maxRatePerPartition }),
        ...(minRatePerPartition !== undefined && { minRatePerPartition }),
        ...(initialRate !== undefined && { initialRate }),
      },
    })
    // Asked again and again at once, it would only say the same.
    if (planned.length === 0 && lag > 0) return { ranges: [], lag, stalled: stalled ?? NOTHING_ALLOWED, heldBackMs: PACED_BATCH_MS }
    const weighed = this.#byteShares.limit(planned, at => this.weights.of(at), maxBytesPerBatch)
    const ranges = splitRanges(weighed, {
      ...(minTasks !== undefined && { minTasks }),
      ...(maxRecordsPerTask !== undefined && { maxRecordsPerTask }),
    })
    for (const range of ranges) lag -= countOffsets(range)
    if (ranges.length > 0) {
      this.#lastBatchAt = this.#world.clock.monotonic()
      this.#pacer?.spend(weighed)
      this.#totalRate?.spend(weighed.reduce((sum, range) => sum + countOffsets(range), 0))
    }
    return { ranges, lag, stalled, heldBackMs: undefined }
  }

  /** The most that a batch may have, of partitions that reach so far. */
  #maxRecords(latest: readonly PartitionOffset[]): number {
    const { maxRecordsPerBatch } = this.#limits
    const [first] = latest
    if (this.#totalRate === undefined || first === undefined) return maxRecordsPerBatch
    const heaviest = latest.reduce((most, at) => Math.max(most, this.weights.of(at) ?? 0), 0)
    return Math.min(maxRecordsPerBatch, this.#totalRate.batchSize(heaviest === 0 ? undefined : heaviest))
  }

  /**
   * How long a batch still waits, ms: for its turn by the rates, or for more records than too few. A run with an end does not wait for more:
   * the last records would never come. That wait begins with the last batch, or with the run, by the clock that only grows (not so Spark's).
   */
  #heldBackMs(available: number, maxRecords: number): number | undefined {
    const { minRecordsPerBatch, maxBatchDelayMs } = this.#limits
    if (available === 0) return undefined
    const pacedMs = this.#pacer?.leftMs() ?? this.#totalRate?.leftMs(Math.min(available, maxRecords))
    if (pacedMs !== undefined) return pacedMs
    if (available >= minRecordsPerBatch || this.#bounds !== undefined) return undefined
    const left = this.#lastBatchAt + maxBatchDelayMs - this.#world.clock.monotonic()
    return left > 0 ? left : undefined
  }

  /** Committed offsets, by source, of the partitions whose next records this run would read: what to wait on. */
  positions(committed: ReadonlyMap<string, PartitionOffset>): Map<JobSource, PartitionOffset[]> {
    const positions = new Map<JobSource, PartitionOffset[]>(this.#sources.map(source => [source, []]))
    for (const [key, position] of committed) {
      const seen = this.#seen.get(key)
      // What the run's bounds leave out, or may not be read yet, would end the wait at once, for nothing.
      const isDone = this.#bounds !== undefined && (this.#bounds.get(key) ?? 0) <= position.offset
      if (seen !== undefined && !isDone && !this.#lossFinder.waiting.has(key)) positions.get(seen.source)?.push(position)
    }
    for (const list of positions.values()) list.sort(comparePartitions)
    return positions
  }
}
