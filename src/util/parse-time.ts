/**
 * Reads a time as commands take it, in ms since 1970: a date (in UTC), a time with a zone, or milliseconds. Undefined for anything else: a time without
 * a zone would mean something else on each machine, a day that its month does not have would mean another day, and seconds would mean early in 1970.
 */
export function parseTime(text: string): number | undefined {
  if (/^\d{11,}$/.test(text)) return Number(text)
  const [, year, month, day] = /^(\d{4})-(\d\d)-(\d\d)(?:T.*(?:Z|[+-]\d\d:?\d\d))?$/.exec(text) ?? []
  if (year === undefined || new Date(Date.UTC(Number(year), Number(month) - 1, Number(day))).getUTCDate() !== Number(day)) return undefined
  const timestamp = Date.parse(text)
  return Number.isNaN(timestamp) ? undefined : timestamp
}

/** Whether a text is a time that only lacks its zone. */
export function lacksZone(text: string): boolean {
  return /^\d{4}-\d\d-\d\d[T ]\d\d(?::\d\d(?::\d\d(?:\.\d+)?)?)?$/.test(text)
}

/**
 * The end of a sentence on a text that is a number of seconds, which have ten digits from 2001 to 2286; undefined for any other. As milliseconds it is in
 * front of every log's first record, and a reset to it, or a backfill from it, would take all there is.
 */
export function explainSeconds(text: string): string | undefined {
  if (!/^\d{10}$/.test(text)) return undefined
  const meant = new Date(Number(text) * 1_000).toISOString()
  return `is in seconds, it seems, and milliseconds are meant here: ${text}000 is ${meant}.`
}

/** The forms of a time, for messages. */
export const TIME_FORMS = 'a date (2026-11-20, in UTC), a time with a zone (2026-11-20T12:00:00Z), or milliseconds since 1970'
