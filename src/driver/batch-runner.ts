import { errorMessage, isTidemarkError, JobError, TaskFailedError, type TidemarkError } from '../core/errors.ts'
import type { BatchInfo } from '../core/events.ts'
import type { ExecutorRun, TaskLoss, TaskResult } from '../core/executor.ts'
import type { Lease } from '../core/offset-store.ts'
import { gatheredTooMany } from '../core/range-run.ts'
import type { FenceMark } from '../core/sink.ts'
import type { Isolation } from '../core/source.ts'
import type { Batch, OffsetRange } from '../core/values.ts'
import { type BatchFacts, readFacts } from './batch-facts.ts'
import { BatchReport } from './batch-report.ts'
import type { Committer } from './committer.ts'
import { dispatch } from './dispatcher.ts'
import type { DriverJob } from './driver-job.ts'
import type { EventBus } from './event-bus.ts'
import type { RangeBytes } from './offset-weights.ts'
import type { Planner } from './planner.ts'
import type { RecentBatches } from './recent-batches.ts'
import { Stopped } from './stopped.ts'

export type BatchRun = {
  readonly isReplay: boolean
  /** How long the tick had been due, ms. */
  readonly waitedMs: number
  /** Records behind after this batch; unknown for a replay. */
  readonly lag: number | undefined
}

/** What a batch's life needs beside the job. */
export type BatchRunnerParts = {
  readonly lease: Lease
  readonly executor: ExecutorRun
  readonly committer: Committer
  /** Knows which source a topic comes from. */
  readonly planner: Planner
  readonly bus: EventBus
  /** Before its first batch. */
  readonly lastWritten: RecentBatches['lastWritten']
  /** Told of each failure that is tried again. */
  readonly onOutage: (error: TidemarkError) => void
  readonly signal: AbortSignal
}

/** What a batch that is committed was. */
export type BatchOutcome = {
  readonly info: BatchInfo
  /** What its tasks found gone, told already: the partitions are to be moved to where they go on. */
  readonly losses: readonly TaskLoss[]
  /** What its ranges weighed; 0 bytes for one that every output had already. */
  readonly read: readonly RangeBytes[]
}

/** Takes one batch through its life: begin, fence, run, commit, tell. */
export class BatchRunner {
  readonly #job: DriverJob
  readonly #lease: Lease
  readonly #executor: ExecutorRun
  readonly #committer: Committer
  readonly #planner: Planner
  readonly #onOutage: (error: TidemarkError) => void
  readonly #bus: EventBus
  readonly #signal: AbortSignal
  /** What each output's destination must still have when the next batch begins: it may fail over to a replica that lacks the end of it. */
  readonly #lastWritten: Map<string, NonNullable<FenceMark['lastWritten']>>

  constructor(job: DriverJob, parts: BatchRunnerParts) {
    this.#job = job
    this.#lease = parts.lease
    this.#executor = parts.executor
    this.#committer = parts.committer
    this.#planner = parts.planner
    this.#onOutage = parts.onOutage
    this.#bus = parts.bus
    this.#signal = parts.signal
    this.#lastWritten = new Map(parts.lastWritten)
  }

