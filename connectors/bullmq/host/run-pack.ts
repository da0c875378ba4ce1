import { errorToWire } from '../../../src/core/error-wire.ts'
import { errorMessage, isRetryable, isTidemarkError, JobError, type TidemarkError, UnsupportedError } from '../../../src/core/errors.ts'
import type { ExecutorRun, TaskGroup } from '../../../src/core/executor.ts'
import { describeDifference, type JobFingerprint } from '../../../src/core/job-fingerprint.ts'
import { groupsFromWire, resultsToWire, WIRE_VERSION } from '../../../src/core/task-wire.ts'
import { BULLMQ_VERSION, type GroupReport, type PackMessage, type PackReport, reportResults } from '../messages.ts'
import type { HeldPack } from './held-pack.ts'
import type { LocalRuns } from './local-runs.ts'
import type { TaskCounts } from './task-counts.ts'

export type PackContext = {
  readonly executor: string
  readonly fingerprint: JobFingerprint
  readonly runs: LocalRuns
  readonly counts: TaskCounts
  /** By the clock that packs go by. */
  readonly now: () => number
}

/**
 * Runs the groups of a pack, all at once: the local executor has its own queue. A group that fails does not stop the others; what it failed with goes
 * into the report.
 */
export async function runPack(pack: HeldPack, message: PackMessage, context: PackContext): Promise<PackReport> {
  const { counts, runs, now } = context
  const differs = findDifference(message, context)
  if (differs !== undefined) return { v: BULLMQ_VERSION, groups: asMany(message).map(() => ({ error: errorToWire(differs) })) }
  const key = { stream: message.groups.stream, streamId: message.streamId, outputs: message.outputs }
  const groups = groupsFromWire(message.groups)
  const onProgress = () => pack.move(now())
  try {
    pack.signal.throwIfAborted()
    return { v: BULLMQ_VERSION, groups: await runs.use(key, pack.signal, run => Promise.all(groups.map(group => reportGroup(run, group)))) }
  } catch (error) {
    // The run could not be opened. What will not pass keeps this executor from the job, and not the job from others.
    for (const { tasks } of groups) counts.begin(tasks.length)(pack.signal.aborted ? 'aborted' : 'failed')
    const cause = pack.signal.aborted ? pack.signal.reason : isRetryable(error) ? error : cannotOpen(error, context)
    return { v: BULLMQ_VERSION, groups: groups.map(() => ({ error: errorToWire(cause) })) }
  }

  async function reportGroup(run: ExecutorRun, group: TaskGroup): Promise<GroupReport> {
    const ended = counts.begin(group.tasks.length)
    try {
      pack.signal.throwIfAborted()
      const results = await run.run(group, { signal: pack.signal, onProgress })
      const report = { results: reportResults(resultsToWire(results)) }
      ended('completed', results.filter(result => 'error' in result).length)
      return report
    } catch (error) {
      // A task that was told to stop has not failed.
      ended(pack.signal.aborted ? 'aborted' : 'failed')
      return { error: errorToWire(pack.signal.aborted ? pack.signal.reason : error) }
    } finally {
      onProgress()
    }
  }
}

/**
 * What keeps this executor from running a pack: half of a batch's rows would be made by other code, and nobody would see which. The driver knows
 * such an error by `details.differs`, and gives the pack to others.
 */
function findDifference(message: PackMessage, { executor, fingerprint: own }: PackContext): TidemarkError | undefined {
  const { v, groups, fingerprint } = message
  if (v !== BULLMQ_VERSION || groups?.v !== WIRE_VERSION) {
    const differences = [`the version of its messages (${BULLMQ_VERSION}.${WIRE_VERSION}, not ${String(v)}.${String(groups?.v)})`]
    return new UnsupportedError(
      `Executor ${executor} cannot read what a driver sent: they differ in ${differences}. Run the same version of tidemark everywhere.`,
      {
        details: { differs: true, executor, differences },
      },
    )
  }
  const differences = describeDifference(fingerprint, own)
  if (differences.length === 0) return undefined
  return new JobError(
    `Executor ${executor} runs nothing of batch ${groups.batchId} of ${groups.stream}: ` +
      `its job differs from the driver's in ${differences.join(' and ')}. Deploy the same job to it.`,
    { details: { differs: true, executor, differences } },
  )
}

/** The driver takes it as it takes a job that differs: this executor waits, and is named. */
function cannotOpen(error: unknown, { executor }: PackContext): JobError {
  const own = isTidemarkError(error) && Array.isArray(error.details.differences) ? error.details.differences : undefined
  const differences = own ?? [`what it can open where it runs (${errorMessage(error)})`]
  return new JobError(`Executor ${executor} cannot open the job: ${errorMessage(error)}`, {
    details: { differs: true, executor, differences },
    cause: error,
  })
}

/** As many as there are groups, also in a message of another version: at least one, or nobody would hear why. */
function asMany({ groups }: PackMessage): readonly unknown[] {
  return Array.isArray(groups?.groups) ? groups.groups : [undefined]
}
