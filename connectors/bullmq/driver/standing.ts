import { describeDifference, type JobFingerprint } from '../../../src/core/job-fingerprint.ts'
import { BULLMQ_VERSION } from '../messages.ts'
import type { SeenExecutor } from '../registry.ts'

/** After how long without a heartbeat an executor is taken for dead, ms. */
export const SILENT_AFTER_MS = 3_000

/** What an executor is to a driver: one that gets work, or why not. */
export type Standing =
  | { readonly state: 'ready' }
  /** It ends what runs. */
  | { readonly state: 'draining' }
  /** It gave no heartbeat for {@link SILENT_AFTER_MS}. */
  | { readonly state: 'silent' }
  /** `why` goes on after "it waits: …". */
  | { readonly state: 'waits'; readonly why: string }

/**
 * Whether an executor counts for a job of this fingerprint. One whose job differs waits, and is no error: in a rolling deploy both are there for a while,
 * and each driver gives work to its own.
 */
export function standingOf({ info, silentForMs }: SeenExecutor, fingerprint: JobFingerprint): Standing {
  if (info.v !== BULLMQ_VERSION)
    return { state: 'waits', why: `it speaks version ${String(info.v)} of the messages, not ${BULLMQ_VERSION}` }
  if (silentForMs >= SILENT_AFTER_MS) return { state: 'silent' }
  if (info.state === 'draining') return { state: 'draining' }
  const differences = describeDifference(fingerprint, info.fingerprint)
  return differences.length === 0 ? { state: 'ready' } : { state: 'waits', why: `its job differs in ${differences.join(' and ')}` }
}

/** A standing in words. */
export function showStanding(standing: Standing): string {
  return standing.state === 'waits' ? `waits: ${standing.why}` : standing.state
}
