import { errorToWire, type WireError } from '../../../src/core/error-wire.ts'
import { ConfigError } from '../../../src/core/errors.ts'
import type { GroupReport, PackReport } from '../messages.ts'

/**
 * Keeps a report below what one value in Redis may be: its driver and every listener would choke on it, and Redis serves nobody else meanwhile. What
 * makes one too big are rows that an output gathers on the driver; a thousand groups that fail with long stacks lose the stacks.
 */
export function capReport(report: PackReport, maxBytes: number): PackReport {
  if (sizeOf(report) <= maxBytes) return report
  const capped = { ...report, groups: report.groups.map(group => withoutGathered(group, maxBytes)) }
  if (sizeOf(capped) <= maxBytes) return capped
  return { ...capped, groups: capped.groups.map(group => ('error' in group ? { error: shorten(group.error) } : group)) }
}

function sizeOf(report: PackReport): number {
  return Buffer.byteLength(JSON.stringify(report))
}

function withoutGathered(group: GroupReport, maxBytes: number): GroupReport {
  if ('error' in group || group.results.every(({ gathered }) => gathered === undefined)) return group
  const bytes = group.results.reduce((sum, { gathered }) => sum + (gathered?.length ?? 0), 0)
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
