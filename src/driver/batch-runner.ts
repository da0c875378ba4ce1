import { errorMessage, isTidemarkError, JobError, TaskFailedError, type TidemarkError } from '../core/errors.ts'
import type { BatchInfo } from '../core/events.ts'
import type { ExecutorRun, TaskResult } from '../core/executor.ts'
import type { Lease } from '../core/offset-store.ts'
import type { Isolation } from '../core/source.ts'
import { gatheredTooMany } from '../core/task-runner.ts'
import type { Batch, OffsetRange, PartitionOffset } from '../core/values.ts'
import { readFacts } from './batch-facts.ts'
import { BatchReport } from './batch-report.ts'
import type { Committer } from './committer.ts'
import { dispatch } from './dispatcher.ts'
import type { DriverJob } from './driver-job.ts'
import type { EventBus } from './event-bus.ts'
import type { Planner } from './planner.ts'
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
  /** Told of each failure that is tried again. */
  readonly onOutage: (error: TidemarkError) => void
  readonly signal: AbortSignal
}

/** What a batch that is committed was, and the positions that lie beyond it because retention had gone further. */
export type BatchOutcome = { readonly info: BatchInfo; readonly losses: readonly PartitionOffset[] }

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

  constructor(job: DriverJob, parts: BatchRunnerParts) {
    this.#job = job
    this.#lease = parts.lease
    this.#executor = parts.executor
    this.#committer = parts.committer
    this.#planner = parts.planner
    this.#onOutage = parts.onOutage
    this.#bus = parts.bus
    this.#signal = parts.signal
  }

  async run(batch: Batch, about: BatchRun): Promise<BatchOutcome> {
    const facts = readFacts(batch)
    const { clock } = this.#job.world
    const report = new BatchReport(this.#bus, clock, batch, about)
    let results: readonly TaskResult[] = []
    try {
      if (!about.isReplay) await this.#committer.begin(batch)
      await this.#committer.fence(facts.outputs, batch.id, batch.id - 1)
      report.start(facts.outputs)
      results = await dispatch(this.#executor, this.#job.world, {
        job: this.#job,
        batch,
        epoch: this.#lease.epoch,
        outputs: facts.outputs,
        outputsOf: range => this.#planner.outputsOf(range, facts.outputs, this.#job.outputs),
        onRetry: error => this.#onOutage(error),
        isolationOf: isolationByTopic(facts.isolation),
        retryForMs: this.#job.options.retryForMs,
        taskTimeoutMs: this.#job.options.taskTimeoutMs,
        onDataLoss: this.#job.options.onDataLoss,
        onRecordError: this.#job.options.onRecordError,
        signal: this.#signal,
        onTaskEnd: task => this.#bus.emit({ type: 'taskEnded', task }),
      })
      await this.#runBatchFunctions(batch, facts.outputs, results)
      report.endOutputs(results)
      await this.#committer.commit(batch, facts.outputs)
    } catch (error) {
      if (!(this.#signal.reason instanceof Stopped)) {
        report.endOutputs(results, errorMessage(error))
        report.fail(error)
      }
      throw error
    }
    return { info: report.complete(results), losses: this.#tellLosses(batch, results) }
  }

  /** Tells what tasks left out, and gives where lost records are over, for the driver to go on from. */
  #tellLosses(batch: Batch, results: readonly TaskResult[]): PartitionOffset[] {
    for (const { task, skipped } of results) {
      if (skipped !== undefined)
        this.#bus.emit({ type: 'recordsSkipped', batchId: batch.id, output: task.output, range: task.range, ...skipped })
    }
    const byRange = new Map(results.map(({ task, losses = [] }) => [task.index, { range: task.range, losses }]))
    const resume: PartitionOffset[] = []
    for (const { range, losses } of byRange.values()) {
      for (const { cause, message, missing, resumeAt } of losses) {
        this.#bus.emit({ type: 'dataLoss', cause, message, missing, batchId: batch.id, ...(resumeAt !== undefined && { resumeAt }) })
        const { topic, partition, topicId, leaderEpoch } = range
        const isAhead = cause === 'retention' && resumeAt !== undefined && resumeAt > range.untilOffset
        if (isAhead)
          resume.push({
            topic,
            partition,
            offset: resumeAt,
            ...(topicId !== undefined && { topicId }),
            ...(leaderEpoch !== undefined && { leaderEpoch }),
          })
      }
    }
    return resume
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
  const outputs = readFacts(batch).outputs.filter(name => !job.outputs.has(name))
  const topics = [...new Set(batch.ranges.map(range => range.topic))].filter(topic => !planner.hasTopic(topic))
  if (outputs.length === 0 && topics.length === 0) return
  const gone = [...outputs.map(name => `output ${name}`), ...topics.map(topic => `topic ${topic}`)]
  const them = gone.length === 1 ? 'it' : 'them'
  throw new JobError(
    `Batch ${batch.id} of stream ${job.stream} is begun and not committed, and the job no longer has its ${gone.join(', ')}. ` +
      `Put ${them} back, run the job until the batch is committed, then take ${them} out.`,
    { details: { batchId: batch.id, outputs, topics } },
  )
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