  async run(batch: Batch, about: BatchRun): Promise<BatchOutcome> {
    const facts = readFacts(batch)
    const { clock } = this.#job.world
    const report = new BatchReport(this.#bus, clock, batch, about)
    const letters = [...this.#job.outputs.values()].find(({ isDeadLetters }) => isDeadLetters)?.name
    // A batch that was begun before the job had dead letters: a bad record may be why. They go out first. Were they last, and the job had them no more
    // when it is run once again, its outputs would say that they are through, and the records that they left out would be nowhere.
    const isGained = about.isReplay && letters !== undefined && !facts.outputs.includes(letters)
    const outputs = isGained ? [...facts.outputs, letters] : facts.outputs
    let results: readonly TaskResult[] = []
    let losses: readonly TaskLoss[] = []
    try {
      if (!about.isReplay) await this.#committer.begin(batch)
      await this.#committer.fence(outputs, batch.id, batch.id - 1, { lastWritten: this.#lastWritten })
      report.start(outputs, this.#planner.countTasks(batch.ranges, outputs, this.#job.outputs), this.#job.batchFunctions)
      if (outputs.length > facts.outputs.length) results = await this.#dispatch(batch, [letters ?? ''], facts, report)
      results = [...results, ...(await this.#dispatch(batch, facts.outputs, facts, report))]
      // Before the commit: a driver that ends behind it would have told nobody.
      losses = this.#tellLosses(batch, results)
      await this.#runBatchFunctions(batch, facts.outputs, results)
      report.endOutputs()
      await this.#committer.commit(batch, outputs)
      for (const output of facts.outputs) this.#lastWritten.set(output, { batchId: batch.id, tasks: facts.tasks?.[output] })
    } catch (error) {
      if (!(this.#signal.reason instanceof Stopped)) {
        report.endOutputs(errorMessage(error))
        report.fail(error)
      }
      throw error
    }
    return { info: report.complete(results, letters), losses, read: bytesByRange(results) }
  }

  #dispatch(batch: Batch, outputs: readonly string[], facts: BatchFacts, report: BatchReport): Promise<TaskResult[]> {
    const { options, world, outputs: declared } = this.#job
    const outputsOf = (range: OffsetRange, names = outputs) => this.#planner.outputsOf(range, names, declared)
    return dispatch(this.#executor, world, {
      job: this.#job,
      batch,
      epoch: this.#lease.epoch,
      outputsOf: range => outputsOf(range),
      watchedOf: range => outputsOf(range, facts.outputs).filter(name => !declared.get(name)?.isDeadLetters),
      onRetry: error => this.#onOutage(error),
      isolationOf: isolationByTopic(facts.isolation),
      weigh: range => this.#planner.weights.weigh(range),
      retryForMs: options.retryForMs,
      taskTimeoutMs: options.taskTimeoutMs,
      maxOutputWaitMs: options.maxOutputWaitMs,
      onDataLoss: options.onDataLoss,
      onRecordError: options.onRecordError,
      timestamps: facts.timestamps,
      signal: this.#signal,
      onTaskEnd: task => report.endTask(task),
    })
  }

  /** Tells what tasks left out and what they found gone, once a range: its tasks share a read, and one that was applied already read nothing. */
  #tellLosses(batch: Batch, results: readonly TaskResult[]): TaskLoss[] {
    const byRange = new Map<number, readonly TaskLoss[]>()
    for (const { task, skipped, losses } of results) {
      if (skipped !== undefined)
        this.#bus.emit({ type: 'recordsSkipped', batchId: batch.id, output: task.output, range: task.range, ...skipped })
      if (losses !== undefined) byRange.set(task.index, losses)
    }
    const all = [...byRange.values()].flat()
    for (const loss of all) this.#bus.emit({ type: 'dataLoss', batchId: batch.id, ...loss })
    return all
  }

  async #runBatchFunctions(batch: Batch, outputs: readonly string[], results: readonly TaskResult[]): Promise<void> {
    for (const output of outputs) {
      const call = this.#job.batchFunctions.get(output)
      if (call === undefined) continue
      const rows = gatheredRows(results, output)
      const declared = this.#job.outputs.get(output)
      if (declared !== undefined && rows.length > (declared.gatherMaxRows ?? 0)) throw gatheredTooMany(declared, batch.id)
      const { id, batchTime, ranges } = batch
      try {
        await call(rows, { stream: this.#job.stream, id, batchTime, epoch: this.#lease.epoch, ranges })
      } catch (error) {
        if (isTidemarkError(error)) throw error
        throw new TaskFailedError(`Output ${output} failed on batch ${id} (${rows.length} rows): ${errorMessage(error)}`, {
          details: { batchId: id, output },
          cause: error,
        })
      }
    }
  }
}

/**
 * Refuses a begun batch that the job can no longer run: skipping its outputs or topics would lose rows, and running others would not be a
 * replay. Called when the planner has looked.
 */
export function checkReplay(job: Pick<DriverJob, 'stream' | 'outputs'>, planner: Planner, batch: Batch): void {
  const facts = readFacts(batch)
  const outputs = facts.outputs.filter(name => !job.outputs.has(name))
  // A topic that the job names and that is gone from Kafka is lost data, not a job that changed.
  const isOfRows = (name: string) => !job.outputs.get(name)?.isDeadLetters
  const isRead = (range: OffsetRange) =>
    planner.namesTopic(range.topic) && planner.outputsOf(range, facts.outputs, job.outputs).some(isOfRows)
  const lacksTopic = (range: OffsetRange) => !planner.namesTopic(range.topic) || (outputs.length === 0 && !isRead(range))
  const topics = [...new Set(batch.ranges.filter(lacksTopic).map(range => range.topic))]
  if (outputs.length === 0 && topics.length === 0) return
  const gone = [...outputs.map(name => `output ${name}`), ...topics.map(topic => `topic ${topic} (or an output that it went to)`)]
  const them = gone.length === 1 ? 'it' : 'them'
  throw new JobError(
    `Batch ${batch.id} of stream ${job.stream} is begun and not committed, and the job no longer has its ${gone.join(', ')}. ` +
      `Put ${them} back, run the job until the batch is committed, then take ${them} out.`,
    { details: { batchId: batch.id, outputs, topics } },
  )
}

/** Refuses to run a batch of the history again that has topics which no source of the job names. */
export function checkTopics(job: Pick<DriverJob, 'stream'>, planner: Planner, batch: Batch): void {
  const topics = [...new Set(batch.ranges.filter(({ topic }) => !planner.namesTopic(topic)).map(({ topic }) => topic))]
  if (topics.length === 0) return
  throw new JobError(
    `Batch ${batch.id} cannot be run again as ${job.stream}: the job no longer names its ${topics.map(topic => `topic ${topic}`).join(', ')}. ` +
      `Put ${topics.length === 1 ? 'it' : 'them'} back to replay this batch.`,
    { details: { batchId: batch.id, topics } },
  )
}

/** Tasks of one range share one read, and one that was applied already read nothing. */
function bytesByRange(results: readonly TaskResult[]): RangeBytes[] {
  const read = new Map<number, RangeBytes>()
  for (const { task, bytes } of results) {
    if (bytes >= (read.get(task.index)?.bytes ?? 0)) read.set(task.index, { range: task.range, bytes })
  }
  return [...read.values()]
}

/** The rows of one output in the order of the batch's ranges. */
function gatheredRows(results: readonly TaskResult[], output: string): readonly unknown[] {
  const own = results.filter(result => result.task.output === output).sort((a, b) => a.task.index - b.task.index)
  return own.length === 1 ? (own[0]?.gathered ?? []) : own.flatMap(result => result.gathered ?? [])
}

function isolationByTopic(isolation: Isolation | { readonly [topic: string]: Isolation }): (range: OffsetRange) => Isolation {
  if (typeof isolation === 'string') return () => isolation
  return range => isolation[range.topic] ?? 'read_committed'
}
