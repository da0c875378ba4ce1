import { DataLossError } from '../core/errors.ts'
import { howToGoOn } from '../core/how-to-go-on.ts'
import type { CallOptions } from '../core/source.ts'
import { type PartitionOffset, partitionKey, showPartition, type TopicPartition } from '../core/values.ts'
import type { JobSource, World } from './driver-job.ts'

/** How often the first offsets are asked for, to find what retention took before it was planned (ms). */
const EARLIEST_EVERY_MS = 30_000
/**
 * How long a latest offset below the committed one is taken for a lagging watermark before it counts as a log that was cut (ms). Only for
 * positions whose leader epoch nobody knows; of the others the leader says whether their log is whole, and nothing else proves that it was cut.
 */
const TRUNCATION_GRACE_MS = 30_000

/** Committed records' successors that are gone, with where the partition goes on if it is to go on. */
export type Loss =
  | { readonly error: DataLossError; readonly resume: PartitionOffset }
  | { readonly error: DataLossError; readonly forget: TopicPartition }

/** What a partition looks like now: its source, and its end where it has one. */
export type Sight = { readonly source: JobSource; readonly latest: PartitionOffset | undefined }

type Found = {
  readonly key: string
  readonly position: PartitionOffset
  readonly latest: PartitionOffset
  /** How far the log reached the last time anybody looked. */
  readonly lastEnd: number
}

/**
 * Judges committed positions by what the sources show now. Four things can have happened to records that a stream was to read: retention took
 * them, an unclean election cut the log, the topic was made again, or it is gone.
 */
export class LossFinder {
  readonly #world: World
  /** The newest leader epoch under which a partition's committed position was found whole. */
  readonly #checkedEpochs = new Map<string, number>()
  readonly #belowSince = new Map<string, number>()
  readonly #lastEnds = new Map<string, number>()
  #waiting = new Map<string, string>()
  #earliestAt = Number.NEGATIVE_INFINITY

  constructor(world: World) {
    this.#world = world
  }

