import { systemRandom } from '../../src/core/random.ts'
import type { KafkaRecord } from './record.ts'

/** Values of one array together; beyond it there is nothing to gain, for the calls are few. */
const MAX_BYTES = 512 * 1024
const OPEN = '['.charCodeAt(0)
const CLOSE = ']'.charCodeAt(0)
const OPEN_OBJECT = '{'.charCodeAt(0)
/** JSON may have a line's end between two values and never inside a string. */
const LINE = Buffer.from(',\n')
/** Nobody who writes values can know it. */
const NONCE = 100_000_000 + (Number.parseInt(systemRandom.id(12), 16) % 400_000_000)
const AROUND_NONCE = Buffer.from(`,${NONCE},`)

let text = Buffer.allocUnsafe(64 * 1024)

/**
 * Parses the values of records as one JSON text: up to two fifths less time than one by one, for the parser begins once and meets the same shapes again. Gives
 * undefined where that cannot be done, or where anything is not as it should be; then they are parsed one by one.
 *
 * It gives exactly what parsing each gives. With commas alone it would not: `1,2`, `[3` and `4]`, none of them JSON, would be three values, `1`, `2` and `[3,4]`.
 */
export function parseJsonArray(records: readonly KafkaRecord[]): unknown[] | undefined {
  const first = records[0]?.value
  if (first === undefined || first === null || records.length < 2) return undefined
  // The rest will mostly look like the first.
  return (isPlainObject(first) ? parseObjects(records) : undefined) ?? parseAny(records)
}

function isPlainObject(value: Buffer): boolean {
  return value[0] === OPEN_OBJECT && !value.includes(OPEN)
}

/**
 * `[value,⏎value,⏎…]` for objects without arrays. Each separator stands between two elements of the outer array, and nowhere else: a line's end cannot be in a
 * string, there is no other array, and in an object a comma is followed by a name and not by the `{` of the next value. So each value is one element or more,
 * and as many elements as values is one each. With nothing between them the parser compares each object with the shape of the one before.
 */
function parseObjects(records: readonly KafkaRecord[]): unknown[] | undefined {
  if (!records.every(({ value }) => value?.[0] === OPEN_OBJECT)) return undefined
  const length = join(records, LINE)
  if (length === undefined || text.subarray(1, length).includes(OPEN)) return undefined
  const parsed = parse(length)
  return parsed?.length === records.length ? parsed : undefined
}

/** `[value, nonce, value, nonce, …]`. Every second element must be the nonce, which is in no value, so each stands between two of them by itself. */
function parseAny(records: readonly KafkaRecord[]): unknown[] | undefined {
  const length = join(records, AROUND_NONCE)
  const parsed = length === undefined ? undefined : parse(length)
  if (parsed?.length !== 2 * records.length - 1) return undefined
  const values: unknown[] = [parsed[0]]
  for (let at = 1; at < parsed.length; at += 2) {
    if (parsed[at] !== NONCE) return undefined
    values.push(parsed[at + 1])
  }
  return values
}

/** Puts an array of the values into `text`; its length, or undefined where a value is missing or all are too much. */
function join(records: readonly KafkaRecord[], separator: Buffer): number | undefined {
  let length = 1
  for (const { value } of records) {
    if (value === null) return undefined
    length += value.length + separator.length
  }
  if (length > MAX_BYTES) return undefined
  if (text.length < length) text = Buffer.allocUnsafe(length)
  text[0] = OPEN
  let at = 1
  for (const { value } of records) {
    if (value === null) return undefined
    text.set(value, at)
    at += value.length
    text.set(separator, at)
    at += separator.length
  }
  at -= separator.length
  text[at] = CLOSE
  return at + 1
}

function parse(length: number): unknown[] | undefined {
  try {
    const parsed: unknown = JSON.parse(text.toString('utf8', 0, length))
    return Array.isArray(parsed) ? parsed : undefined
  } catch {
    return undefined
  }
}
