import { applyStages } from './apply-stages.ts'
import { isTidemarkError } from './errors.ts'
import { retell } from './name-row.ts'
import { offsetOf, type RecordOrigins } from './row-pipeline.ts'
import type { RangeContext, RunnableOutput } from './runnable-job.ts'
import type { ReadOptions } from './source.ts'
import { keepWithin, type TimeWindow } from './time-window.ts'
import type { OffsetRange } from './values.ts'

export type FailedRead = {
  readonly outputs: Iterable<RunnableOutput>
  readonly range: OffsetRange
  readonly timestamps?: TimeWindow
  readonly context: RangeContext
  readonly options: ReadOptions
  /** Whether records that a function failed on were left out. */
  readonly maySkip: boolean
  /** Told whenever bytes came: it may take as long as the task did. */
  readonly onProgress?: (() => void) | undefined
}

/**
 * Adds to an error about a row the offset of the record that the row came from. A sink knows a row by its place in the task only: `row` (from 1) and
 * `output` in the details of its error. So the range is read again up to that row, this time remembering where rows come from, which would cost
 * every row of every task that goes well. Stages are deterministic, so it is the same row. Where that cannot be done the error stays as it is.
 */
export async function withOffset(error: unknown, read: FailedRead): Promise<unknown> {
  if (!isTidemarkError(error) || error.retryable || error.details.offset !== undefined) return error
  const { row, output: name } = error.details
  const output = [...read.outputs].find(candidate => candidate.name === name)
  if (typeof row !== 'number' || output === undefined) return error
  // What counts is that the row failed; that it could not be looked up is no news beside it.
  const offset = await findOffset(output, row - 1, read).catch(() => undefined)
  if (offset === undefined) return error
  const { topic, partition } = read.range
  return retell(error, `${error.message} The row comes from the record at ${topic}/${partition} offset ${offset}.`, { offset })
}

async function findOffset(output: RunnableOutput, place: number, read: FailedRead): Promise<number | undefined> {
  const { source, stages } = output
  const origins: RecordOrigins = new WeakMap()
  const all = source.read(read.range, { ...read.options, onDataLoss: () => {}, onBytes: () => read.onProgress?.() })
  const records = read.timestamps === undefined ? all : keepWithin(all, read.timestamps, source, () => {})
  const onSkip = read.maySkip ? () => {} : undefined
  const rows = applyStages(records, stages, read.context, { origins, willFork: true, onSkip, onProgress: read.onProgress })
  let passed = 0
  for await (const array of rows) {
    const at = place - passed
    passed += array.length
    if (at >= array.length) continue
    return offsetOf(stages.length > 0 ? origins.get(array)?.[at] : array[at])
  }
  return undefined
}
