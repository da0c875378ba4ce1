import type { Clock } from '../core/clock.ts'
import { errorMessage } from '../core/errors.ts'
import type { BatchInfo, OutputOperationInfo, TaskInfo } from '../core/events.ts'
import type { TaskResult } from '../core/executor.ts'
import type { Batch } from '../core/values.ts'
import type { EventBus } from './event-bus.ts'

/** Follows one batch and its outputs through their life and tells the listeners, in Spark's order and with Spark's fields. */
export class BatchReport {
  readonly #bus: EventBus
  readonly #clock: Clock
  readonly #submittedAt: number
  #info: BatchInfo
  #endingLater: { has(output: string): boolean } = new Set()
  /** What an output's last attempt failed with. */
  readonly #lastFailures = new Map<string, string>()

  /** `waitedMs` is how long the batch's tick had been due when it was planned; `lag` the records that stay behind after it. */
  constructor(bus: EventBus, clock: Clock, batch: Batch, about: { isReplay: boolean; waitedMs: number; lag: number | undefined }) {
    this.#bus = bus
    this.#clock = clock
    this.#submittedAt = clock.monotonic() - about.waitedMs
    this.#info = {
      id: batch.id,
      batchTime: batch.batchTime,
      ranges: batch.ranges,
      isReplay: about.isReplay,
      submissionTime: Math.round(clock.now() - about.waitedMs),
      ...(about.lag !== undefined && { lag: about.lag }),
      outputOperations: [],
    }
    bus.emit({ type: 'batchSubmitted', batch: this.#info })
  }

  /** `tasks` says how many each output has; one of those `endingLater` is not over when its tasks are in. */
  start(
    outputs: readonly string[],
    tasks: { readonly [output: string]: number },
    endingLater: { has(output: string): boolean } = new Set(),
  ): void {
    const processingStartTime = this.#now()
    this.#endingLater = endingLater
    const outputOperations = outputs.map(
      (name, id): OutputOperationInfo => ({
        ...{ id, name, startTime: processingStartTime, rows: 0, numTasks: tasks[name] ?? 0, numCompletedTasks: 0 },
      }),
    )
    const schedulingDelay = processingStartTime - this.#info.submissionTime
    this.#info = { ...this.#info, processingStartTime, schedulingDelay, outputOperations }
    this.#bus.emit({ type: 'batchStarted', batch: this.#info })
    for (const operation of outputOperations) this.#bus.emit({ type: 'outputOperationStarted', batchId: this.#info.id, operation })
  }

  /** A task ended, and maybe with it its output's part of the batch: each output has its own progress. */
  endTask(task: TaskInfo): void {
    this.#bus.emit({ type: 'taskEnded', task })
    const before = this.#info.outputOperations.find(({ name }) => name === task.task.output)
    if (before === undefined) return
    const { name, rows = 0, numTasks = 0, numCompletedTasks = 0, numFailedAttempts = 0 } = before
    if (task.status === 'failed') {
      this.#lastFailures.set(name, errorMessage(task.error))
      this.#update({ ...before, numFailedAttempts: numFailedAttempts + 1 })
      return
    }
    const operation = { ...before, rows: rows + (task.rows ?? 0), numCompletedTasks: numCompletedTasks + 1 }
    this.#update(operation)
    if (operation.numCompletedTasks >= numTasks && !this.#endingLater.has(name)) this.#end(operation)
  }

  /** Ends the outputs that are not yet over, once: those that were waiting for the driver's part, or all that are left with the reason the batch failed. */
  endOutputs(failureReason?: string): void {
    for (const operation of this.#info.outputOperations) {
      if (operation.endTime !== undefined) continue
      const { name, numTasks = 0, numCompletedTasks = 0 } = operation
      const own = numCompletedTasks < numTasks ? this.#lastFailures.get(name) : undefined
      this.#end(failureReason === undefined ? operation : { ...operation, failureReason: own ?? failureReason })
    }
  }

  #end(operation: OutputOperationInfo): void {
    const ended = { ...operation, endTime: this.#now() }
    this.#update(ended)
    this.#bus.emit({ type: 'outputOperationCompleted', batchId: this.#info.id, operation: ended })
  }

  #update(operation: OutputOperationInfo): void {
    const outputOperations = this.#info.outputOperations.map(other => (other.id === operation.id ? operation : other))
    this.#info = { ...this.#info, outputOperations }
  }

  /** `letters` is the output of dead letters, where there is one. */
  complete(results: readonly TaskResult[], letters?: string): BatchInfo {
    const read = new Map(results.map(result => [result.task.index, result]))
    // Tasks of one range share one read, so a range counts once; a range whose every task was applied already reads nothing.
    for (const result of results) if (result.records > (read.get(result.task.index)?.records ?? 0)) read.set(result.task.index, result)
    let numRecords = 0
    let numBytes = 0
    for (const result of read.values()) {
      numRecords += result.records
      numBytes += result.bytes
    }
    const numOutsideTime = Array.from(read.values()).reduce((sum, { outsideTime = 0 }) => sum + outsideTime, 0)
    const numSkipped = results.reduce((sum, { skipped }) => sum + (skipped?.count ?? 0), 0)
    const numDeadLetters = results.reduce((sum, { task, rows }) => (task.output === letters ? sum + rows : sum), 0)
    this.#info = {
      ...{ ...this.#ended(), numRecords, numBytes },
      ...(numOutsideTime > 0 && { numOutsideTime }),
      ...(numSkipped > 0 && { numSkipped }),
      ...(letters !== undefined && { numDeadLetters }),
    }
    this.#bus.emit({ type: 'batchCompleted', batch: this.#info })
    return this.#info
  }

  fail(error: unknown): void {
    this.#bus.emit({ type: 'batchFailed', batch: this.#ended(), error })
  }

  #ended(): BatchInfo {
    const processingEndTime = this.#now()
    const { submissionTime, processingStartTime = processingEndTime } = this.#info
    const processingDelay = processingEndTime - processingStartTime
    return { ...this.#info, processingEndTime, processingDelay, totalDelay: processingEndTime - submissionTime }
  }

  /** The wall clock as it would be had nobody set it since: a delay, which back-pressure rests on, cannot be an hour or below zero. */
  #now(): number {
    return Math.round(this.#info.submissionTime + this.#clock.monotonic() - this.#submittedAt)
  }
}
