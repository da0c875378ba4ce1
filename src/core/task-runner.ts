import { applyStages, type RecordOffsets } from './apply-stages.ts'
import type { Clock } from './clock.ts'
import { ConfigError, DataLossError, JobError, type TidemarkError, TimeoutError } from './errors.ts'
import type { SkippedRecords, TaskGroup, TaskLoss, TaskResult } from './executor.ts'
import { withOffset } from './find-offset.ts'
import { howToGoOn } from './how-to-go-on.ts'
import type { Log } from './log.ts'
import type { RangeContext, RunnableJob, RunnableOutput } from './runnable-job.ts'
import { shareRows } from './share-rows.ts'
import { TaskLife } from './task-life.ts'
import { keepWithin } from './time-window.ts'
import { showRange, type Task } from './values.ts'

export type RunnerContext = {
  readonly clock: Clock
  readonly log: Log
  readonly signal: AbortSignal
  /** Told whenever bytes came or rows went. */
  readonly onProgress?: (() => void) | undefined
}

/** How long code that was told to stop may take to do so, ms; then the task ends without it. */
const ABORT_GRACE_MS = 5_000
/** How many of the records that are left out are told of one by one. */
const MAX_SAMPLES = 10

type Rows = AsyncIterable<readonly unknown[]>
type Branch = { readonly task: Task; readonly output: RunnableOutput; readonly counts: Counts }
type Counts = { rows: number; gathered: unknown[] | undefined; skipped: number; readonly samples: SkippedRecords['samples'][number][] }

/**
 * Runs the tasks of one range: asks each output whether it has the task already, reads the range once for those that do not, takes the rows
 * through the stages (a shared prefix once) and gives them to the sinks. Every executor runs tasks through this.
 *
 * Rejects with the first error, after every sink has ended.
 */
export async function runTasks(job: RunnableJob, group: TaskGroup, context: RunnerContext): Promise<TaskResult[]> {
  const { clock, signal } = context
  const life = new TaskLife({ clock, signal, timeoutMs: group.timeoutMs, graceMs: ABORT_GRACE_MS, tooLate: () => tooLate(group) })
  return life.within(runInTime(job, group, context, life))
}

/** What a driver's operator has to know beside what is gone: the batch is begun, and how it comes to its end. */
function withWayOut(loss: DataLossError, { tasks }: TaskGroup): DataLossError {
  const { lossCause, missing, resumeAt, details } = loss
  const options = { details, cause: loss, ...(resumeAt !== undefined && { resumeAt }) }
  return new DataLossError(lossCause, `${loss.message} ${howToGoOn(lossCause, tasks[0]?.batchId)}`, missing, options)
}

function tooLate({ range, timeoutMs, tasks }: TaskGroup): TimeoutError {
  const batchId = tasks[0]?.batchId
  return new TimeoutError(
    `Task ${showRange(range)} of batch ${batchId} did not end within taskTimeoutMs, ${timeoutMs} ms. Lower limits.maxRecordsPerTask or raise taskTimeoutMs.`,
    { details: { ...range, batchId, timeoutMs } },
  )
}

async function runInTime(job: RunnableJob, group: TaskGroup, context: RunnerContext, life: TaskLife): Promise<TaskResult[]> {
  const startTime = context.clock.now()
  const { signal } = life
  signal.throwIfAborted()

  const branches: Branch[] = []
  for (const task of group.tasks) {
    const output = job.outputs.get(task.output)
    if (output === undefined) throw new JobError(`Task ${describe(task)} is for an output that the job does not have.`)
    if (await output.sink.applied?.(task)) continue
    branches.push({
      task,
      output,
      counts: { rows: 0, gathered: output.gatherMaxRows === undefined ? undefined : [], skipped: 0, samples: [] },
    })
  }

  const read = { records: 0, bytes: 0, outsideTime: 0, isDrained: false }
  const losses: TaskLoss[] = []
  const source = branches[0]?.output.source
  if (source === undefined) life.end()
  if (source !== undefined) {
    const onBytes = (bytes: number) => {
      read.bytes += bytes
      context.onProgress?.()
    }
    const onDataLoss = (loss: DataLossError) => {
      if (group.onDataLoss[loss.lossCause] === 'fail') throw withWayOut(loss, group)
      const { lossCause: cause, message, missing, resumeAt } = loss
      // Here already: should the driver end before it hears of it, the next finds the task applied and nothing to tell.
      context.log.warn(
        { stream: group.tasks[0]?.stream, batch: group.tasks[0]?.batchId, cause, missing },
        `data loss, going on: ${message}`,
      )
      losses.push({ cause, message, missing, ...(resumeAt !== undefined && { resumeAt }) })
    }
    const options = { isolation: group.isolation, onBytes, onDataLoss }
    const reading = source.read(group.range, { ...options, signal })[Symbol.asyncIterator]()
    const maySkip = group.onRecordError === 'skip'
    try {
      const records = countInto({ [Symbol.asyncIterator]: () => reading }, read)
      const { timestamps } = group
      const onOutside = (count: number) => {
        read.outsideTime += count
      }
      const rows = timestamps === undefined ? records : keepWithin(records, timestamps, source, onOutside)
      await runBranches(rows, branches, 0, {
        life,
        log: context.log,
        onProgress: context.onProgress,
        maySkip,
        offsets: new WeakMap(),
      })
      if (read.isDrained) life.end()
    } catch (error) {
      const { range, timestamps } = group
      const outputs = branches.map(({ output }) => output)
      const failed = { outputs, range, context: rangeContext(branches[0] as Branch), ...(timestamps && { timestamps }) }
      life.fail(error)
      reading.return?.().catch(() => {})
      throw await withOffset(error, {
        ...failed,
        options: { ...options, signal: life.restSignal },
        maySkip,
        onProgress: context.onProgress,
      })
    } finally {
      // A sink that stopped drawing rows without saying so leaves the read where it was, with its connection and its share of the budget; what still
      // waits in it hears of the end of this life.
      reading.return?.().catch(() => {})
    }
  }

  const endTime = context.clock.now()
  return group.tasks.map(task => {
    const branch = branches.find(candidate => candidate.task === task)
    if (branch === undefined) return { task, alreadyApplied: true, records: 0, rows: 0, bytes: 0, startTime, endTime }
    const { rows, gathered, skipped, samples } = branch.counts
    return {
      task,
      alreadyApplied: false,
      records: read.records,
      bytes: read.bytes,
      rows,
      ...(read.outsideTime > 0 && { outsideTime: read.outsideTime }),
      ...(skipped > 0 && { skipped: { count: skipped, samples } }),
      ...(losses.length > 0 && { losses }),
      startTime,
      endTime,
      ...(gathered && { gathered }),
    }
  })
}

