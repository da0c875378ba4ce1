import { silentLog } from '../../../src/core/log.ts'
import type { CompletedBatch, FenceMark, SinkContext } from '../../../src/core/sink.ts'
import type { OffsetRange, Task } from '../../../src/core/values.ts'

const NEVER = new AbortController().signal

export type TaskParts = Partial<Omit<Task, 'range'>> & { readonly range?: Partial<OffsetRange> }

/** A task of stream `orders`, range `orders/3 [120, 180)`, batch 7, epoch 1, where nothing else is said. */
export function task({ range, ...parts }: TaskParts = {}): Task {
  return {
    stream: 'orders',
    batchId: 7,
    epoch: 1,
    index: 0,
    range: { topic: 'orders', partition: 3, fromOffset: 120, untilOffset: 180, ...range },
    batchTime: 1_700_000_000_000,
    output: 'files',
    attempt: '1-7-0-0',
    ...parts,
  }
}

/** What a sink is prepared with. */
export function context(parts: Partial<SinkContext> = {}): SinkContext {
  return { stream: 'orders', streamId: 'id-1', output: 'files', signal: NEVER, log: silentLog, ...parts }
}

/** What a sink is fenced with: batch 7 of epoch 1. */
export function mark(parts: Partial<FenceMark> = {}): FenceMark {
  return { stream: 'orders', streamId: 'id-1', output: 'files', epoch: 1, owner: 'host:1:a', lastBegun: 7, lastComplete: 6, ...parts }
}

/** Arrays of rows as a task brings them. */
export async function* rowsOf<Row = unknown>(...arrays: readonly (readonly NoInfer<Row>[])[]): AsyncGenerator<readonly Row[]> {
  yield* arrays
}

/** What `write` is called with when nobody aborts. */
export const running = { signal: NEVER, log: silentLog }

/** A batch that is complete: by default batch 7 with the one range of {@link task}. */
export function completed(parts: Partial<CompletedBatch> = {}): CompletedBatch {
  const { range, batchTime } = task()
  return { stream: 'orders', output: 'files', id: 7, epoch: 1, batchTime, ranges: [range], ...parts }
}
