import { completeLetter, type DeadLetter, type LetterRecord } from '../../../src/core/dead-letters/dead-letter.ts'
import type { KafkaRecord } from '../record.ts'
import type { KafkaHeaders } from './options.ts'

/** Begins the headers that are ours; the record may have brought some of the same names, from an earlier life as a letter. */
const FIRST = ['tidemark-letter', '1'] as const

/** The fields that go as headers; the rest is the record itself. */
const FIELDS = {
  'tidemark-stream': 'stream',
  'tidemark-batch': 'batch',
  'tidemark-batch-time': 'batch_time',
  'tidemark-topic': 'topic',
  'tidemark-partition': 'partition',
  'tidemark-offset': 'record_offset',
  'tidemark-time': 'record_time',
  'tidemark-stage': 'stage',
  'tidemark-outputs': 'outputs',
  'tidemark-error-name': 'error_name',
  'tidemark-error-code': 'error_code',
  'tidemark-error': 'error_message',
} as const satisfies Readonly<Record<string, keyof DeadLetter>>

/** A letter's headers in Kafka: those of its record, and behind them where it is from and why it is one. */
export function letterHeaders(letter: DeadLetter, { headers }: Pick<LetterRecord, 'headers'>): KafkaHeaders {
  const own = Object.entries(FIELDS).map(([name, field]): readonly [string, string | null] => {
    const value = letter[field]
    return [name, value === null ? null : String(value)]
  })
  return [...headers, FIRST, ...own]
}

/** The letter that a record of the letters' topic is; undefined for any other record. */
export function letterOfRecord({ key, value, headers }: KafkaRecord): DeadLetter | undefined {
  const first = headers.findLastIndex(([name, text]) => name === FIRST[0] && text?.toString() === FIRST[1])
  if (first === -1) return undefined
  const texts = new Map(headers.slice(first + 1).map(([name, text]) => [name, text?.toString() ?? null]))
  const fields = Object.entries(FIELDS).map(([name, field]) => [field, texts.get(name) ?? null])
  return completeLetter(Object.fromEntries(fields), { key, value, headers: headers.slice(0, first) })
}
