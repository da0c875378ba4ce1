import { isDeadLetter, recordOfLetter } from '../../../../src/core/dead-letters/dead-letter.ts'
import { JobError } from '../../../../src/core/errors.ts'
import type { KafkaRecord } from '../../record.ts'
import { letterHeaders } from '../letter-headers.ts'
import type { CompleteKafkaSinkOptions, KafkaContent, KafkaHeaders } from '../options.ts'
import type { HeaderBytes } from './batch-builder.ts'

/** What is written of a row: key, value, headers and time (ms since the epoch), each from the user's function or the row itself. */
export type RowContent<Row> = {
  readonly key: (row: Row) => KafkaContent
  readonly value: (row: Row) => KafkaContent
  readonly headers: (row: Row) => readonly HeaderBytes[] | undefined
  /** A record keeps its time; any other row gets the batch's, which a replay gives it again. */
  readonly timestamp: (row: Row, batchTime: number) => number
}

/** Makes the functions that take a row apart. Rows that are records pass through; of any other the value is its JSON. */
export function rowContent<Row>({
  key,
  value,
  headers,
}: Pick<CompleteKafkaSinkOptions<Row>, 'key' | 'value' | 'headers'>): RowContent<Row> {
  return {
    key:
      key === undefined
        ? row => (isRecord(row) ? row.key : isDeadLetter(row) ? recordOfLetter(row).key : null)
        : row => checkContent('key', key(row)),
    value:
      value === undefined
        ? row => (isRecord(row) ? row.value : isDeadLetter(row) ? recordOfLetter(row).value : toJson(row))
        : row => checkContent('value', value(row)),
    headers:
      headers === undefined
        ? row => {
            if (isRecord(row)) return row.headers.length > 0 ? encodeHeaders(row.headers) : undefined
            return isDeadLetter(row) ? encodeHeaders(letterHeaders(row, recordOfLetter(row))) : undefined
          }
        : row => encodeHeaders(headers(row)),
    timestamp: (row, batchTime) => (isRecord(row) && row.timestamp >= 0 ? row.timestamp : batchTime),
  }
}

/** Whether a row is a record as the source gives it, whichever copy of this package read it. */
function isRecord(row: unknown): row is KafkaRecord {
  if (typeof row !== 'object' || row === null) return false
  const { value, key, headers, offset, timestamp } = row as Partial<KafkaRecord>
  if (typeof offset !== 'number' || typeof timestamp !== 'number' || !Array.isArray(headers)) return false
  return (value === null || value instanceof Uint8Array) && (key === null || key instanceof Uint8Array)
}

function toJson(row: unknown): string {
  const text = JSON.stringify(row) as string | undefined
  if (text !== undefined) return text
  throw new JobError(`A row is ${String(row)}, which has no JSON. Filter such rows out, or give kafkaSink a value function.`)
}

function checkContent(what: string, content: KafkaContent): KafkaContent {
  if (content === null || typeof content === 'string' || Buffer.isBuffer(content)) return content
  const bytes: unknown = content
  if (bytes instanceof Uint8Array) return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  throw new JobError(`kafkaSink's ${what} function gave ${describe(bytes)} for a row; it must give a Buffer, text or null.`)
}

function encodeHeaders(headers: KafkaHeaders): HeaderBytes[] {
  return headers.map(([name, value]) => {
    const content = checkContent('headers', value)
    return [Buffer.from(name), typeof content === 'string' ? Buffer.from(content) : content]
  })
}

function describe(value: unknown): string {
  return typeof value === 'object' ? 'an object' : `${typeof value} ${String(value)}`
}
