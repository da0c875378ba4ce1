import { errorMessage } from '../../../src/core/errors.ts'
import { BULLMQ_VERSION, type GroupReport } from '../messages.ts'

/** A report as far as it can be understood. */
export type ReadReport =
  | { readonly groups: readonly GroupReport[] }
  /** Its executor runs nothing of this job: `why` goes on after "it waits: …". */
  | { readonly refused: string }
  /** It is none. */
  | { readonly unreadable: string }

/** Reads what an executor returned: an object, or the JSON that Redis holds of it. */
export function readReport(returned: unknown): ReadReport {
  let report: { readonly v?: unknown; readonly groups?: GroupReport[] } | null
  try {
    report = typeof returned === 'string' ? JSON.parse(returned) : returned
  } catch (error) {
    return { unreadable: errorMessage(error) }
  }
  if (report?.v !== BULLMQ_VERSION) {
    return { refused: `its reports are of version ${String(report?.v)}, and this driver reads version ${BULLMQ_VERSION}` }
  }
  if (!Array.isArray(report.groups)) return { unreadable: 'it has no groups' }
  return findRefusal(report.groups) ?? { groups: report.groups }
}

/** An executor whose job was found to differ says so of every group alike. */
function findRefusal([first]: readonly GroupReport[]): { readonly refused: string } | undefined {
  if (first === undefined || !('error' in first)) return undefined
  const details = first.error.tidemark?.details as { readonly differs?: boolean; readonly differences?: readonly string[] } | undefined
  if (details?.differs !== true) return undefined
  return { refused: `its job differs in ${details.differences?.join(' and ') ?? 'something that it does not name'}` }
}
