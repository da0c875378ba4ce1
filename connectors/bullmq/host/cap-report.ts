import { errorToWire, type WireError } from '../../../src/core/error-wire.ts'
import { ConfigError } from '../../../src/core/errors.ts'
import type { GroupReport, PackReport } from '../messages.ts'

/**
 * Keeps a report below what one value in Redis may be: its driver and every listener would choke on it, and Redis serves nobody else meanwhile. What
 * makes one too big are rows that an output gathers on the driver; a thousand groups that fail with long stacks lose the stacks.
 */
export function capReport(report: PackReport, maxBytes: number): PackReport {
  if (atMost(report) <= maxBytes || sizeOf(report) <= maxBytes) return report
  const capped = { ...report, groups: report.groups.map(group => withoutGathered(group, maxBytes)) }
  if (sizeOf(capped) <= maxBytes) return capped
  return { ...capped, groups: capped.groups.map(group => ('error' in group ? { error: shorten(group.error) } : group)) }
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

/** The most of a message that is kept. */
const SHORT = 1_000

function shorten({ stack: _stack, cause: _cause, errors: _errors, fields: _fields, ...error }: WireError): WireError {
  return { ...error, message: error.message.slice(0, SHORT) }
}
