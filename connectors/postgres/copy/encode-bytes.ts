import type { CopyBuffer } from './copy-buffer.ts'
import { WrongValue } from './wrong-value.ts'

const UUID = /^\{?([0-9a-f]{8})-?([0-9a-f]{4})-?([0-9a-f]{4})-?([0-9a-f]{4})-?([0-9a-f]{12})\}?$/i

/** `bytea`, of a Buffer or any Uint8Array. */
export function encodeBytea(out: CopyBuffer, value: unknown): void {
  if (!(value instanceof Uint8Array)) throw new WrongValue('a Buffer or a Uint8Array')
  out.reserve(4 + value.length)
  out.view.setInt32(out.at, value.length)
  out.bytes.set(value, out.at + 4)
  out.at += 4 + value.length
}

/** `uuid`, of its text in any of the usual forms. */
export function encodeUuid(out: CopyBuffer, value: unknown): void {
  const parts = typeof value === 'string' ? UUID.exec(value) : null
  if (parts === null) throw new WrongValue('the text of a UUID')
  out.reserve(20)
  out.view.setInt32(out.at, 16)
  out.bytes.write(parts.slice(1).join(''), out.at + 4, 'hex')
  out.at += 20
}
