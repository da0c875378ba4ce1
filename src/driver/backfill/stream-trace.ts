import type { HistoryEntry, OffsetStore, StreamState } from '../../core/offset-store.ts'
import { positionsAfter } from '../../core/store-rules.ts'
import { type Batch, countOffsets, type OffsetRange, type PartitionOffset, partitionKey } from '../../core/values.ts'

/** Offsets of a partition that a stream has committed. */
export type Covered = {
  readonly fromOffset: number
  readonly untilOffset: number
  /** What they went to; undefined where the history is trimmed and nobody knows any more. */
  readonly outputs: readonly string[] | undefined
}

/**
 * Where every partition stood when a batch began and behind it, by partition key: undefined for one of which nobody knows any more, and no entry for one
 * that the stream did not have by then.
 */
export type Standing = { readonly before: ReadonlyMap<string, Place>; readonly after: ReadonlyMap<string, Place> }
type Place = Pick<PartitionOffset, 'offset' | 'topicId'> | undefined

/** What a stream has read of the logs that are there now, by its history. */
export type StreamTrace = {
  readonly state: StreamState
  readonly covered: ReadonlyMap<string, readonly Covered[]>
  /** Of the batches that were asked for. */
  readonly standings: ReadonlyMap<number, Standing>
  /** Where its partitions stood at the time that was asked for; undefined where its history does not reach back so far. */
  readonly standingAt: ReadonlyMap<string, Place> | undefined
  /** How long its newest batches took, newest first: offsets, and ms from their begin to their commit. */
  readonly pace: readonly { readonly offsets: number; readonly ms: number }[]
}

/** How many of the newest batches tell how fast a stream is. */
const PACED_BATCHES = 200

/**
 * Follows a stream's history from its end to its beginning. Old batches are trimmed from it, and starts and resets stay; what lies between a place where
 * a partition was put and where it had come to later has been read, whether or not the batches that did so are still there.
 *
 * `topicIds` are those of today: what was read of a topic that has been made again since is none of its records.
 */
export async function traceStream(
  store: OffsetStore,
  stream: string,
  {
    topicIds,
    batches = [],
    time,
    signal,
  }: {
    readonly topicIds: ReadonlyMap<string, string>
    readonly batches?: readonly number[]
    /** Ms since 1970, by the store's clock. */
    readonly time?: number | undefined
    readonly signal: AbortSignal
  },
): Promise<StreamTrace> {
  const state = await store.read(stream, { signal })
  const trace = new Trace(state, topicIds, new Set(batches), time)
  if (state.streamId !== undefined) for await (const entry of store.history(stream, { signal })) trace.pass(entry)
  return { state, covered: trace.covered(), standings: trace.standings(), standingAt: trace.standingAt, pace: trace.pace }
}

/** Today's topic ids, by topic, of positions or ranges that carry them. */
export function topicIdsOf(places: readonly Pick<PartitionOffset, 'topic' | 'topicId'>[]): Map<string, string> {
  const ids = new Map<string, string>()
  for (const { topic, topicId } of places) if (topicId !== undefined) ids.set(topic, topicId)
  return ids
}

class Trace {
  readonly pace: { offsets: number; ms: number }[] = []
  readonly #topicIds: ReadonlyMap<string, string>
  readonly #wanted: ReadonlySet<number>
  readonly #time: number | undefined
  standingAt: Map<string, Place> | undefined
  /** Where each partition stood at the point of the walk; undefined behind a reset, until an older entry says it. */
  readonly #at = new Map<string, Place>()
  readonly #covered = new Map<string, Covered[]>()
  /** Partitions whose older entries are of another log than today's. */
  readonly #isOtherLog = new Set<string>()
  /** What was read behind these offsets before the log was cut there is gone, and its offsets are other records now. */
  readonly #cutAt = new Map<string, number>()
  readonly #standings = new Map<number, { before: Map<string, Place>; after: Map<string, Place> }>()
  #lastSeq: number | undefined
  #isTrimmed = false

  constructor(state: StreamState, topicIds: ReadonlyMap<string, string>, wanted: ReadonlySet<number>, time: number | undefined) {
    this.#topicIds = topicIds
    this.#wanted = wanted
    this.#time = time
    for (const at of state.offsets) this.#at.set(partitionKey(at), at)
  }

