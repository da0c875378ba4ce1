import type { WireError } from '../../src/core/error-wire.ts'
import type { JobFingerprint } from '../../src/core/job-fingerprint.ts'
import type { WireGroups, WireResult } from '../../src/core/task-wire.ts'

/** The version of everything that driver and executors leave for each other in Redis. */
export const BULLMQ_VERSION = 1

/** What an executor says of itself, anew with each heartbeat. */
export type ExecutorInfo = {
  readonly v: typeof BULLMQ_VERSION
  /** `<host>-<pid>-<random>`: one start of one process, and the name of its queue. */
  readonly id: string
  readonly host: string
  readonly pid: number
  /** How many packs of groups it works on at a time. */
  readonly slots: number
  readonly fingerprint: JobFingerprint
  /** Ms since the epoch, by its own clock. */
  readonly startedAt: number
  /** A draining executor ends what runs and takes nothing more. */
  readonly state: 'ready' | 'draining'
  /** Tasks it works on now, and tasks it has ended since its start. */
  readonly tasks: { readonly running: number; readonly completed: number; readonly failed: number }
}

/** What a driver says of its run, anew while it lives. */
export type RunInfo = {
  readonly v: typeof BULLMQ_VERSION
  readonly stream: string
  readonly streamId: string
  /** Of its job: an executor whose job differs waits, and says so. */
  readonly fingerprint: JobFingerprint
  /** Of its lease, as its tasks carry it; undefined before its first batch. */
  readonly epoch: number | undefined
  readonly host: string
  readonly pid: number
  /** Ms since the epoch, by its own clock. */
  readonly startedAt: number
  readonly batchId: number | undefined
  /** Groups that nobody has given a result for yet. */
  readonly groupsLeft: number
}

/** The data of a job in an executor's queue: a pack of groups of one batch. It holds no secret: an executor has its own configuration. */
export type PackMessage = {
  readonly v: typeof BULLMQ_VERSION
  readonly streamId: string
  /** The run's outputs, by name. */
  readonly outputs: readonly string[]
  /** Of the driver's job: an executor whose job differs runs nothing of it. */
  readonly fingerprint: JobFingerprint
  readonly groups: WireGroups
}

/**
 * What a pack's job returns: for each group, in their order, its results or what it failed with. An executor whose job or version differs from the
 * driver's gives each group an error with `differs` (and `differences`, in words) in its details: then the driver gives the pack to others, and this
 * executor nothing more until it says something new of itself.
 */
export type PackReport = { readonly v: typeof BULLMQ_VERSION; readonly groups: readonly GroupReport[] }

/** Gathered rows are base64. */
export type GroupReport = { readonly results: readonly ReportedResult[] } | { readonly error: WireError }

export type ReportedResult = WireResult<string>

/** Results as JSON can say them. */
export function reportResults(results: readonly WireResult[]): ReportedResult[] {
  return results.map(result => withGathered(result, bytes => Buffer.from(bytes).toString('base64')))
}

export function readReported(results: readonly ReportedResult[]): WireResult[] {
  return results.map(result => withGathered(result, text => Buffer.from(text, 'base64')))
}

function withGathered<From, To>(result: WireResult<From>, convert: (gathered: From) => To): WireResult<To> {
  const [applied, records, rows, bytes, startTime, endTime, more] = result
  // Most have none, and are the same in both forms.
  if (more === undefined) return result as WireResult<never>
  const { gathered, ...left } = more
  return [applied, records, rows, bytes, startTime, endTime, { ...left, ...(gathered !== undefined && { gathered: convert(gathered) }) }]
}
