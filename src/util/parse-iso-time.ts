const DATE = /^(\d{4,6}|[+-]\d{6})-(\d\d)-(\d\d)$/
const TIME = /^(\d\d):(\d\d)(?::(\d\d)(?:[.,](\d{1,9}))?)?$/
const ZONE = /^(.*?)\s?(Z|z|[+-]\d\d(?::?\d\d)?)$/
const DAY_MS = 86_400_000

/** An instant as text says it: `ms` since 1970 and `micros` besides, taken as UTC's where the text has no zone. */
export type IsoInstant = { readonly ms: number; readonly micros: number; readonly hasZone: boolean }

/** Reads `2024-02-29`, `2024-02-29T12:00:00.000001` or the same with a zone; undefined for anything else, and for a day or an hour that is none. */
export function parseIsoInstant(text: string): IsoInstant | undefined {
  const [, clock = text, zone] = ZONE.exec(text.length > 10 ? text : '') ?? []
  const at = clock.search(/[T ]/i)
  const days = parseDays(at === -1 ? clock : clock.slice(0, at))
  const micros = at === -1 ? 0 : parseTimeOfDay(clock.slice(at + 1))
  if (days === undefined || micros === undefined) return undefined
  return {
    ms: days * DAY_MS + Math.floor(micros / 1000) - offsetMs(zone),
    micros: micros % 1000,
    hasZone: at !== -1 && zone !== undefined,
  }
}

/** Days since 1970 of a text such as `2024-02-29`, undefined where there is no such day. Years are astronomical, as in ISO 8601: 0 is 1 BC. */
export function parseDays(text: string): number | undefined {
  const parts = DATE.exec(text)
  if (parts === null) return undefined
  const [year, month, day] = [Number(parts[1]), Number(parts[2]), Number(parts[3])]
  const date = new Date(0)
  date.setUTCFullYear(year, month - 1, day)
  if (date.getUTCMonth() !== month - 1 || date.getUTCDate() !== day) return undefined
  return date.getTime() / DAY_MS
}

/** Microseconds since midnight; digits beyond them are rounded, as Postgres does. */
export function parseTimeOfDay(text: string): number | undefined {
  const parts = TIME.exec(text)
  if (parts === null) return undefined
  const [hours, minutes, seconds] = [Number(parts[1]), Number(parts[2]), Number(parts[3] ?? 0)]
  if (hours > 24 || minutes > 59 || seconds > 60) return undefined
  const micros = Math.round(Number(`0.${parts[4] ?? 0}`) * 1e6)
  const all = ((hours * 60 + minutes) * 60 + seconds) * 1e6 + micros
  return all > 86_400_000_000 ? undefined : all
}

function offsetMs(zone: string | undefined): number {
  if (zone === undefined || zone === 'Z' || zone === 'z') return 0
  const digits = zone.slice(1).replace(':', '').padEnd(4, '0')
  const minutes = Number(digits.slice(0, 2)) * 60 + Number(digits.slice(2))
  return (zone.startsWith('-') ? -1 : 1) * minutes * 60_000
}
