import { DataLossError } from '../core/errors.ts'
import type { CallOptions } from '../core/source.ts'
import { type PartitionOffset, partitionKey, showPartition, type TopicPartition } from '../core/values.ts'
import type { JobSource, World } from './driver-job.ts'

/** How often the first offsets are asked for, to find what retention took before it was planned (ms). */
const EARLIEST_EVERY_MS = 30_000
/** How long a latest offset below the committed one is taken for a new leader's lagging watermark before it counts as a log that was cut. */
const TRUNCATION_GRACE_MS = 30_000

/** Committed records' successors that are gone, with where the partition goes on if it is to go on. */
export type Loss =
  | { readonly error: DataLossError; readonly resume: PartitionOffset }
  | { readonly error: DataLossError; readonly forget: TopicPartition }

/** What a partition looks like now: its source, and its end where it has one. */
export type Sight = { readonly source: JobSource; readonly latest: PartitionOffset | undefined }

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
    const changedEpoch = new Map<JobSource, PartitionOffset[]>()
    const recreated = new Map<JobSource, PartitionOffset[]>()
    for (const [key, position] of committed) {
      const sight = sightOf(key, position)
      if (sight === undefined) continue
      const { source, latest } = sight
      if (latest === undefined) losses.push(this.#removed(key, position))
      else if (isOtherTopic(position, latest)) push(recreated, source, position)
      else {
        if (this.#mustCheckEpoch(key, position, latest)) push(changedEpoch, source, position)
        this.#lastEnds.set(key, latest.offset)
      }
    }
    for (const [source, positions] of changedEpoch) losses.push(...(await this.#findCut(source, positions, committed, sightOf, options)))
    for (const [source, positions] of recreated) losses.push(...(await this.#findRecreated(source, positions, options)))
    const known = new Set(losses.map(({ error }) => partitionKey(error.details as TopicPartition)))
    losses.push(...this.#findBelow(committed, sightOf, known))
    losses.push(...(await this.#findExpired(committed, sightOf, known, options)))
    return losses
  }

  /** Why a partition with a committed position cannot be read on although nothing is known to be lost. */
  waitingFor(position: PartitionOffset, latest: PartitionOffset): string | undefined {
    if (latest.offset >= position.offset) return undefined
    return (
      `${showPartition(position)} ends at offset ${latest.offset}, below ${position.offset}, which the stream has committed: a new leader's watermark ` +
      `may lag, or the log was cut`
    )
  }

  #mustCheckEpoch(key: string, position: PartitionOffset, latest: PartitionOffset): boolean {
    if (latest.leaderEpoch === undefined || position.leaderEpoch === undefined || latest.leaderEpoch <= position.leaderEpoch) return false
    return latest.leaderEpoch > (this.#checkedEpochs.get(key) ?? Number.NEGATIVE_INFINITY)
  }

  /** After an election the leader says where the committed position's epoch ended: also a log that was cut and has grown again is found so. */
  async #findCut(
    { source }: JobSource,
    positions: readonly PartitionOffset[],
    committed: ReadonlyMap<string, PartitionOffset>,
    sightOf: (key: string, at: TopicPartition) => Sight | undefined,
    options: CallOptions,
  ): Promise<Loss[]> {
    const ends = (await source.epochEndOffsets?.(positions, options)) ?? []
    return ends.flatMap(end => {
      const key = partitionKey(end)
      const position = committed.get(key)
      const latest = sightOf(key, end)?.latest
      if (position === undefined || latest === undefined) return []
      if (end.offset < position.offset) return [cut(position, end.offset, latest)]
      if (latest.leaderEpoch !== undefined) this.#checkedEpochs.set(key, latest.leaderEpoch)
      return []
    })
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
          `${partition} belongs to a log that is gone. ${HOW_TO_GO_ON.recreated}`,
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
      `${showPartition(position)} is gone from Kafka, and the stream has read it up to offset ${position.offset}. ${HOW_TO_GO_ON.removed}`,
      this.#unread(key, position),
      { details: { topic, partition } },
    )
    return { error, forget: { topic, partition } }
  }

  /** A log that ends below what is committed, for longer than a watermark can lag. */
  #findBelow(
    committed: ReadonlyMap<string, PartitionOffset>,
    sightOf: (key: string, at: TopicPartition) => Sight | undefined,
    known: ReadonlySet<string>,
  ): Loss[] {
    const now = this.#world.clock.monotonic()
    const losses: Loss[] = []
    for (const [key, position] of committed) {
      const latest = sightOf(key, position)?.latest
      if (latest === undefined || latest.offset >= position.offset || known.has(key)) {
        this.#belowSince.delete(key)
        continue
      }
      const since = this.#belowSince.get(key) ?? now
      this.#belowSince.set(key, since)
      if (now - since >= TRUNCATION_GRACE_MS) losses.push(cut(position, latest.offset, latest))
    }
    return losses
  }

  /** What retention took in front of a position, asked for at the first planning and then now and then. */
  async #findExpired(
    committed: ReadonlyMap<string, PartitionOffset>,
    sightOf: (key: string, at: TopicPartition) => Sight | undefined,
    known: ReadonlySet<string>,
    options: CallOptions,
  ): Promise<Loss[]> {
    const now = this.#world.clock.monotonic()
    if (committed.size === 0 || now - this.#earliestAt < EARLIEST_EVERY_MS) return []
    this.#earliestAt = now
    const sources = new Set<JobSource>()
    for (const [key, position] of committed) {
      const sight = sightOf(key, position)
      if (sight?.latest !== undefined && sight.latest.offset > position.offset) sources.add(sight.source)
    }
    const earliest = (await Promise.all(Array.from(sources, ({ source }) => source.earliestOffsets(options)))).flat()
    return earliest.flatMap(resume => {
      const key = partitionKey(resume)
      const position = committed.get(key)
      if (position === undefined || known.has(key) || resume.offset <= position.offset) return []
      const { topic, partition } = position
      const missing = { topic, partition, fromOffset: position.offset, untilOffset: resume.offset }
      const error = new DataLossError(
        'retention',
        `${showPartition(position)} [${position.offset}, ${resume.offset}) is gone: its log begins at ${resume.offset} now. Retention or DeleteRecords ` +
          `removed it before it was read. ${HOW_TO_GO_ON.retention}`,
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

const goOn = (cause: string, effect: string) => `To go on without, set onDataLoss: { ${cause}: 'skip' }: ${effect}.`

const HOW_TO_GO_ON = {
  retention: goOn('retention', 'the stream then reads from where the log begins'),
  truncation: goOn('truncation', 'the stream then reads from where the log was cut'),
  recreated: goOn('recreated', 'the stream then reads the new topic from its beginning'),
  removed: goOn('removed', 'the stream then forgets the partition'),
} as const

function cut(position: PartitionOffset, endOffset: number, latest: PartitionOffset): Loss {
  const { topic, partition } = position
  const hasGrown = latest.offset > endOffset ? ' and has grown again: offsets from there on are other records now' : ''
  const error = new DataLossError(
    'truncation',
    `The log of ${showPartition(position)} was cut at offset ${endOffset}${hasGrown}, and the stream has read it up to ${position.offset}. ` +
      HOW_TO_GO_ON.truncation,
    [{ topic, partition, fromOffset: endOffset, untilOffset: position.offset }],
    { details: { topic, partition }, resumeAt: endOffset },
  )
  return { error, resume: { ...latest, offset: endOffset } }
}

function isOtherTopic(position: PartitionOffset, latest: PartitionOffset): boolean {
  return position.topicId !== undefined && latest.topicId !== undefined && position.topicId !== latest.topicId
}

function push<Key, Value>(map: Map<Key, Value[]>, key: Key, value: Value): void {
  const list = map.get(key)
  if (list === undefined) map.set(key, [value])
  else list.push(value)
}
