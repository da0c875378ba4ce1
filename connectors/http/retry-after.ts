/**
 * The `Retry-After` of an answer in ms: a number of seconds, or a date by the wall clock `now` (RFC 9110, 10.2.3). Undefined where there is none, or none
 * that can be read; 0 for a date that has passed.
 */
export function parseRetryAfter(value: string | undefined, now: number): number | undefined {
  const text = value?.trim() ?? ''
  if (/^\d+$/.test(text)) return Number(text) * 1000
  // `Date.parse` takes many a text for a date, such as "1.5": a date of HTTP ends in GMT.
  const at = text.endsWith('GMT') ? Date.parse(text) : Number.NaN
  return Number.isNaN(at) ? undefined : Math.max(0, at - now)
}