type BranchContext = {
  readonly life: TaskLife
  readonly log: Log
  readonly onProgress: RunnerContext['onProgress']
  readonly maySkip: boolean
  /** Of arrays of rows that several outputs go on with. */
  readonly offsets: RecordOffsets
}

/** Counts a record that is left out for every output that would have had it. */
function countSkipped(branches: readonly Branch[], { message, details }: TidemarkError): void {
  const offset = typeof details.offset === 'number' ? details.offset : undefined
  for (const { counts } of branches) {
    counts.skipped += 1
    if (counts.samples.length < MAX_SAMPLES) counts.samples.push({ offset, stage: String(details.stage), message })
  }
}

/** Applies the stages that all branches have in common from `depth` on, then parts the rows where they fork. */
async function runBranches(rows: Rows, branches: readonly Branch[], depth: number, context: BranchContext): Promise<void> {
  const first = branches[0] as Branch
  let end = depth
  while (end < first.output.stages.length && branches.every(({ output }) => output.stages[end] === first.output.stages[end])) end++
  const onSkip = context.maySkip ? (error: TidemarkError) => countSkipped(branches, error) : undefined
  const staged = applyStages(rows, first.output.stages.slice(depth, end), rangeContext(first), {
    onSkip,
    offsets: context.offsets,
    isOfSource: depth === 0,
    willFork: branches.length > 1,
  })

  if (branches.length === 1) return writeBranch(staged, first, context)
  const forks = groupByStage(branches, end)
  const shared = shareRows(staged, forks.length)
  const ended = await Promise.allSettled(
    forks.map(async (fork, at) => {
      try {
        // Several outputs that end at the same stage each get the rows as they are.
        await runBranches(shared.branches[at] as Rows, fork, end, context)
      } catch (error) {
        context.life.fail(error)
        throw error
      } finally {
        // A sink that found its task applied, or failed, never asks again: the others must not wait for it.
        shared.leave(at)
      }
    }),
  )
  const failed = ended.find(result => result.status === 'rejected')
  // The first to fail aborted the others; what those threw is its echo.
  if (failed) throw context.life.signal.aborted ? context.life.signal.reason : failed.reason
}

function rangeContext({ task: { output: _output, attempt: _attempt, ...range } }: Branch): RangeContext {
  return range
}

/** Branches that go on with the same stage stay together; those that end here part for good. */
function groupByStage(branches: readonly Branch[], depth: number): Branch[][] {
  const forks = new Map<unknown, Branch[]>()
  for (const branch of branches) {
    const key = branch.output.stages[depth] ?? branch
    const fork = forks.get(key)
    if (fork === undefined) forks.set(key, [branch])
    else fork.push(branch)
  }
  return [...forks.values()]
}

async function writeBranch(rows: Rows, branch: Branch, { life: { signal }, log, onProgress }: BranchContext): Promise<void> {
  const { task, output } = branch
  // A sink that only listens for the abort would wait for ever for one that has been.
  signal.throwIfAborted()
  await output.sink.write(task, countRows(rows, branch, onProgress) as AsyncIterable<readonly never[]>, { signal, log })
}

async function* countInto(rows: Rows, read: { records: number; isDrained: boolean }): AsyncGenerator<readonly unknown[]> {
  for await (const array of rows) {
    read.records += array.length
    yield array
  }
  read.isDrained = true
}

async function* countRows(rows: Rows, branch: Branch, onProgress: RunnerContext['onProgress']): AsyncGenerator<readonly unknown[]> {
  const { counts, output } = branch
  for await (const array of rows) {
    counts.rows += array.length
    onProgress?.()
    if (counts.gathered !== undefined) {
      if (counts.rows > (output.gatherMaxRows ?? 0)) throw gatheredTooMany(output, branch.task.batchId)
      for (const row of array) counts.gathered.push(row)
    }
    yield array
  }
}

/** What a batch with more rows than its output gathers ends with. */
export function gatheredTooMany({ name, gatherMaxRows }: RunnableOutput, batchId: number): ConfigError {
  return new ConfigError(
    `Output ${name} gathers a batch's rows on the driver and takes at most ${gatherMaxRows}; batch ${batchId} has more. Lower ` +
      `limits.maxRecordsPerBatch, raise the output's maxRows, or use forEachRange, which gathers nothing.`,
  )
}

function describe(task: Task): string {
  return `${task.index} of batch ${task.batchId} (${showRange(task.range)}, output ${task.output})`
}
