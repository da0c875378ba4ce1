import type { Sink } from './sink.ts'
import type { Source } from './source.ts'
import type { Task } from './values.ts'

/** What `mapRange` and `forEachRange` are told: whose rows these are. */
export type RangeContext = Omit<Task, 'output' | 'attempt'>

/** One step between a source and an output. Stages are compared by identity: outputs that share a prefix of stages share its work. */
export type Stage = {
  /** For messages: the kind and the function's name, such as `map (parseOrder)`. */
  readonly label: string
} & (
  | { readonly kind: 'map'; readonly apply: (row: never) => unknown; readonly concurrency: number }
  | { readonly kind: 'filter'; readonly apply: (row: never) => unknown; readonly concurrency: number }
  | { readonly kind: 'flatMap'; readonly apply: (row: never) => unknown; readonly concurrency: number }
  | {
      readonly kind: 'mapRange'
      readonly apply: (rows: AsyncIterable<readonly never[]>, range: RangeContext) => AsyncIterable<readonly unknown[]>
    }
)

/** An output with the stages that lead to it. */
export type RunnableOutput = {
  readonly name: string
  readonly source: Source<unknown>
  /** From the source's records to the output's rows. */
  readonly stages: readonly Stage[]
  readonly sink: Sink<never>
  /** Whether its rows are dead letters: it is of every source, and its rows come of what the stages of the other outputs fail on. */
  readonly isDeadLetters?: boolean
  /** Set where the rows go back to the driver: the most rows a batch may have. */
  readonly gatherMaxRows?: number
}

/** Where a job comes from, so that another thread or process can have the same one. */
export type JobOrigin = {
  /** The job's own name; a run of it may have another (a replay). */
  readonly name: string
  /** The URL of the module that exports it, on this machine; undefined where nobody knows. */
  readonly module: string | undefined
  /** Hash of its outputs, their stages and what they promise. */
  readonly shape: string
  /** What its sources and outputs point at, without secrets. */
  readonly targets: readonly string[]
}

/** What an executor needs of a job: its outputs by name. Made anew from the same module in every process. */
export type RunnableJob = {
  readonly stream: string
  /** Absent from a job that was put together by hand: it runs in its own thread only. */
  readonly origin?: JobOrigin
  readonly outputs: ReadonlyMap<string, RunnableOutput>
}
