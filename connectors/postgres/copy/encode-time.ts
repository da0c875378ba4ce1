import { parseDays, parseIsoInstant, parseTimeOfDay } from '../../../src/util/parse-iso-time.ts'
import type { CopyBuffer } from './copy-buffer.ts'
import { writeBigInt8, writeInt8 } from './encode-number.ts'
import { WrongValue } from './wrong-value.ts'

/** From 1970 to 2000, where Postgres counts from. */
const EPOCH_DAYS = 10_957
const EPOCH_MS = EPOCH_DAYS * 86_400_000
/** Up to so many milliseconds their microseconds are a safe integer. */
const SAFE_MS = 9e12
const INFINITY_INT8 = 2n ** 63n - 1n
const INFINITY_INT4 = 2 ** 31 - 1

const INSTANT = 'a Date, an ISO text with its zone (2024-02-29T12:00:00.000Z), or milliseconds since 1970'
const WALL_CLOCK = 'a Date, an ISO text (2024-02-29T12:00:00), or milliseconds since 1970'
const DAY = 'a Date, a text such as 2024-02-29, or milliseconds since 1970'
const TIME_OF_DAY = 'a text such as 12:30:00.5, or milliseconds since midnight'

/** `timestamptz`. Text without a zone is refused: what it means would hang on the server's settings. */
export function encodeTimestamptz(out: CopyBuffer, value: unknown): void {
  writeInstant(out, value, true, INSTANT)
}

/** `timestamp`: a wall clock without a zone, taken as UTC's; text with a zone is turned to UTC first. */
export function encodeTimestamp(out: CopyBuffer, value: unknown): void {
  writeInstant(out, value, false, WALL_CLOCK)
}

/** `date`, of a Date or of milliseconds the day it is in UTC. */
export function encodeDate(out: CopyBuffer, value: unknown): void {
  let days: number
  if (value === 'infinity') days = INFINITY_INT4
  else if (value === '-infinity') days = -INFINITY_INT4 - 1
  else if (typeof value === 'string') {
    const parsed = parseDays(value)
    if (parsed === undefined) throw new WrongValue(DAY)
    days = parsed - EPOCH_DAYS
  } else days = Math.floor(toMs(value, DAY) / 86_400_000) - EPOCH_DAYS
  out.reserve(8)
  out.view.setInt32(out.at, 4)
  out.view.setInt32(out.at + 4, days)
  out.at += 8
}

/** `time`, without a zone. */
export function encodeTime(out: CopyBuffer, value: unknown): void {
  const micros =
    typeof value === 'string'
      ? parseTimeOfDay(value)
      : typeof value === 'number' && Number.isFinite(value)
        ? Math.round(value * 1000)
        : undefined
  if (micros === undefined || micros < 0 || micros > 86_400_000_000) throw new WrongValue(TIME_OF_DAY)
  writeInt8(out, micros)
}

function writeInstant(out: CopyBuffer, value: unknown, needsZone: boolean, expected: string): void {
  if (typeof value !== 'string') writeMs(out, toMs(value, expected), 0)
  else if (value === 'infinity') writeBigInt8(out, INFINITY_INT8)
  else if (value === '-infinity') writeBigInt8(out, -INFINITY_INT8 - 1n)
  else writeIsoText(out, value, needsZone, expected)
}

function writeIsoText(out: CopyBuffer, value: string, needsZone: boolean, expected: string): void {
  const instant = parseIsoInstant(value)
  if (instant === undefined || (needsZone && !instant.hasZone)) throw new WrongValue(expected)
  writeMs(out, instant.ms, instant.micros)
}

/** Milliseconds since 1970 and microseconds besides, as microseconds since 2000. */
function writeMs(out: CopyBuffer, ms: number, micros: number): void {
  const since = ms - EPOCH_MS
  if (Math.abs(since) < SAFE_MS) writeInt8(out, Math.round(since * 1000) + micros)
  else writeBigInt8(out, BigInt(Math.round(since)) * 1000n + BigInt(micros))
}

function toMs(value: unknown, expected: string): number {
  const ms = value instanceof Date ? value.getTime() : value
  // Beyond what a Date can be there is no day that Postgres has either.
  if (typeof ms !== 'number' || !(Math.abs(ms) <= 8.64e15)) throw new WrongValue(expected)
  return ms
}
