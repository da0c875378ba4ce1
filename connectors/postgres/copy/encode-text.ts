import { jsonText } from '../../../src/util/json-text.ts'
import type { CopyBuffer } from './copy-buffer.ts'
import { WrongValue } from './wrong-value.ts'

/** Up to so many characters a loop over them is faster than a call into the runtime. */
const SHORT = 32
/** From so many on, their bytes are counted before room is made for them. */
const LONG = 4096

/** Text as UTF-8. Half a surrogate pair becomes U+FFFD, as everywhere in Node. */
export function encodeText(out: CopyBuffer, value: unknown): void {
  if (typeof value !== 'string') throw new WrongValue('text')
  writeText(out, value, 0)
}

/** JSON in the `json` type. */
export function encodeJson(out: CopyBuffer, value: unknown): void {
  writeText(out, toJson(value), 0)
}

/** JSON in the `jsonb` type: the same behind the number of its format. */
export function encodeJsonb(out: CopyBuffer, value: unknown): void {
  out.reserve(5)
  out.bytes[out.at + 4] = 1
  writeText(out, toJson(value), 1)
}

/** Any value as text, for a type without an encoder of its own: the server reads it as it reads a literal. */
export function encodeLiteral(out: CopyBuffer, value: unknown): void {
  writeText(out, toLiteral(value), 0)
}

/** Writes the length and the text; `before` bytes behind the length are written already. */
function writeText(out: CopyBuffer, text: string, before: number): void {
  const { length } = text
  if (length <= SHORT) {
    out.reserve(4 + before + length)
    const { bytes } = out
    const from = out.at + 4 + before
    let i = 0
    for (; i < length; i++) {
      const code = text.charCodeAt(i)
      // Neither NUL nor beyond ASCII, in one comparison.
      if ((code - 1) >>> 0 >= 0x7f) break
      bytes[from + i] = code
    }
    if (i === length) {
      out.view.setInt32(out.at, before + length)
      out.at = from + length
      return
    }
  }
  if (text.includes('\0')) throw new WrongValue('text without the NUL character, which Postgres cannot keep')
  out.reserve(4 + before + (length < LONG ? 3 * length : Buffer.byteLength(text)))
  const from = out.at + 4 + before
  const written = out.bytes.write(text, from, 'utf8')
  out.view.setInt32(out.at, before + written)
  out.at = from + written
}

const notJson = (reason?: string) => new WrongValue(`what JSON can say${reason === undefined ? '' : ` (${reason})`}`)

function toJson(value: unknown): string {
  return jsonText(value, notJson)
}

function toLiteral(value: unknown): string {
  switch (typeof value) {
    case 'string':
      return value
    case 'number':
    case 'bigint':
    case 'boolean':
      return String(value)
    case 'object':
      if (value instanceof Date) {
        if (Number.isNaN(value.getTime())) throw new WrongValue('a date that is valid')
        return value.toISOString()
      }
      if (value instanceof Uint8Array) return `\\x${Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('hex')}`
      if (Array.isArray(value)) return toArrayLiteral(value)
      return toJson(value)
    default:
      throw new WrongValue('text, a number, a boolean, a Date, a list or an object')
  }
}

function toArrayLiteral(values: readonly unknown[]): string {
  const parts = values.map(value => {
    if (value === null || value === undefined) return 'NULL'
    if (Array.isArray(value)) return toArrayLiteral(value)
    return `"${toLiteral(value).replace(/[\\"]/g, '\\$&')}"`
  })
  return `{${parts.join(',')}}`
}