  pass(entry: HistoryEntry): void {
    if (this.#lastSeq !== undefined && this.#lastSeq - entry.seq > 1) this.#isTrimmed = true
    this.#lastSeq = entry.seq
    if (this.standingAt === undefined && this.#time !== undefined && entry.at <= this.#time) this.standingAt = new Map(this.#at)
    switch (entry.kind) {
      case 'batch':
        this.#passBatch(entry.batch, entry.at)
        return
      case 'start':
        this.#passMoves(entry.offsets, 'start')
        return
      case 'reset':
        for (const at of entry.forgotten) this.#at.set(partitionKey(at), undefined)
        this.#passMoves(entry.offsets, entry.reason)
        return
      case 'discard':
        return
      default:
        entry satisfies never
    }
  }

  covered(): ReadonlyMap<string, readonly Covered[]> {
    return this.#covered
  }

  standings(): ReadonlyMap<number, Standing> {
    return this.#standings
  }

  #passBatch(batch: Batch, committedAt: number): void {
    if (this.pace.length < PACED_BATCHES) {
      this.pace.push({ offsets: batch.ranges.reduce((sum, range) => sum + countOffsets(range), 0), ms: committedAt - batch.batchTime })
    }
    for (const { offset, ...at } of positionsAfter(batch.ranges)) this.#settle(partitionKey(at), { ...at, offset })
    const isWanted = this.#wanted.has(batch.id)
    const after = isWanted ? new Map(this.#at) : undefined
    const outputs = outputsOf(batch)
    for (const range of batch.ranges.toReversed()) this.#read(range, outputs)
    if (after !== undefined) this.#standings.set(batch.id, { after, before: new Map(this.#at) })
  }

  #passMoves(positions: readonly PartitionOffset[], reason: string): void {
    for (const { topic, partition, offset, topicId } of positions) {
      const key = partitionKey({ topic, partition })
      const later = this.#at.get(key)
      // Nothing but batches moves a partition on, so those that did are trimmed.
      if (later !== undefined && later.offset > offset) {
        this.#read(
          { topic, partition, fromOffset: offset, untilOffset: later.offset, ...(topicId !== undefined && { topicId }) },
          undefined,
        )
      } else this.#settle(key, { offset, ...(topicId !== undefined && { topicId }) })
      if (reason === 'truncation') this.#cutAt.set(key, Math.min(offset, this.#cutAt.get(key) ?? offset))
      // What was before it, an older entry says, if there was anything.
      if (reason === 'start') this.#at.delete(key)
      else this.#at.set(key, undefined)
    }
  }

  /** Where a partition stood, now that an entry says it, also at batches that the walk has passed meanwhile. */
  #settle(key: string, place: NonNullable<Place>): void {
    const standings = [...this.#standings.values()].flatMap(({ before, after }) => [before, after])
    for (const standing of this.standingAt === undefined ? standings : [...standings, this.standingAt]) {
      const isOpen = standing.has(key) ? standing.get(key) === undefined : !this.#at.has(key)
      // Trimmed batches may have moved it on since.
      if (isOpen && !this.#isTrimmed) standing.set(key, place)
    }
    this.#at.set(key, place)
  }

  #read({ topic, partition, fromOffset, untilOffset, topicId }: OffsetRange, outputs: readonly string[] | undefined): void {
    const key = partitionKey({ topic, partition })
    this.#at.set(key, { offset: fromOffset, ...(topicId !== undefined && { topicId }) })
    const today = this.#topicIds.get(topic)
    if (topicId !== undefined && today !== undefined && topicId !== today) this.#isOtherLog.add(key)
    const until = Math.min(untilOffset, this.#cutAt.get(key) ?? untilOffset)
    if (this.#isOtherLog.has(key) || until <= fromOffset) return
    const all = this.#covered.get(key) ?? []
    const last = all.at(-1)
    if (last !== undefined && last.fromOffset === until && isSame(last.outputs, outputs)) all[all.length - 1] = { ...last, fromOffset }
    else all.push({ fromOffset, untilOffset: until, outputs })
    this.#covered.set(key, all)
  }
}

/** What a committed batch went to; one of a version that is not known here says nothing. */
function outputsOf({ facts }: Batch): readonly string[] | undefined {
  const outputs = typeof facts === 'object' && facts !== null && 'outputs' in facts ? facts.outputs : undefined
  return Array.isArray(outputs) ? outputs.map(String) : undefined
}

function isSame(a: readonly string[] | undefined, b: readonly string[] | undefined): boolean {
  return a === b || (a !== undefined && b !== undefined && a.length === b.length && a.every((name, at) => name === b[at]))
}
