import { z } from 'zod'
import { parseOptions } from '../util/parse-options.ts'

/** How eagerly the rate follows what batches show. Weights are dimensionless. */
export type PidOptions = {
  readonly batchIntervalMs: number
  /** Weight of the difference between the rate asked for and the rate reached. @default 1 */
  readonly proportional?: number | undefined
  /** Weight of the backlog that waited for the batch to start. @default 0.2 */
  readonly integral?: number | undefined
  /** Weight of the change of that difference. @default 0 */
  readonly derivative?: number | undefined
  /** Records a second, over all partitions, below which the rate never goes. @default 100 */
  readonly minRate?: number | undefined
}

/** What one completed batch showed. `time` is when its processing ended, ms since any fixed moment. */
export type BatchMeasure = {
  readonly time: number
  readonly records: number
  readonly processingDelayMs: number
  readonly schedulingDelayMs: number
}

const weight = z.number().nonnegative().describe('a number, 0 or more')
const settings = z.strictObject({
  batchIntervalMs: z.number().positive().describe('milliseconds, more than 0'),
  proportional: weight.default(1),
  integral: weight.default(0.2),
  derivative: weight.default(0),
  minRate: z.number().positive().default(100).describe('records a second, more than 0'),
})

/**
 * Back-pressure: how many records a second the stream can take, learnt from its batches, for the `rate` of `planBatch`. A
 * proportional-integral-derivative controller with the numbers of Spark's `PIDRateEstimator`. Throws `ConfigError` for options out of range.
 */
export class PidRateEstimator {
  readonly #options: z.output<typeof settings>
  #seen: { readonly time: number; readonly rate: number; readonly error: number } | undefined

  constructor(options: PidOptions) {
    this.#options = parseOptions(settings, options, 'PidRateEstimator')
  }

  /**
   * The new rate in records a second, not rounded. Undefined where there is none: the first batch only sets the scale, and a batch that was
   * empty, took no time, or is not later than the one before says nothing.
   */
  compute(batch: BatchMeasure): number | undefined {
    const { batchIntervalMs, proportional, integral, derivative, minRate } = this.#options
    const { time, records, processingDelayMs, schedulingDelayMs } = batch
    const last = this.#seen
    if (!(time > (last?.time ?? -1) && records > 0 && processingDelayMs > 0)) return undefined

    const processingRate = (records / processingDelayMs) * 1000
    if (last === undefined) {
      this.#seen = { time, rate: processingRate, error: 0 }
      return undefined
    }
    const secondsSinceUpdate = (time - last.time) / 1000
    const error = last.rate - processingRate
    // What waited while the batch did, turned back into a rate: the controller's memory of being too fast.
    const historicalError = (schedulingDelayMs * processingRate) / batchIntervalMs
    const errorChange = (error - last.error) / secondsSinceUpdate
    const rate = Math.max(last.rate - proportional * error - integral * historicalError - derivative * errorChange, minRate)
    this.#seen = { time, rate, error }
    return rate
  }
}
