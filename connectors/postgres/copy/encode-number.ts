import type { CopyBuffer } from './copy-buffer.ts'
import { WrongValue } from './wrong-value.ts'

const DIGITS = /^[+-]?\d+$/
const TWO_32 = 2 ** 32
const MAX_INT8 = 2n ** 63n - 1n
/** What Postgres reads as a float from text, and we with it. */
const FLOAT = /^\s*([+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?|nan|[+-]?inf(inity)?)\s*$/i

/** Integers of 16 bits: a number, a BigInt or text of digits. */
export function encodeInt2(out: CopyBuffer, value: unknown): void {
  const whole = toInteger(value, -0x8000, 0x7fff, 'int2')
  out.reserve(6)
  out.view.setInt32(out.at, 2)
  out.view.setInt16(out.at + 4, whole)
  out.at += 6
}

/** Integers of 32 bits. */
export function encodeInt4(out: CopyBuffer, value: unknown): void {
  const whole = toInteger(value, -0x80000000, 0x7fffffff, 'int4')
  out.reserve(8)
  out.view.setInt32(out.at, 4)
  out.view.setInt32(out.at + 4, whole)
  out.at += 8
}

/** Postgres' object ids, which are without a sign. */
export function encodeOid(out: CopyBuffer, value: unknown): void {
  const whole = toInteger(value, 0, 0xffffffff, 'oid')
  out.reserve(8)
  out.view.setInt32(out.at, 4)
  out.view.setUint32(out.at + 4, whole)
  out.at += 8
}

/** Integers of 64 bits. A number beyond 2^53 may be another than was meant, so such come as BigInt or text. */
export function encodeInt8(out: CopyBuffer, value: unknown): void {
  if (typeof value === 'number') {
    if (!Number.isSafeInteger(value)) throw new WrongValue('a whole number for int8, beyond 2^53 as a BigInt or as text')
    writeInt8(out, value)
    return
  }
  const big = typeof value === 'bigint' ? value : typeof value === 'string' && DIGITS.test(value) ? BigInt(unsigned(value)) : undefined
  if (big === undefined) throw new WrongValue('a whole number for int8')
  if (big > MAX_INT8 || big < -MAX_INT8 - 1n) throw new WrongValue('a whole number within int8')
  writeBigInt8(out, big)
}

/** A safe integer as 8 bytes. */
export function writeInt8(out: CopyBuffer, whole: number): void {
  out.reserve(12)
  out.view.setInt32(out.at, 8)
  out.view.setInt32(out.at + 4, Math.floor(whole / TWO_32))
  out.view.setInt32(out.at + 8, whole | 0)
  out.at += 12
}

/** Any integer of 64 bits. */
export function writeBigInt8(out: CopyBuffer, whole: bigint): void {
  out.reserve(12)
  out.view.setInt32(out.at, 8)
  out.view.setBigInt64(out.at + 4, whole)
  out.at += 12
}

/** Floats of 32 bits; what they would make an infinity of is refused. */
export function encodeFloat4(out: CopyBuffer, value: unknown): void {
  const float = toFloat(value)
  if (!Number.isFinite(Math.fround(float)) && Number.isFinite(float)) throw new WrongValue('a number within float4')
  out.reserve(8)
  out.view.setInt32(out.at, 4)
  out.view.setFloat32(out.at + 4, float)
  out.at += 8
}

/** Floats of 64 bits: a number, also NaN and the infinities, or text of one. */
export function encodeFloat8(out: CopyBuffer, value: unknown): void {
  const float = typeof value === 'number' ? value : toFloat(value)
  out.reserve(12)
  out.view.setInt32(out.at, 8)
  out.view.setFloat64(out.at + 4, float)
  out.at += 12
}

/** true or false, and nothing that is taken for it. */
export function encodeBool(out: CopyBuffer, value: unknown): void {
  if (typeof value !== 'boolean') throw new WrongValue('true or false')
  out.reserve(5)
  out.view.setInt32(out.at, 1)
  out.bytes[out.at + 4] = value ? 1 : 0
  out.at += 5
}

function toInteger(value: unknown, min: number, max: number, type: string): number {
  const whole =
    typeof value === 'number' ? value : typeof value === 'bigint' || (typeof value === 'string' && DIGITS.test(value)) ? Number(value) : NaN
  if (!Number.isInteger(whole)) throw new WrongValue(`a whole number for ${type}`)
  if (whole < min || whole > max) throw new WrongValue(`a whole number within ${type}`)
  return whole
}

function toFloat(value: unknown): number {
  if (typeof value === 'number') return value
  if (typeof value === 'bigint') return Number(value)
  if (typeof value !== 'string' || !FLOAT.test(value)) throw new WrongValue('a number')
  const text = value.trim().toLowerCase()
  if (text === 'nan') return NaN
  if (text.includes('inf')) return text.startsWith('-') ? -Infinity : Infinity
  return Number(text)
}

/** `BigInt('+5')` is an error. */
function unsigned(digits: string): string {
  return digits.startsWith('+') ? digits.slice(1) : digits
}
