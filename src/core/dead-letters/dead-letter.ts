import { inspect } from 'node:util'
import { errorMessage, isTidemarkError } from '../errors.ts'
import { offsetOf, placeOf } from '../row-pipeline.ts'
import type { RangeContext } from '../runnable-job.ts'

/**
 * A record that a function of the job failed on, as a row of plain fields: columns of a table, a line of JSON, a record of Kafka. The bytes are base64,
 * and text beside it where they are text. Names fit a database as they are.
 */
export type DeadLetter = {
  /** The stream that lost it; a replay has a name of its own. */
  readonly stream: string
  /** The batch that it was in. */
  readonly batch: number
  /** The batch's time, ms since the epoch. */
  readonly batch_time: number
  readonly topic: string
  readonly partition: number
  readonly record_offset: number
  /** The record's timestamp, ms since the epoch; −1 where it has none. */
  readonly record_time: number
  /** The key as UTF-8; null where there is none, or where its bytes are no text. */
  readonly key_text: string | null
  readonly key_base64: string | null
  /** The value as UTF-8; null where there is none (a tombstone), or where its bytes are no text. */
  readonly value_text: string | null
  readonly value_base64: string | null
  /** JSON: a list of `[name, base64 or null]`. */
  readonly headers: string
  /** What failed, such as `map (json)`. */
  readonly stage: string
  /** JSON: the names of the outputs that go without it. */
  readonly outputs: string
  readonly error_name: string
  /** A code that the error brought along, such as `RECORD`. */
  readonly error_code: string | null
  readonly error_message: string
}

/** The fields of a letter and what they hold: what a table for letters has as columns. */
export const LETTER_FIELDS: Readonly<Record<keyof DeadLetter, 'text' | 'integer' | 'text or null'>> = {
  stream: 'text',
  batch: 'integer',
  batch_time: 'integer',
  topic: 'text',
  partition: 'integer',
  record_offset: 'integer',
  record_time: 'integer',
  key_text: 'text or null',
  key_base64: 'text or null',
  value_text: 'text or null',
  value_base64: 'text or null',
  headers: 'text',
  stage: 'text',
  outputs: 'text',
  error_name: 'text',
  error_code: 'text or null',
  error_message: 'text',
}

/** What a letter says of its record's bytes. */
export type LetterRecord = {
  readonly topic: string
  readonly partition: number
  readonly offset: number
  readonly timestamp: number
  readonly key: Buffer | null
  readonly value: Buffer | null
  readonly headers: readonly (readonly [string, Buffer | null])[]
}

const BRAND = Symbol.for('tidemark.dead-letter.v1')

/** Whether a row is a letter that the engine made: a sink may then write it in a form of its own. */
export function isDeadLetter(row: unknown): row is DeadLetter {
  return typeof row === 'object' && row !== null && BRAND in row
}

/** Whether what a source gave can become a letter: it says where it is from. */
export function isLetterable(record: unknown): boolean {
  return placeOf(record) !== undefined && offsetOf(record) !== undefined
}

/** A record of a source as a letter. `record` is one that {@link isLetterable}. */
export function makeLetter(
  record: unknown,
  lost: { readonly error: unknown; readonly stage: string; readonly outputs: readonly string[] },
  { stream, batchId, batchTime }: Pick<RangeContext, 'stream' | 'batchId' | 'batchTime'>,
): DeadLetter {
  const { topic = '', partition = 0, offset = 0, timestamp, key, value, headers } = record as Partial<LetterRecord>
  const about = {
    ...{ stream, batch: batchId, batch_time: batchTime, topic, partition, record_offset: offset },
    ...{
      record_time: typeof timestamp === 'number' ? timestamp : -1,
      stage: plainText(lost.stage),
      outputs: JSON.stringify(lost.outputs),
      ...describeError(lost.error),
    },
  }
  return brand(
    completeLetter(about, {
      key: toBytes(key),
      value: toBytes(value),
      headers: pairsOf(headers).map(([name, bytes]) => [name, toBytes(bytes)]),
    }),
  )
}

/** A letter by what is said of its record, and the record's bytes. */
export function completeLetter(
  about: Omit<DeadLetter, `${'key' | 'value'}_${string}` | 'headers'>,
  { key, value, headers }: Pick<LetterRecord, 'key' | 'value' | 'headers'>,
): DeadLetter {
  const { stream, batch, batch_time, topic, partition, record_offset, record_time, ...why } = about
  return {
    ...{ stream, batch, batch_time, topic, partition, record_offset, record_time },
    key_text: toText(key),
    key_base64: key?.toString('base64') ?? null,
    value_text: toText(value),
    value_base64: value?.toString('base64') ?? null,
    headers: JSON.stringify(headers.map(([name, bytes]) => [name, bytes?.toString('base64') ?? null])),
    ...why,
  }
}

function brand(letter: DeadLetter): DeadLetter {
  return Object.defineProperty(letter, BRAND, { value: true })
}

/** The record as it was. */
export function recordOfLetter(letter: DeadLetter): LetterRecord {
  const { topic, partition, record_offset: offset, record_time: timestamp, key_base64, value_base64, headers } = letter
  const pairs = JSON.parse(headers) as readonly (readonly [string, string | null])[]
  return {
    ...{ topic, partition, offset, timestamp },
    key: fromBase64(key_base64),
    value: fromBase64(value_base64),
    headers: pairs.map(([name, bytes]) => [name, fromBase64(bytes)] as const),
  }
}

/** The function's own error counts, not what the engine says around it. */
function describeError(error: unknown): Pick<DeadLetter, 'error_name' | 'error_code' | 'error_message'> {
  const cause = isTidemarkError(error, 'RECORD') && error.cause !== undefined ? error.cause : error
  const code = typeof cause === 'object' && cause !== null && 'code' in cause ? cause.code : undefined
  return {
    error_name: plainText(cause instanceof Error ? cause.name : typeof cause),
    error_code: typeof code === 'string' || typeof code === 'number' ? plainText(String(code)) : null,
    error_message: plainText(errorMessage(cause)),
  }
}

/** Text that every destination takes: a database may refuse NUL, and half of a surrogate pair is no UTF-8. */
function plainText(text: string): string {
  return text.replaceAll('\0', '\uFFFD').toWellFormed()
}

const UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

function toText(bytes: Buffer | null): string | null {
  if (bytes === null || bytes.includes(0)) return null
  try {
    return UTF8.decode(bytes)
  } catch {
    return null
  }
}

/** Kafka's sources give bytes; another may give text, or anything. */
function toBytes(value: unknown): Buffer | null {
  if (value === null || value === undefined) return null
  if (ArrayBuffer.isView(value)) return Buffer.from(value.buffer, value.byteOffset, value.byteLength)
  return Buffer.from(typeof value === 'string' ? value : showValue(value))
}

/** Whatever it is: a letter that cannot be made would stop the stream that it was to keep going. */
function showValue(value: unknown): string {
  try {
    return JSON.stringify(value, (_, part) => (typeof part === 'bigint' ? String(part) : part)) ?? String(value)
  } catch {
    return inspect(value)
  }
}

/** Headers as Kafka has them; a source of one's own may have them as an object. */
function pairsOf(headers: unknown): (readonly [string, unknown])[] {
  if (typeof headers !== 'object' || headers === null) return []
  return Array.isArray(headers) ? headers : Object.entries(headers)
}

function fromBase64(text: string | null): Buffer | null {
  return text === null ? null : Buffer.from(text, 'base64')
}
