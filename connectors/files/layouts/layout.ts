import type { CompletedBatch } from '../../../src/core/sink.ts'
import type { Task } from '../../../src/core/values.ts'
import type { ManifestFile } from '../manifest/manifest-version.ts'

/** One call to write: where it may write aside, and the look at the fence that comes right before it puts in place what it wrote. */
export type Attempt = {
  readonly task: Task
  readonly nonce: string
  readonly rows: AsyncIterable<readonly unknown[]>
  readonly signal: AbortSignal
  readonly checkFence: () => Promise<void>
}

/** How the files of tasks are named and put in place, so that a task's second time gives the same thing. */
export interface Layout {
  /** Whether all of a task is in place; then it is made durable, for whoever put it there may have ended before that. */
  applied(task: Task): Promise<boolean>
  /** Writes a task's rows aside and puts them in place in one step. */
  write(attempt: Attempt): Promise<void>
  /** The files of a batch whose tasks are all in. */
  collect(batch: CompletedBatch): Promise<ManifestFile[]>
  /** What is in place of batches after this one, with a path of each. */
  batchesAfter(batchId: number): Promise<{ readonly batchId: number; readonly path: string }[]>
}
