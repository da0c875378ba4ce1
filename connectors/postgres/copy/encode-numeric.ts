import type { CopyBuffer } from './copy-buffer.ts'
import { WrongValue } from './wrong-value.ts'

const FORM = /^([+-]?)(\d*)(?:\.(\d*))?(?:[eE]([+-]?\d+))?$/
const NOT_NUMBERS: Readonly<Record<string, number>> = { nan: 0xc000, infinity: 0xd000, '-infinity': 0xf000 }
const NEGATIVE = 0x4000
/** The most digits behind the point that the format can say. */
const MAX_SCALE = 16_383
/** The most digits before the point. */
const MAX_WHOLE_DIGITS = 131_072
const EXPECTED = 'a number, a BigInt or the text of a number'

/**
 * Postgres' `numeric` in its binary form: digits to the base 10,000, the place of the first, sign and scale (numeric_recv in numeric.c). A number is
 * taken by its shortest decimal text, so 0.1 is 0.1 and not what is behind it in binary.
 */
export function encodeNumeric(out: CopyBuffer, value: unknown): void {
  if (typeof value !== 'number' && typeof value !== 'bigint' && typeof value !== 'string') throw new WrongValue(EXPECTED)
  if (typeof value !== 'number' || !writeShort(out, value)) writeNumberText(out, typeof value === 'string' ? value.trim() : String(value))
}

function writeNumberText(out: CopyBuffer, text: string): void {
  const form = FORM.exec(text)
  if (form === null) {
    writeNotNumber(out, text)
    return
  }
  const [, sign = '', wholeDigits = '', fractionDigits = '', exponent = '0'] = form
  if (wholeDigits === '' && fractionDigits === '') throw new WrongValue(EXPECTED)
  const shift = Number(exponent)
  if (Math.abs(shift) > MAX_WHOLE_DIGITS) throw new WrongValue('a number within numeric')

  const digits = wholeDigits + fractionDigits
  const point = wholeDigits.length + shift
  const whole = (point <= 0 ? '' : digits.slice(0, point).padEnd(point, '0')).replace(/^0+/, '')
  const fraction = point >= digits.length ? '' : digits.slice(Math.max(0, point)).padStart(digits.length - point, '0')
  if (whole.length > MAX_WHOLE_DIGITS || fraction.length > MAX_SCALE) throw new WrongValue('a number within numeric')
  writeDigits(out, sign === '-', whole, fraction)
}

function writeDigits(out: CopyBuffer, isNegative: boolean, whole: string, fraction: string): void {
  const wholeGroups = Math.ceil(whole.length / 4)
  const all = whole.padStart(4 * wholeGroups, '0') + fraction.padEnd(4 * Math.ceil(fraction.length / 4), '0')
  let first = 0
  let last = all.length / 4
  while (first < last && groupAt(all, first) === 0) first += 1
  while (last > first && groupAt(all, last - 1) === 0) last -= 1
  const count = last - first

  const size = 8 + 2 * count
  out.reserve(4 + size)
  const { view, at } = out
  view.setInt32(at, size)
  view.setInt16(at + 4, count)
  view.setInt16(at + 6, count === 0 ? 0 : wholeGroups - first - 1)
  view.setUint16(at + 8, isNegative && count > 0 ? NEGATIVE : 0)
  view.setInt16(at + 10, fraction.length)
  for (let i = 0; i < count; i++) view.setInt16(at + 12 + 2 * i, groupAt(all, first + i))
  out.at = at + 4 + size
}

function groupAt(digits: string, group: number): number {
  const at = 4 * group
  return (
    (digits.charCodeAt(at) - 48) * 1000 +
    (digits.charCodeAt(at + 1) - 48) * 100 +
    (digits.charCodeAt(at + 2) - 48) * 10 +
    (digits.charCodeAt(at + 3) - 48)
  )
}

/**
 * A number of at most four digits behind the point and fifteen in all, without a detour by its text; false for any other. Fifteen digits are never shared
 * by two numbers, so the digits that give the number back are those of its shortest text.
 */
function writeShort(out: CopyBuffer, value: number): boolean {
  let scale = 0
  let power = 1
  const size = Math.abs(value)
  if (!(size < 1e11)) return false
  while (Math.round(size * power) / power !== size) {
    if (scale === 4) return false
    scale += 1
    power *= 10
  }
  const all = Math.round(size * power)
  let whole = Math.floor(all / power)
  const fraction = (all - whole * power) * (10_000 / power)
  let groups = fraction === 0 ? 0 : 1
  let weight = -1
  for (let rest = whole; rest >= 1; rest = Math.floor(rest / 10_000)) weight += 1
  // Digits of zero at the end are not written; between the first and the last they are.
  let skipped = 0
  if (groups === 0) for (; whole !== 0 && whole % 10_000 === 0; whole /= 10_000) skipped += 1
  groups += weight + 1 - skipped
  out.reserve(12 + 2 * groups)
  const { view, at } = out
  view.setInt32(at, 8 + 2 * groups)
  view.setInt16(at + 4, groups)
  view.setInt16(at + 6, groups === 0 ? 0 : weight)
  view.setUint16(at + 8, value < 0 ? NEGATIVE : 0)
  view.setInt16(at + 10, scale)
  let end = at + 12 + 2 * groups
  out.at = end
  if (fraction !== 0) {
    end -= 2
    view.setInt16(end, fraction)
  }
  for (; end > at + 12; whole = Math.floor(whole / 10_000)) {
    end -= 2
    view.setInt16(end, whole % 10_000)
  }
  return true
}

function writeNotNumber(out: CopyBuffer, text: string): void {
  const sign = NOT_NUMBERS[text.toLowerCase().replace(/^\+/, '')]
  if (sign === undefined) throw new WrongValue(EXPECTED)
  out.reserve(12)
  out.view.setInt32(out.at, 8)
  out.view.setInt32(out.at + 4, 0)
  out.view.setUint16(out.at + 8, sign)
  out.view.setInt16(out.at + 10, 0)
  out.at += 12
}
