import { parseDays, parseIsoInstant } from '../../../src/util/parse-iso-time.ts'
import { WrongValue } from '../row-refused.ts'
import { type Encode, writeBigInt64, writeInt32, writeInt64 } from './encode-number.ts'

const DAY_MS = 86_400_000
/** Up to so many milliseconds their microseconds are a safe integer. */
const SAFE_MS = 9e12
const INSTANT = 'a Date, an ISO text with its zone (2024-02-29T12:00:00.000Z), or milliseconds since 1970'

/** Days since 1970, of a Date the day it is in UTC. */
export const encodeDate: Encode = (out, value) => {
  const days = typeof value === 'string' ? parseDays(value) : value instanceof Date ? Math.floor(value.getTime() / DAY_MS) : undefined
  // Also refuses a Date that is none.
  if (days === undefined || (days | 0) !== days) throw new WrongValue('a Date or a text such as 2024-02-29')
  writeInt32(out, days)
}

/** An instant in UTC, in microseconds or milliseconds since 1970. Text without a zone is refused: what it means would hang on the machine. */
export function timestampEncoder(unit: 'micros' | 'millis'): Encode {
  return (out, value) => {
    let ms: number
    let micros = 0
    if (typeof value === 'string') {
      const instant = parseIsoInstant(value)
      if (instant === undefined || !instant.hasZone) throw new WrongValue(INSTANT)
      ms = instant.ms
      micros = instant.micros
    } else {
      const number = value instanceof Date ? value.getTime() : value
      if (typeof number !== 'number' || !(Math.abs(number) <= 8.64e15)) throw new WrongValue(INSTANT)
      ms = Math.floor(number)
      if (ms !== number) micros = Math.round((number - ms) * 1000)
    }
    if (unit === 'millis') writeInt64(out, ms)
    else if (Math.abs(ms) < SAFE_MS) writeInt64(out, ms * 1000 + micros)
    else writeBigInt64(out, BigInt(ms) * 1000n + BigInt(micros))
  }
}
