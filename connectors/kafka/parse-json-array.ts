import { systemRandom } from '../../src/core/random.ts'
import type { KafkaRecord } from './record.ts'

/** Values of one array together; beyond it there is nothing to gain, for the calls are few. */
const MAX_BYTES = 512 * 1024
const OPEN = '['.charCodeAt(0)
const CLOSE = ']'.charCodeAt(0)
/** Nobody who writes values can know it. */
const NONCE = 100_000_000 + (Number.parseInt(systemRandom.id(12), 16) % 400_000_000)
const SEPARATOR = Buffer.from(`,${NONCE},`)

let text = Buffer.allocUnsafe(64 * 1024)

/**
 * Parses the values of records as one JSON text, `[value, nonce, value, nonce, …]`: a third less time than one by one, for the parser begins once and
 * meets the same shapes again. Gives undefined where that cannot be done, or where anything is not as it should be; then they are parsed one by one.
 *
 * It gives exactly what parsing each gives. The nonce is what makes it so: with commas alone `1,2`, `[3` and `4]`, none of them JSON, would be three values
 * (`1`, `2` and `[3,4]`). Every second element must be the nonce, which is in no value, so each stands between two of them by itself.
 */
export function parseJsonArray(records: readonly KafkaRecord[]): unknown[] | undefined {
  let length = 1
  for (const { value } of records) {
    if (value === null) return undefined
    length += value.length + SEPARATOR.length
  }
  if (length > MAX_BYTES || records.length < 2) return undefined
  if (text.length < length) text = Buffer.allocUnsafe(length)
  text[0] = OPEN
  let at = 1
  for (const { value } of records) {
    if (value === null) return undefined
    text.set(value, at)
    at += value.length
    text.set(SEPARATOR, at)
    at += SEPARATOR.length
  }
  at -= SEPARATOR.length
  text[at] = CLOSE
  return pickValues(parse(text.toString('utf8', 0, at + 1)), records.length)
}

function pickValues(parsed: unknown, count: number): unknown[] | undefined {
  if (!Array.isArray(parsed) || parsed.length !== 2 * count - 1) return undefined
  const values: unknown[] = [parsed[0]]
  for (let at = 1; at < parsed.length; at += 2) {
    if (parsed[at] !== NONCE) return undefined
    values.push(parsed[at + 1])
  }
  return values
}

function parse(json: string): unknown {
  try {
    return JSON.parse(json)
  } catch {
    return undefined
  }
}
