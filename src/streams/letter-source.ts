import { type DeadLetter, type LetterRecord, recordOfLetter } from '../core/dead-letters/dead-letter.ts'
import { filterOfTopic, isLetterOf, type LetterFilter, topicOfFilter, wasRunAgain } from '../core/dead-letters/letter-filter.ts'
import { readLetters } from '../core/dead-letters/read-letters.ts'
import type { Stage } from '../core/runnable-job.ts'
import type { Sink } from '../core/sink.ts'
import type { CallOptions, Source } from '../core/source.ts'
import { comparePartitions, type OffsetRange, type PartitionOffset, type TopicPartition } from '../core/values.ts'

const CHUNK_RECORDS = 256
const LOST_BY: unique symbol = Symbol('the outputs that go without it')

type Positions = () => Promise<readonly PartitionOffset[]>
type Letter = LetterRecord & { readonly [LOST_BY]: ReadonlySet<string> }

export type LetterRange = {
  /** The stream whose letters they are. */
  readonly stream: string
  /** Its last committed batch and one: the letters of a committed batch are all there and never become more. */
  readonly untilBatch: number
  /** Only these. The others are left for another replay under the same name, which leaves out what this one has run. @default all */
  readonly where?: LetterFilter
}

/**
 * The records of a stream's dead letters, from the letters themselves, for Kafka may have lost them. Its offsets are the **batches** that lost them:
 * what is committed of it says up to which batch letters have been run again. One range is in memory at a time.
 */
export class LetterSource implements Source<LetterRecord> {
  readonly name = 'dead-letters'
  readonly startingOffsets = { at: 'earliest' } as const
  readonly isolation = 'read_uncommitted'
  readonly #sink: Sink<never>
  readonly #letters: LetterRange
  readonly #topic: string
  readonly #positions: Positions

  /** `positions` are what the stream that this is a source of has committed by now. */
  constructor(sink: Sink<never>, letters: LetterRange, positions: Positions) {
    this.#sink = sink
    this.#letters = letters
    this.#topic = topicOfFilter(letters.where ?? {})
    this.#positions = positions
  }

  names(topic: string): boolean {
    return filterOfTopic(topic) !== undefined
  }

  async partitions(): Promise<TopicPartition[]> {
    return (await this.latestOffsets()).map(({ topic, partition }) => ({ topic, partition }))
  }

  async earliestOffsets(): Promise<PartitionOffset[]> {
    return (await this.partitions()).map(at => ({ ...at, offset: 1 }))
  }

  /** Replays of other letters under this name stand where they are: nothing of theirs is read, but for a batch that was begun. */
  async latestOffsets(): Promise<PartitionOffset[]> {
    const others = (await this.#positions()).filter(({ topic }) => topic !== this.#topic && this.names(topic))
    return [
      { topic: this.#topic, partition: 0, offset: Math.max(1, this.#letters.untilBatch) },
      ...others.map(({ topic, partition, offset }) => ({ topic, partition, offset })),
    ]
  }

  offsetsForTimestamp(): Promise<PartitionOffset[]> {
    return this.latestOffsets()
  }

  async *read({ topic, fromOffset, untilOffset }: OffsetRange, { signal }: CallOptions = {}): AsyncGenerator<readonly Letter[]> {
    const where = { stream: this.#letters.stream, batch: { from: fromOffset, until: untilOffset } }
    const filter = filterOfTopic(topic) ?? {}
    const positions = await this.#positions()
    const letters: DeadLetter[] = []
    for await (const some of readLetters(this.#sink, { where, signal: signal ?? new AbortController().signal }))
      letters.push(...some.filter(letter => isLetterOf(letter, filter) && !wasRunAgain(letter, positions, topic)))
    const records = recordsOf(letters)
    for (let at = 0; at < records.length; at += CHUNK_RECORDS) yield records.slice(at, at + CHUNK_RECORDS)
  }

  async close(): Promise<void> {}
}

/** Lets through what an output went without: the others have it. */
export function lostBy(output: string): Stage {
  return { kind: 'filter', label: `filter (lost by ${output})`, apply: (letter: Letter) => letter[LOST_BY].has(output), concurrency: 1 }
}

/** Each record once, in the order of topics, partitions and offsets, whatever order an output gives letters in. */
function recordsOf(letters: readonly DeadLetter[]): Letter[] {
  const records = new Map<string, { readonly record: LetterRecord; readonly lost: Set<string> }>()
  for (const letter of letters) {
    const key = JSON.stringify([letter.topic, letter.partition, letter.record_offset])
    const known = records.get(key) ?? { record: recordOfLetter(letter), lost: new Set<string>() }
    records.set(key, known)
    for (const output of JSON.parse(letter.outputs) as string[]) known.lost.add(output)
  }
  return [...records.values()]
    .map(({ record, lost }): Letter => ({ ...record, [LOST_BY]: lost }))
    .sort((a, b) => comparePartitions(a, b) || a.offset - b.offset)
}
