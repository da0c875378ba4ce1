import { ConfigError } from '../core/errors.ts'
import type { Isolation } from '../core/source.ts'
import type { TimeWindow } from '../core/time-window.ts'
import type { Batch, Json } from '../core/values.ts'
import type { SavedWeights } from './offset-weights.ts'

/** What an intent holds beside its ranges: all that a replay needs to run the same tasks, and what offsets weighed by then. Saved, so it carries a version. */
export type BatchFacts = SavedWeights & {
  readonly v: 1
  /** The names of the outputs the batch's tasks are for. */
  readonly outputs: readonly string[]
  /** How many tasks each of them has: what its destination must have of the batch once it is committed. Absent in intents of early versions. */
  readonly tasks?: { readonly [output: string]: number }
  /** By topic, for sources that differ; one for all otherwise. */
  readonly isolation: Isolation | { readonly [topic: string]: Isolation }
  /** A backfill that goes by exact time: records outside are left out. Absent where all count. */
  readonly timestamps?: TimeWindow
  /** The job's hash when the batch was begun. */
  readonly job: string
}

/** Reads an intent's facts back. @throws ConfigError where a newer version of Tidemark wrote them */
export function readFacts(batch: Batch): BatchFacts {
  const facts = batch.facts as (Json & Partial<BatchFacts>) | undefined
  if (facts === undefined || facts === null || facts.v !== 1 || !Array.isArray(facts.outputs)) {
    throw new ConfigError(
      `Batch ${batch.id} is begun, and its intent is not one this version can read (${JSON.stringify(facts)}). Finish it with the version that began it.`,
    )
  }
  return facts as BatchFacts
}
