/**
 * Reads a time as commands take it, in ms since 1970: a date (in UTC), a time with a zone, or milliseconds. Undefined for anything else: a time without
 * a zone would mean something else on each machine.
 */
export function parseTime(text: string): number | undefined {
  if (/^\d{10,}$/.test(text)) return Number(text)
  const timestamp = /^\d{4}-\d\d-\d\d(T.*(Z|[+-]\d\d:?\d\d))?$/.test(text) ? Date.parse(text) : Number.NaN
  return Number.isNaN(timestamp) ? undefined : timestamp
}

/** The forms of a time, for messages. */
export const TIME_FORMS = 'a date (2026-11-20, in UTC), a time with a zone (2026-11-20T12:00:00Z), or milliseconds since 1970'
