import { WrongValue } from '../row-refused.ts'
import { type Encode, writeBigInt64, writeInt32 } from './encode-number.ts'

const FORM = /^([+-]?)(\d*)(?:\.(\d*))?(?:[eE]([+-]?\d+))?$/
/** How many bytes a decimal of more than 18 digits takes: 38 digits. */
export const WIDE_DECIMAL_BYTES = 16

/**
 * Decimals of a fixed scale. A number is taken by its shortest decimal text, so 0.1 is 0.1 and not what is behind it in binary; what would have to be
 * rounded is refused.
 */
export function decimalEncoder(precision: number, scale: number): Encode {
  const limit = 10n ** BigInt(precision)
  const expected = `a decimal of at most ${precision - scale} digits before the point and ${scale} behind it`
  return (out, value) => {
    if (typeof value !== 'number' && typeof value !== 'bigint' && typeof value !== 'string') throw new WrongValue(expected)
    const unscaled = toUnscaled(String(value).trim(), scale)
    if (unscaled === undefined || unscaled >= limit || unscaled <= -limit) throw new WrongValue(expected)
    if (precision <= 9) writeInt32(out, Number(unscaled))
    else if (precision <= 18) writeBigInt64(out, unscaled)
    else {
      const at = out.take(WIDE_DECIMAL_BYTES)
      out.view.setBigInt64(at, unscaled >> 64n)
      out.view.setBigUint64(at + 8, BigInt.asUintN(64, unscaled))
      out.seeBig(unscaled)
    }
  }
}

/** The text of a decimal as a whole number of its last places; undefined where it has more of them than `scale`. */
function toUnscaled(text: string, scale: number): bigint | undefined {
  const form = FORM.exec(text)
  if (form === null) return undefined
  const [, sign = '', whole = '', fraction = '', exponent = '0'] = form
  const digits = whole + fraction
  if (digits === '' || Math.abs(Number(exponent)) > 400) return undefined
  // How many places behind the last digit the wanted last place is.
  const shift = scale - fraction.length + Number(exponent)
  const kept = shift >= 0 ? digits + '0'.repeat(shift) : digits.slice(0, shift)
  if (shift < 0 && /[1-9]/.test(digits.slice(shift))) return undefined
  const unscaled = BigInt(kept === '' ? '0' : kept)
  return sign === '-' ? -unscaled : unscaled
}
