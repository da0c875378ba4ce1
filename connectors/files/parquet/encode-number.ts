import { WrongValue } from '../row-refused.ts'
import type { ColumnBuffer } from './column-buffer.ts'

const DIGITS = /^[+-]?\d+$/
const TWO_32 = 2 ** 32
const MAX_INT64 = 2n ** 63n - 1n

/** Writes a value behind the ones before it and takes it into the statistics. @throws WrongValue */
export type Encode = (out: ColumnBuffer, value: unknown) => void

export const encodeInt32: Encode = (out, value) => {
  const whole = typeof value === 'bigint' || (typeof value === 'string' && DIGITS.test(value)) ? Number(value) : value
  if (typeof whole !== 'number' || (whole | 0) !== whole) throw new WrongValue('a whole number of 32 bits')
  writeInt32(out, whole)
}

/** A number beyond 2^53 may be another than was meant, so such come as BigInt or text. */
export const encodeInt64: Encode = (out, value) => {
  if (typeof value === 'number') {
    if (!Number.isSafeInteger(value)) throw new WrongValue('a whole number of 64 bits, beyond 2^53 as a BigInt or as text')
    return writeInt64(out, value)
  }
  const big =
    typeof value === 'bigint' ? value : typeof value === 'string' && DIGITS.test(value) ? BigInt(value.replace(/^\+/, '')) : undefined
  if (big === undefined || big > MAX_INT64 || big < -MAX_INT64 - 1n) throw new WrongValue('a whole number of 64 bits')
  writeBigInt64(out, big)
}

/** A single; what it would make an infinity of is refused. */
export const encodeFloat: Encode = (out, value) => {
  if (typeof value !== 'number' || (Number.isFinite(value) && !Number.isFinite(Math.fround(value))))
    throw new WrongValue('a number that 32 bits can hold')
  const single = Math.fround(value)
  const at = out.take(4)
  out.view.setFloat32(at, single, true)
  out.seeNumber(single)
}

export const encodeDouble: Encode = (out, value) => {
  if (typeof value !== 'number') throw new WrongValue('a number')
  const at = out.take(8)
  out.view.setFloat64(at, value, true)
  out.seeNumber(value)
}

/** A byte a value; the page packs them into bits. */
export const encodeBoolean: Encode = (out, value) => {
  if (typeof value !== 'boolean') throw new WrongValue('true or false')
  const bit = value ? 1 : 0
  const at = out.take(1)
  out.bytes[at] = bit
  out.seeNumber(bit)
}

export function writeInt32(out: ColumnBuffer, whole: number): void {
  const at = out.take(4)
  out.view.setInt32(at, whole, true)
  out.seeNumber(whole)
}

/** A safe integer as 8 bytes. */
export function writeInt64(out: ColumnBuffer, whole: number): void {
  const at = out.take(8)
  out.view.setInt32(at, whole | 0, true)
  out.view.setInt32(at + 4, Math.floor(whole / TWO_32), true)
  out.seeNumber(whole)
}

/** Any integer of 64 bits. */
export function writeBigInt64(out: ColumnBuffer, whole: bigint): void {
  const at = out.take(8)
  out.view.setBigInt64(at, whole, true)
  out.seeBig(whole)
}
