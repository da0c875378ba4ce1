import type { Lease } from '../core/offset-store.ts'
import type { Sink } from '../core/sink.ts'
import type { Batch, Task } from '../core/values.ts'
import { readFacts } from './batch-facts.ts'
import type { DriverJob } from './driver-job.ts'
import { Planner } from './planner.ts'

/** What an output has of a begun batch. */
export type AppliedTasks = {
  readonly output: string
  /** Indexes of the tasks whose rows are in; undefined where nobody can say. */
  readonly applied: readonly number[] | undefined
  /** How many tasks the batch has for it. */
  readonly tasks: number
}

/** Whether an output holds rows twice that come again under another batch id. What says nothing, and is not idempotent, is taken to. */
export function addsRows({ guarantee, rewritten }: Sink<never>): boolean {
  return rewritten?.addsRows ?? guarantee !== 'idempotent'
}

/** What becomes of rows that come again: the end of a sentence that begins with "Its rows are". */
export function describeRewritten(sink: Sink<never>, way: 'rewound' | 'replayed'): string {
  const { guarantee, rewritten } = sink
  if (rewritten !== undefined) return way === 'replayed' ? (rewritten.inReplay ?? rewritten.sentence) : rewritten.sentence
  switch (guarantee) {
    case 'exactly-once':
      return 'written a second time: its ledger knows a task by stream and batch id, and these come under new ones'
    case 'idempotent':
      return 'written again over the same'
    case 'at-least-once':
      return 'given to it a second time'
    default:
      return guarantee satisfies never
  }
}

/**
 * Asks each output of a begun batch which of its tasks it has. With a lease it raises their fences first. Otherwise: the answer is no, the batch is
 * discarded, a paused attempt of the driver before wakes up and commits its rows, and they are written again under the next batch's id.
 */
export async function findApplied(
  job: DriverJob,
  batch: Batch,
  lease: Lease | undefined,
  identity: { readonly streamId: string; readonly signal: AbortSignal },
): Promise<AppliedTasks[]> {
  const { stream, outputs, sources, options, world, log } = job
  const planner = new Planner(sources, options.limits, options.batchIntervalMs, world)
  await planner.look({ signal: identity.signal })
  const answers: AppliedTasks[] = []
  for (const output of readFacts(batch).outputs) {
    const indexes = [...batch.ranges.keys()].filter(index => {
      const range = batch.ranges[index]
      return range !== undefined && planner.outputsOf(range, [output], outputs).length > 0
    })
    const sink = outputs.get(output)?.sink
    if (sink?.applied === undefined) {
      answers.push({ output, applied: undefined, tasks: sink === undefined ? batch.ranges.length : indexes.length })
      continue
    }
    const context = { ...identity, stream, output, log }
    if (lease !== undefined) {
      await sink.prepare?.(context)
      await sink.fence?.({ ...leaseOf(lease), output, lastBegun: batch.id, lastComplete: batch.id - 1 })
    }
    await sink.open?.(context)
    const applied: number[] = []
    for (const index of indexes) {
      const range = batch.ranges[index]
      if (range === undefined) continue
      const { id: batchId, batchTime } = batch
      const task: Task = { stream, batchId, epoch: lease?.epoch ?? batch.epoch, index, range, batchTime, output, attempt: 'asked-by-hand' }
      if (await sink.applied(task)) applied.push(index)
    }
    answers.push({ output, applied, tasks: indexes.length })
  }
  return answers
}

function leaseOf({ stream, streamId, epoch, owner }: Lease) {
  return { stream, streamId, epoch, owner }
}
