import { ConflictError } from '../core/errors.ts'
import type { Lease, StreamState } from '../core/offset-store.ts'
import { type Batch, comparePartitions, type PartitionOffset, partitionKey, type TopicPartition } from '../core/values.ts'
import type { DriverJob } from './driver-job.ts'
import { rememberTopics } from './remember-topics.ts'
import { type LogBounds, readBounds } from './surgery-bounds.ts'
import { type Move, planMoves } from './surgery-moves.ts'
import { type AppliedTasks, describeRewritten, findApplied } from './surgery-outputs.ts'

/** Where somebody wants to put a stream, with what they should know about it. */
export type Destination = { readonly positions: readonly PartitionOffset[]; readonly notes: readonly string[] }

/** What a reset by hand would do. */
export type SurgeryPlan = {
  readonly state: StreamState
  readonly moves: readonly Move[]
  /** The positions to write. */
  readonly offsets: readonly PartitionOffset[]
  readonly notes: readonly string[]
  /** What becomes of rows that come again, by output; none where nothing is read again. */
  readonly outputs: readonly { readonly name: string; readonly rewritten: string }[]
  /** The begun batch that goes. */
  readonly discarded: { readonly batch: Batch; readonly outputs: readonly AppliedTasks[] } | undefined
}

/**
 * Works out what a reset does before anybody agrees to it. With a lease the begun batch's outputs are fenced, so that what they say they have stays
 * true; without one nothing is written anywhere.
 *
 * Throws `ConflictError` while a batch is begun, unless it is to be discarded.
 */
export async function planSurgery(
  job: DriverJob,
  find: (state: StreamState, bounds: ReadonlyMap<string, LogBounds>) => Promise<Destination>,
  { lease, discard, signal }: { readonly lease: Lease | undefined; readonly discard: boolean; readonly signal: AbortSignal },
): Promise<SurgeryPlan> {
  const { store, stream, sources, outputs } = job
  const state = await store.read(stream, { signal })
  if (state.retired !== undefined) throw new ConflictError(`${stream} was retired and can only be read: ${state.retired}`)
  if (state.pending !== undefined && !discard) throw stillBegun(stream, state.pending)
  rememberTopics(sources, new Map(state.offsets.map(at => [partitionKey(at), at])))
  const bounds = await readBounds(sources, { signal })
  const { positions, notes } = await find(state, bounds)
  const { moves, offsets } = planMoves(state.offsets, positions)
  const discarded = state.pending && {
    batch: state.pending,
    outputs: await findApplied(job, state.pending, lease, { streamId: state.streamId ?? '', signal }),
  }
  return { state, moves, offsets, notes: [...notes, ...notReadAnyMore(state, bounds)], outputs: rewrittenOutputs(), discarded }

  function rewrittenOutputs() {
    const isRead = (topic: string, output: string) =>
      (outputs.get(output)?.isDeadLetters ? undefined : outputs.get(output)?.source.names?.(topic)) ?? true
    const again = moves.filter(({ readAgain }) => readAgain > 0)
    return Array.from(outputs.values())
      .filter(({ name }) => again.some(({ topic }) => isRead(topic, name)))
      .map(({ name, sink }) => ({ name, rewritten: describeRewritten(sink, 'rewound') }))
  }
}

function stillBegun(stream: string, { id }: Batch): ConflictError {
  return new ConflictError(
    `Batch ${id} of ${stream} is begun and not committed, and some of its rows may be in the outputs already. Either finish it first, \`tidemark run ` +
      '--finish`, or add --discard, which shows which of its tasks each output has applied and then gives the batch up.',
    { details: { stream, pending: id } },
  )
}

function notReadAnyMore({ offsets }: StreamState, bounds: ReadonlyMap<string, LogBounds>): string[] {
  const gone: TopicPartition[] = offsets.filter(at => !bounds.has(partitionKey(at))).toSorted(comparePartitions)
  if (gone.length === 0) return []
  const topics = [...new Set(gone.map(({ topic }) => topic))]
  return [`Left as they are, for no source of the job has them now: ${gone.length} partitions of ${topics.join(', ')}.`]
}
