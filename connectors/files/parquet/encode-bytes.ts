import { toJson, WrongValue } from '../row-refused.ts'
import type { ColumnBuffer } from './column-buffer.ts'
import type { Encode } from './encode-number.ts'

/** Up to so many characters a loop over them is faster than a call into the runtime. */
const SHORT = 32
const UUID = /^[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}$/i

/** Text as UTF-8. Half a surrogate pair becomes U+FFFD, as everywhere in Node. */
export const encodeString: Encode = (out, value) => {
  if (typeof value !== 'string') throw new WrongValue('text')
  const from = out.at + 4
  const length = writeText(out, value)
  out.seeBytes(from, length)
}

/** Any value as JSON. Without statistics: a part of a document is none. */
export const encodeJson: Encode = (out, value) => {
  writeText(out, toJson(value))
}

export const encodeByteArray: Encode = (out, value) => {
  if (!(value instanceof Uint8Array)) throw new WrongValue('a Buffer or Uint8Array')
  const at = out.take(4 + value.length)
  out.view.setUint32(at, value.length, true)
  out.bytes.set(value, at + 4)
  out.seeBytes(at + 4, value.length)
}

export const encodeUuid: Encode = (out, value) => {
  if (typeof value !== 'string' || !UUID.test(value)) throw new WrongValue('the text of a UUID')
  const at = out.take(16)
  out.bytes.write(value.replaceAll('-', ''), at, 'hex')
  out.seeBytes(at, 16)
}

function writeText(out: ColumnBuffer, text: string): number {
  const { length } = text
  const start = out.at
  if (length <= SHORT) {
    out.reserve(4 + length)
    const { bytes } = out
    const from = start + 4
    let i = 0
    for (; i < length; i++) {
      const code = text.charCodeAt(i)
      if (code > 0x7f) break
      bytes[from + i] = code
    }
    if (i === length) {
      out.view.setUint32(start, length, true)
      out.at = from + length
      return length
    }
  }
  out.reserve(4 + 3 * length)
  const written = out.bytes.write(text, start + 4, 'utf8')
  out.view.setUint32(start, written, true)
  out.at = start + 4 + written
  return written
}