  /** Every loss there is, by what was just seen. Asks sources only for what their latest offsets do not tell. */
  async find(
    committed: ReadonlyMap<string, PartitionOffset>,
    sightOf: (key: string, at: TopicPartition) => Sight | undefined,
    options: CallOptions,
  ): Promise<Loss[]> {
    const losses: Loss[] = []
    const waiting = new Map<string, string>()
    const toAsk = new Map<JobSource, Found[]>()
    const recreated = new Map<JobSource, PartitionOffset[]>()
    const behind = new Map<JobSource, Found[]>()
    for (const [key, position] of committed) {
      const sight = sightOf(key, position)
      if (sight === undefined) continue
      const { source, latest } = sight
      if (latest === undefined) losses.push(this.#removed(key, position))
      else if (isOtherTopic(position, latest)) push(recreated, source, position)
      else {
        const found = { key, position, latest, lastEnd: this.#lastEnds.get(key) ?? position.offset }
        if (latest.offset > position.offset) push(behind, source, found)
        if (latest.offset >= position.offset) this.#belowSince.delete(key)
        // What a leader shows that may have cut the log is no end of the log that was read.
        if (this.#mustAsk(found, source)) {
          push(toAsk, source, found)
          continue
        }
        if (latest.offset < position.offset) {
          const loss = this.#cutForLong(found)
          if (loss === undefined) waiting.set(key, lagging(found))
          else losses.push(loss)
        }
        this.#lastEnds.set(key, latest.offset)
      }
    }
    for (const [source, found] of toAsk) losses.push(...(await this.#findCut(source, found, waiting, options)))
    for (const [source, positions] of recreated) losses.push(...(await this.#findRecreated(source, positions, options)))
    const known = new Set(losses.map(({ error }) => partitionKey(error.details as TopicPartition)))
    losses.push(...(await this.#findExpired(behind, known, options)))
    this.#waiting = waiting
    return losses
  }

  /**
   * Why partitions cannot be read on although nothing is known to be lost, a sentence each. Nothing of them may be planned meanwhile: a range
   * carries the epoch of the leader it was planned under, and would vouch for a log that nobody has compared with the position.
   */
  get waiting(): ReadonlyMap<string, string> {
    return this.#waiting
  }

  /** Somebody met lost records: the next look asks for first offsets, whenever that was last done. */
  expectLosses(): void {
    this.#earliestAt = Number.NEGATIVE_INFINITY
  }

  #mustAsk({ key, position, latest }: Found, { source }: JobSource): boolean {
    if (source.epochEndOffsets === undefined || latest.leaderEpoch === undefined || position.leaderEpoch === undefined) return false
    if (latest.offset < position.offset) return true
    return latest.leaderEpoch > Math.max(position.leaderEpoch, this.#checkedEpochs.get(key) ?? Number.NEGATIVE_INFINITY)
  }

  /** After an election the leader says where the committed position's epoch ended: also a log that was cut and has grown again is found so. */
  async #findCut({ source }: JobSource, asked: readonly Found[], waiting: Map<string, string>, options: CallOptions): Promise<Loss[]> {
    const positions = asked.map(({ position }) => position)
    const ends = new Map(((await source.epochEndOffsets?.(positions, options)) ?? []).map(end => [partitionKey(end), end.offset]))
    const cuts: { found: Found; end: number }[] = []
    for (const found of asked) {
      const { key, position, latest } = found
      const end = ends.get(key)
      if (end !== undefined && end < position.offset) cuts.push({ found, end })
      else if (latest.offset < position.offset) waiting.set(key, lagging(found))
      else if (end === undefined) waiting.set(key, unproven(found))
      if (end === undefined || latest.offset < position.offset) continue
      this.#lastEnds.set(key, latest.offset)
      if (latest.leaderEpoch !== undefined) this.#checkedEpochs.set(key, latest.leaderEpoch)
    }
    if (cuts.length === 0) return []
    // Retention may have passed the cut: going on before the log's beginning would be the next loss.
    const earliest = new Map((await source.earliestOffsets(options)).map(at => [partitionKey(at), at.offset]))
    return cuts.map(({ found, end }) => cut(found, end, Math.max(end, earliest.get(found.key) ?? 0)))
  }

  async #findRecreated({ source }: JobSource, positions: readonly PartitionOffset[], options: CallOptions): Promise<Loss[]> {
    const earliest = new Map((await source.earliestOffsets(options)).map(at => [partitionKey(at), at]))
    return positions.flatMap(position => {
      const key = partitionKey(position)
      const resume = earliest.get(key)
      const { topic, partition, topicId } = position
      // It was made again without this partition: then the partition is gone.
      if (resume === undefined) return [this.#removed(key, position)]
      const error = new DataLossError(
        'recreated',
        `Topic ${topic} was deleted and created again (its id was ${topicId} and is ${resume.topicId}): offset ${position.offset} of partition ` +
          `${partition} belongs to a log that is gone. ${howToGoOn('recreated')}`,
        this.#unread(key, position),
        { details: { topic, partition, newTopicId: resume.topicId }, resumeAt: resume.offset },
      )
      return [{ error, resume }]
    })
  }

  #removed(key: string, position: PartitionOffset): Loss {
    const { topic, partition } = position
    const error = new DataLossError(
      'removed',
      `${showPartition(position)} is gone from Kafka, and the stream has read it up to offset ${position.offset}. ${howToGoOn('removed')}`,
      this.#unread(key, position),
      { details: { topic, partition } },
    )
    return { error, forget: { topic, partition } }
  }

  /** A log that ends below what is committed, for longer than a watermark can lag. */
  #cutForLong(found: Found): Loss | undefined {
    const now = this.#world.clock.monotonic()
    const since = this.#belowSince.get(found.key) ?? now
    this.#belowSince.set(found.key, since)
    return now - since >= TRUNCATION_GRACE_MS ? cut(found, found.latest.offset, found.latest.offset) : undefined
  }

  /** What retention took in front of a position, asked for at the first planning and then now and then. */
  async #findExpired(behind: ReadonlyMap<JobSource, Found[]>, known: ReadonlySet<string>, options: CallOptions): Promise<Loss[]> {
    const now = this.#world.clock.monotonic()
    if (behind.size === 0 || now - this.#earliestAt < EARLIEST_EVERY_MS) return []
    const asked = await Promise.all(Array.from(behind.keys(), ({ source }) => source.earliestOffsets(options)))
    this.#earliestAt = now
    const earliest = new Map(asked.flat().map(at => [partitionKey(at), at]))
    return [...behind.values()].flat().flatMap(({ key, position }) => {
      const resume = earliest.get(key)
      if (resume === undefined || known.has(key) || resume.offset <= position.offset || isOtherTopic(position, resume)) return []
      const { topic, partition } = position
      const missing = { topic, partition, fromOffset: position.offset, untilOffset: resume.offset }
      const error = new DataLossError(
        'retention',
        `${showPartition(position)} [${position.offset}, ${resume.offset}) is gone: its log begins at ${resume.offset} now. Retention or DeleteRecords ` +
          `removed it before it was read. ${howToGoOn('retention')}`,
        [missing],
        { details: { topic, partition }, resumeAt: resume.offset },
      )
      return [{ error, resume }]
    })
  }

  /** What was there the last time anybody looked. */
  #unread(key: string, { topic, partition, offset }: PartitionOffset) {
    const end = this.#lastEnds.get(key) ?? offset
    return end > offset ? [{ topic, partition, fromOffset: offset, untilOffset: end }] : []
  }
}

function cut({ position, latest, lastEnd }: Found, endOffset: number, resumeAt: number): Loss {
  const { topic, partition } = position
  const hasGrown = latest.offset > endOffset ? ' and has grown again: offsets from there on are other records now' : ''
  const error = new DataLossError(
    'truncation',
    `The log of ${showPartition(position)} was cut at offset ${endOffset}${hasGrown}, and the stream has read it up to ${position.offset}. ` +
      howToGoOn('truncation'),
    [{ topic, partition, fromOffset: endOffset, untilOffset: Math.max(position.offset, lastEnd) }],
    { details: { topic, partition }, resumeAt },
  )
  return { error, resume: { ...latest, offset: resumeAt } }
}

function lagging({ position, latest }: Found): string {
  return (
    `${showPartition(position)} ends at offset ${latest.offset}, below ${position.offset}, which the stream has committed: a new leader's watermark ` +
    `may lag, or the log was cut. It is waited for`
  )
}

function unproven({ position, latest }: Found): string {
  return (
    `${showPartition(position)} has a new leader (epoch ${latest.leaderEpoch}) that does not say whether its log is whole up to offset ` +
    `${position.offset}, which the stream has committed. Nothing of it is read before`
  )
}

function isOtherTopic(position: PartitionOffset, latest: PartitionOffset): boolean {
  return position.topicId !== undefined && latest.topicId !== undefined && position.topicId !== latest.topicId
}

function push<Key, Value>(map: Map<Key, Value[]>, key: Key, value: Value): void {
  const list = map.get(key)
  if (list === undefined) map.set(key, [value])
  else list.push(value)
}
