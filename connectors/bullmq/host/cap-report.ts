import { errorToWire, type WireError } from '../../../src/core/error-wire.ts'
import { ConfigError } from '../../../src/core/errors.ts'
import type { Json } from '../../../src/core/values.ts'
import type { GroupReport, PackReport, ReportedResult } from '../messages.ts'

/**
 * Keeps a report below what one value in Redis may be: its driver and every listener would choke on it, and Redis serves nobody else meanwhile. What
 * makes one too big are rows that an output gathers on the driver, and what thousands of tasks failed with: first stacks and causes go, then what is
 * long in messages, details and samples. Class, code, whether to try again, and what is lost of a log stay.
 */
export function capReport(report: PackReport, maxBytes: number): PackReport {
  if (atMost(report) <= maxBytes || sizeOf(report) <= maxBytes) return report
  let capped: PackReport = { ...report, groups: report.groups.map(group => withoutGathered(group, maxBytes)) }
  for (const most of [1_000, 150]) {
    if (sizeOf(capped) <= maxBytes) break
    capped = { ...capped, groups: capped.groups.map(group => shorten(group, most)) }
  }
  return capped
}

/** What results without gathered rows take each, bytes: none takes more, and the report is written as JSON once more when it is sent. */
const RESULT_BYTES = 160

/** No less than the report's size; infinite where only writing it can tell. */
function atMost({ groups }: PackReport): number {
  let bytes = 0
  for (const group of groups) {
    if ('error' in group) return Number.POSITIVE_INFINITY
    for (const [, , , , , , more] of group.results) {
      if (more !== undefined) return Number.POSITIVE_INFINITY
      bytes += RESULT_BYTES
    }
  }
  return bytes
}

function sizeOf(report: PackReport): number {
  return Buffer.byteLength(JSON.stringify(report))
}

function withoutGathered(group: GroupReport, maxBytes: number): GroupReport {
  if ('error' in group || group.results.every(([, , , , , , more]) => more?.gathered === undefined)) return group
  const bytes = group.results.reduce((sum, [, , , , , , more]) => sum + (more?.gathered?.length ?? 0), 0)
  const error = new ConfigError(
    `An executor's report would be above maxReportBytes, ${maxBytes} bytes: an output gathers its rows on the driver, ` +
      `${bytes} bytes of them in one range. ` +
      'Lower limits.maxRecordsPerBatch, gather less (a map or filter in front of it), use forEachRange, which gathers nothing, or raise ' +
      'maxReportBytes of serveTasks.',
    { details: { maxReportBytes: maxBytes, bytes } },
  )
  return { error: errorToWire(error) }
}

function shorten(group: GroupReport, most: number): GroupReport {
  if ('error' in group) return { error: shortenError(group.error, most) }
  const results = group.results.map((result): ReportedResult => {
    const [applied, records, rows, bytes, startTime, endTime, more] = result
    if (more === undefined) return result
    const { error, skipped, ...left } = more
    const shorter = {
      ...left,
      ...(error !== undefined && { error: shortenError(error, most) }),
      ...(skipped !== undefined && { skipped: { ...skipped, samples: skipped.samples.slice(0, 1).map(one => cutSample(one, most)) } }),
    }
    return [applied, records, rows, bytes, startTime, endTime, shorter]
  })
  return { results }
}

function shortenError({ name, message, tidemark }: WireError, most: number): WireError {
  const short = { name, message: message.slice(0, most) }
  if (tidemark === undefined) return short
  // What is lost of a log stays whole: the driver tells it, and moves the partition by it.
  const details = tidemark.code === 'DATA_LOSS' ? tidemark.details : shortenDetails(tidemark.details, 3 * most)
  return { ...short, tidemark: { ...tidemark, details } }
}

/** Details that are long lose what is long in them: numbers and short texts are what is decided by. */
function shortenDetails(details: Json, most: number): Json {
  if (typeof details !== 'object' || details === null || Array.isArray(details) || lengthOf(details) <= most) return details
  return Object.fromEntries(Object.entries(details).filter(([, value]) => lengthOf(value) <= most / 5))
}

function cutSample<Sample extends { readonly message: string }>(sample: Sample, most: number): Sample {
  return { ...sample, message: sample.message.slice(0, most) }
}

function lengthOf(value: Json): number {
  return JSON.stringify(value).length
}
