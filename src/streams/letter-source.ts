import { type DeadLetter, type LetterRecord, recordOfLetter } from '../core/dead-letters/dead-letter.ts'
import { readLetters } from '../core/dead-letters/read-letters.ts'
import type { Stage } from '../core/runnable-job.ts'
import type { Sink } from '../core/sink.ts'
import type { CallOptions, Source } from '../core/source.ts'
import { comparePartitions, type OffsetRange, type PartitionOffset, type TopicPartition } from '../core/values.ts'

const TOPIC = 'dead-letters'
const CHUNK_RECORDS = 256
const LOST_BY: unique symbol = Symbol('the outputs that go without it')

type Letter = LetterRecord & { readonly [LOST_BY]: ReadonlySet<string> }

export type LetterRange = {
  /** The stream whose letters they are. */
  readonly stream: string
  /** Its last committed batch and one: the letters of a committed batch are all there and never become more. */
  readonly untilBatch: number
}

/**
 * The records of a stream's dead letters, from the letters themselves, for Kafka may have lost them. Its offsets are the **batches** that lost them:
 * what is committed of it says up to which batch letters have been run again. One range is in memory at a time.
 */
export class LetterSource implements Source<LetterRecord> {
  readonly name = TOPIC
  readonly startingOffsets = { at: 'earliest' } as const
  readonly isolation = 'read_uncommitted'
  readonly #sink: Sink<never>
  readonly #letters: LetterRange

  constructor(sink: Sink<never>, letters: LetterRange) {
    this.#sink = sink
    this.#letters = letters
  }

  names(topic: string): boolean {
    return topic === TOPIC
  }

  async partitions(): Promise<TopicPartition[]> {
    return [{ topic: TOPIC, partition: 0 }]
  }

  async earliestOffsets(): Promise<PartitionOffset[]> {
    return [{ topic: TOPIC, partition: 0, offset: 1 }]
  }

  async latestOffsets(): Promise<PartitionOffset[]> {
    return [{ topic: TOPIC, partition: 0, offset: Math.max(1, this.#letters.untilBatch) }]
  }

  offsetsForTimestamp(): Promise<PartitionOffset[]> {
    return this.latestOffsets()
  }

  async *read({ fromOffset, untilOffset }: OffsetRange, { signal }: CallOptions = {}): AsyncGenerator<readonly Letter[]> {
    const where = { stream: this.#letters.stream, batch: { from: fromOffset, until: untilOffset } }
    const letters: DeadLetter[] = []
    for await (const some of readLetters(this.#sink, { where, signal: signal ?? new AbortController().signal })) letters.push(...some)
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
