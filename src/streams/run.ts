import type { Listener } from '../core/events.ts'
import type { Executor } from '../core/executor.ts'
import type { Log } from '../core/log.ts'
import type { OffsetStore } from '../core/offset-store.ts'
import type { Batch } from '../core/values.ts'
import type { Until } from '../driver/driver-job.ts'
import type { RunSummary } from '../driver/run-summary.ts'
import type { LetterRange } from './letter-source.ts'

/** How a run of a job is to be. */
export type StartOptions = {
  /** Where the run ends by itself: what is there now, a time (ms), or exact offsets. @default it goes on until stopped */
  readonly until?: Until
  /** Takes the lease over from a live driver, which then stops with `FencedError`. @default false */
  readonly steal?: boolean
  /** Ends when the batch that was begun is committed, and begins none. @default false */
  readonly finish?: boolean
  /** Runs the job under another name, with a lease, positions and ledgers of its own: a replay. @default the job's name */
  readonly name?: string
  /** Runs exactly these batches of a history, as batches 1, 2, … of the stream `name`, and ends. Those it has committed already are passed over. */
  readonly batches?: readonly Batch[]
  /**
   * Runs the dead letters of a stream through the job's stages again, in place of what its sources have: each into the outputs that went without it. Its
   * positions are the batches that lost them. In this process. Needs `name`.
   */
  readonly deadLetters?: LetterRange
  /** Only these outputs of the job. @default all */
  readonly outputs?: readonly string[]
  /**
   * Outputs whose destination is made to agree with the offset store, after a person has looked at what a refusal said: its fence is set to what the
   * store says.
   */
  readonly adopt?: readonly string[]
  /** The store for a job that has none of its own. */
  readonly offsets?: OffsetStore
  /** Where this run's tasks run, in place of the job's own executor. */
  readonly executor?: Executor
  /** The URL of the module that exports the job, for executors in other threads. @default the module that called `stream()` */
  readonly module?: string
  /** Told of this run's events, beside the job's own listeners. */
  readonly listeners?: readonly Listener[]
  /** Replaces the job's log for this run. */
  readonly log?: Log
}

/** A run of a stream. */
export interface Run extends AsyncDisposable {
  /** Resolves when the run has ended and everything is closed; rejects with what ended it, and nothing of the batch in hand is committed. */
  readonly done: Promise<RunSummary>
  /** Finishes and commits the batch in hand, then ends; with `now`, ends at once and the batch stays begun. Resolves when it has ended. */
  stop(options?: { readonly now?: boolean }): Promise<void>
  /** Begins no further batch until `resume`; the lease is kept. */
  pause(): void
  resume(): void
}
