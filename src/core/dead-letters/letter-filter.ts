import { ConfigError } from '../errors.ts'
import type { PartitionOffset } from '../values.ts'
import type { DeadLetter } from './dead-letter.ts'

/** Which letters are meant: those with all of this. A time is half-open, ms. */
export type LetterFilter = {
  readonly topic?: string
  readonly partition?: number
  readonly batch?: number
  readonly stage?: string
  readonly error_name?: string
  readonly error_code?: string
  readonly record_time?: { readonly from: number; readonly until: number }
}

const ALL = 'dead-letters'
const VERSION = 1

/**
 * What a replay of these letters is called as a topic, by which its store keeps how far it has come: `dead-letters` of all, and of some with the filter
 * itself behind it, so that whoever replays others later knows which letters have been run. A saved format.
 */
export function topicOfFilter(filter: LetterFilter): string {
  const fields = Object.entries(filter).sort(([a], [b]) => (a < b ? -1 : 1))
  return fields.length === 0 ? ALL : `${ALL} ${JSON.stringify({ v: VERSION, ...Object.fromEntries(fields) })}`
}

/** The filter of such a topic; undefined for any other topic. @throws ConfigError for one of a newer version */
export function filterOfTopic(topic: string): LetterFilter | undefined {
  if (topic === ALL) return {}
  if (!topic.startsWith(`${ALL} {`)) return undefined
  const { v, ...filter } = JSON.parse(topic.slice(ALL.length)) as LetterFilter & { readonly v: number }
  if (v === VERSION) return filter
  throw new ConfigError(
    `The replay of ${topic} was begun by a newer version of Tidemark (format ${v}, this one knows ${VERSION}). Go on with that one.`,
  )
}

/** Whether a letter is one of those. Ranges of numbers are half-open. */
export function isLetterOf(
  letter: DeadLetter,
  where: Readonly<Record<string, string | number | { readonly from: number; readonly until: number }>>,
): boolean {
  return Object.entries(where).every(([name, wanted]) => {
    const value = letter[name as keyof DeadLetter]
    if (typeof wanted !== 'object') return value === wanted
    return typeof value === 'number' && value >= wanted.from && value < wanted.until
  })
}

/**
 * Whether a letter has been run again, by the positions of the stream that runs them; those of `except`, a topic of them, do not count. They all are one
 * stream, under one lease, so they stay as they are while a batch of it is begun, and that batch leaves the same letters out when it is run again.
 */
export function wasRunAgain(letter: DeadLetter, positions: readonly PartitionOffset[], except?: string): boolean {
  return positions.some(({ topic, offset }) => {
    const filter = topic === except ? undefined : filterOfTopic(topic)
    return filter !== undefined && letter.batch < offset && isLetterOf(letter, filter)
  })
}
