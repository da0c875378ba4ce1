import { TimeoutError } from './errors.ts'
import type { TaskGroup, TaskResult } from './executor.ts'
import { RangeRun, type RunnerContext } from './range-run.ts'
import type { RunnableJob } from './runnable-job.ts'
import { TaskLife } from './task-life.ts'
import { showRange } from './values.ts'

export type { RunnerContext } from './range-run.ts'

/** How long code that was told to stop may take to do so, ms; then the task ends without it. */
const ABORT_GRACE_MS = 5_000

/**
 * Runs the tasks of one range: asks each output whether it has the task already, reads the range once for those that do not, takes the rows
 * through the stages (a shared prefix once) and gives them to the sinks. Every executor runs tasks through this.
 *
 * Each output comes to its own end: one that fails does not stop the others. Resolves with what became of each task: **a result with an `error` is of a
 * task that is not in**. Rejects where nothing is in and all failed for one reason (the range could not be read, the time was over), and where the caller
 * aborted or an output was fenced; in any case after every sink has ended.
 */
export async function runTasks(job: RunnableJob, group: TaskGroup, context: RunnerContext): Promise<TaskResult[]> {
  const { clock, signal } = context
  const life = new TaskLife({ clock, signal, timeoutMs: group.timeoutMs, graceMs: ABORT_GRACE_MS, tooLate: () => tooLate(group) })
  const run = new RangeRun(job, group, context, life)
  try {
    return await life.within(run.run())
  } catch (error) {
    return run.salvage(error)
  }
}

function tooLate({ range, timeoutMs, tasks }: TaskGroup): TimeoutError {
  const batchId = tasks[0]?.batchId
  return new TimeoutError(
    `Task ${showRange(range)} of batch ${batchId} did not end within taskTimeoutMs, ${timeoutMs} ms. Lower limits.maxRecordsPerTask or raise taskTimeoutMs.`,
    { details: { ...range, batchId, timeoutMs } },
  )
}
