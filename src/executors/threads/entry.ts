import type { TaskGroup, TaskResult } from '../../core/executor.ts'

/** A group that was given to the executor and has no answer yet. */
export type Entry = {
  readonly group: TaskGroup
  readonly scope: Scope
  readonly onProgress: (() => void) | undefined
  readonly resolve: (results: readonly TaskResult[]) => void
  readonly reject: (error: unknown) => void
  /** How many threads ended with it, each before it had begun. */
  timesLost: number
}

/** Groups that were given with one signal, such as those of a batch. */
export type Scope = { readonly id: number; readonly signal: AbortSignal; readonly entries: Set<Entry> }

/** Groups of one batch and scope that go to a thread together. */
export type EntryPack = {
  readonly entries: readonly Entry[]
  readonly scope: Scope
  /** A group that was in a thread that died is run with nothing beside it: by itself it may have memory enough, and if not, it is known to be the cause. */
  readonly isAlone: boolean
}
