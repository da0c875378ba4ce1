import { errorMessage, isTidemarkError, RecordError } from './errors.ts'
import { type OnSkip, type RecordOrigins, RowPipeline, type RowStage } from './row-pipeline.ts'
import type { RangeContext, Stage } from './runnable-job.ts'
import { showRange } from './values.ts'

type Rows = AsyncIterable<readonly unknown[]>

export type StageOptions = {
  /** Told of a record that is left out. @default the first record that a function fails on ends it all */
  readonly onSkip?: OnSkip | undefined
  /** Whether the rows are the source's records, which know their offsets; what a function returned may have an `offset` of another kind. */
  readonly isOfSource?: boolean
  /** Where rows that go on to several outputs keep their records. */
  readonly origins?: RecordOrigins
  /** Whether the rows go on to several outputs: only then is it worth to remember where each came from. */
  readonly willFork?: boolean
  /** Told now and then that rows move, also in the midst of an array. */
  readonly onProgress?: (() => void) | undefined
}

/**
 * Runs rows through stages, array by array. Neighbouring per-row stages are one loop over the array without a promise a row;
 * where a function turns out to be asynchronous, the rows of an array run side by side up to the stage's concurrency, and keep their order.
 *
 * With `onSkip`, a record that a per-row function fails on is left out with all that it became, and told of; `mapRange` fails as a whole.
 *
 * @throws RecordError naming topic, partition, offset and stage, with the function's own error as cause
 */
export function applyStages(rows: Rows, stages: readonly Stage[], range: RangeContext, options: StageOptions = {}): Rows {
  let result = rows
  let { isOfSource = true } = options
  let records = options.origins
  for (let at = 0; at < stages.length; ) {
    const stage = stages[at] as Stage
    if (stage.kind === 'mapRange') {
      result = guardRange(stage.apply(result as AsyncIterable<readonly never[]>, range), stage, range)
      // What it yields are rows of its own making, of no one record.
      isOfSource = false
      records = undefined
      at += 1
      continue
    }
    const segment: RowStage[] = []
    for (let next = stages[at]; next !== undefined && next.kind !== 'mapRange'; next = stages[++at]) segment.push(next)
    const origins = { isOfSource, records, willFork: options.willFork === true && stages[at] === undefined }
    result = applyRowStages(result, new RowPipeline(segment, range, options.onSkip, origins, options.onProgress))
    isOfSource = false
  }
  return result
}

async function* guardRange(rows: Rows, stage: Stage, range: RangeContext): AsyncGenerator<readonly unknown[]> {
  try {
    yield* rows
  } catch (error) {
    if (isTidemarkError(error)) throw error
    throw new RecordError(`${stage.label} failed in ${showRange(range.range)} of batch ${range.batchId}: ${errorMessage(error)}`, {
      details: { ...range.range, stage: stage.label },
      cause: error,
    })
  }
}

async function* applyRowStages(rows: Rows, pipeline: RowPipeline): AsyncGenerator<readonly unknown[]> {
  for await (const array of rows) {
    const out: unknown[] = []
    const pending = pipeline.run(array, out)
    if (pending !== undefined) await pending
    if (out.length > 0) yield out
  }
}
