import type { Clock } from '../core/clock.ts'
import type { BatchInfo, OutputOperationInfo } from '../core/events.ts'
import type { TaskResult } from '../core/executor.ts'
import type { Batch } from '../core/values.ts'
import type { EventBus } from './event-bus.ts'

/** Follows one batch and its outputs through their life and tells the listeners, in Spark's order and with Spark's fields. */
export class BatchReport {
  readonly #bus: EventBus
  readonly #clock: Clock
  readonly #submittedAt: number
  #info: BatchInfo

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

  start(outputs: readonly string[]): void {
    const processingStartTime = this.#now()
    const outputOperations = outputs.map((name, id): OutputOperationInfo => ({ id, name, startTime: processingStartTime }))
    const schedulingDelay = processingStartTime - this.#info.submissionTime
    this.#info = { ...this.#info, processingStartTime, schedulingDelay, outputOperations }
    this.#bus.emit({ type: 'batchStarted', batch: this.#info })
    for (const operation of outputOperations) this.#bus.emit({ type: 'outputOperationStarted', batchId: this.#info.id, operation })
  }

  /** Ends every output operation, once: with its rows, or all with the reason the batch failed. */
  endOutputs(results: readonly TaskResult[], failureReason?: string): void {
    if (this.#info.outputOperations.some(operation => operation.endTime !== undefined)) return
    const endTime = this.#now()
    const outputOperations = this.#info.outputOperations.map(operation => {
      const rows = results.reduce((sum, result) => (result.task.output === operation.name ? sum + result.rows : sum), 0)
      return { ...operation, endTime, rows, ...(failureReason !== undefined && { failureReason }) }
    })
    this.#info = { ...this.#info, outputOperations }
    for (const operation of outputOperations) this.#bus.emit({ type: 'outputOperationCompleted', batchId: this.#info.id, operation })
  }

  complete(results: readonly TaskResult[]): BatchInfo {
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
    this.#info = {
      ...{ ...this.#ended(), numRecords, numBytes },
      ...(numOutsideTime > 0 && { numOutsideTime }),
      ...(numSkipped > 0 && { numSkipped }),
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
