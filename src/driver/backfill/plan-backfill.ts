import { ConfigError } from '../../core/errors.ts'
import type { Lease } from '../../core/offset-store.ts'
import type { RunnableOutput } from '../../core/runnable-job.ts'
import { countOffsets, type OffsetRange, partitionKey } from '../../core/values.ts'
import type { BackfillScope } from '../driver.ts'
import type { DriverJob } from '../driver-job.ts'
import { addsRows, describeRewritten } from '../surgery-outputs.ts'
import { type Asked, checkAsked, checkIsPast, isSameAsked, windowOf } from './asked.ts'
import { checkBackfillName, nameBackfill } from './backfill-name.ts'
import { type Estimate, estimateTime } from './estimate-time.ts'
import { findOverlaps, type Overlap } from './find-overlaps.ts'
import { resolveBounds } from './resolve-bounds.ts'
import { findBackfill, isComplete, saveBackfill } from './saved-backfill.ts'
import { topicIdsOf, traceStream } from './stream-trace.ts'
import { noteUnmet } from './unmet-partitions.ts'
import { type Weight, weighSample } from './weigh-sample.ts'

/** A partition of a backfill: what it reads of it, and how far it has come. */
export type PlannedRange = OffsetRange & {
  /** The next offset to read. */
  readonly position: number
}

/** What becomes of a backfill's rows in one output. */
export type PlannedOutput = {
  readonly name: string
  /** What a second time means: the end of a sentence that begins with "Its rows are". */
  readonly rewritten: string
  /** Whether it would then hold rows twice. */
  readonly addsRows: boolean
}

/** What a backfill is going to do: plain data, to be shown before anybody agrees to it. */
export type BackfillPlan = {
  /** The live stream whose past it is. */
  readonly stream: string
  /** The stream it runs as. */
  readonly name: string
  readonly asked: Asked
  /** Whether it was begun before, and this goes on with it. */
  readonly isResumed: boolean
  /** Whether everything is committed already, or there is nothing to read. */
  readonly isComplete: boolean
  /** Sorted by topic and partition; one with nothing to read has an empty range. */
  readonly ranges: readonly PlannedRange[]
  /** Offsets of all ranges. */
  readonly offsets: number
  /** Of them, those that are yet to be read. */
  readonly left: number
  readonly outputs: readonly PlannedOutput[]
  /** Streams of the same job that write the same rows. */
  readonly overlaps: readonly Overlap[]
  /** What else a person should know. */
  readonly notes: readonly string[]
  readonly maxRate?: number
  /** Of what is yet to be read, where it was weighed; a text says why it could not be. */
  readonly weight?: Weight | string
  readonly estimate?: Estimate
}

export type PlanOptions = {
  /** @default the next free `<stream>~backfill-<number>`, or that of the backfill which is gone on with */
  readonly name?: string | undefined
  readonly whatIsLeft: boolean
  readonly maxRate?: number | undefined
  /** Reads a little, to say what it weighs. */
  readonly weigh: boolean
  readonly signal: AbortSignal
}

/** Works out a backfill and writes nothing. `job` is compiled as the live stream, with the outputs that were asked for. */
export async function planBackfill(job: DriverJob, asked: Asked, options: PlanOptions): Promise<BackfillPlan> {
  const { store, stream, sources, outputs, world } = job
  const { maxRate, signal } = options
  checkAsked(asked)
  const { name, found } =
    options.name === undefined
      ? await nameBackfill(store, stream, asked, signal)
      : await checkBackfillName(store, stream, options.name, asked, signal)

  if (found === undefined) checkIsPast(asked, world.clock.now())
  // Once settled, its bounds stay, whatever has become of the topic since.
  const topicIds = topicIdsOf(found?.ranges ?? [])
  const { ranges, notes, trace } = found
    ? { ranges: found.ranges, notes: [], trace: await traceStream(store, stream, { topicIds, signal }) }
    : await resolveBounds(job, asked, { whatIsLeft: options.whatIsLeft, signal })

  const committed = new Map(found?.state.offsets.map(at => [partitionKey(at), at.offset]))
  const planned = ranges.map((range): PlannedRange => ({ ...range, position: committed.get(partitionKey(range)) ?? range.fromOffset }))
  const rest = planned.map(range => ({ ...range, fromOffset: Math.min(range.position, range.untilOffset) }))
  const left = sumOf(rest)
  const plan: BackfillPlan = {
    ...{ stream, name, asked },
    isResumed: found !== undefined,
    isComplete: found === undefined ? left === 0 : isComplete(found),
    ranges: planned,
    offsets: sumOf(ranges),
    left,
    outputs: Array.from(outputs.values(), output => planOutput(output, name)),
    overlaps: await findOverlaps(job, trace, { name, ranges, outputs: asked.outputs }, signal),
    notes: found === undefined ? [...notes, ...noteUnmet(job, trace.state, ranges)] : notes,
    ...(maxRate !== undefined && { maxRate }),
  }
  const own = found === undefined ? [] : (await traceStream(store, name, { topicIds, signal })).pace
  const estimate = estimateTime(left, { maxRate, own, live: trace.pace })
  const weight = options.weigh ? await weighSample(sources, rest, signal) : undefined
  return { ...plan, ...(weight !== undefined && { weight }), ...(estimate !== undefined && { estimate }) }
}

function planOutput({ name, sink, isDeadLetters }: RunnableOutput, backfill: string): PlannedOutput {
  // They are those of this backfill, and say so: no others are written a second time.
  if (isDeadLetters) return { name, rewritten: `dead letters of stream ${backfill}, as each of them says`, addsRows: false }
  return { name, rewritten: describeRewritten(sink, 'replayed'), addsRows: addsRows(sink) }
}

/** Outputs that would hold rows twice by this backfill: those that add rows, where another stream has written the same ones, or will. */
export function doubledOutputs({ overlaps, outputs }: BackfillPlan): string[] {
  return outputs
    .filter(({ name, addsRows }) => addsRows && overlaps.some(overlap => overlap.outputs.includes(name)))
    .map(({ name }) => name)
}

/**
 * Settles a backfill under its lease, once: what the plan showed goes into the store before anything is read. One that is there is gone on with as it was
 * settled, also where somebody else did so since the plan was made.
 */
export function settleBackfill({ store }: Pick<DriverJob, 'store'>, { name, stream, asked, ranges }: BackfillPlan) {
  return async (lease: Lease, signal: AbortSignal): Promise<BackfillScope> => {
    const found = await findBackfill(store, name, signal)
    if (found.kind === 'other' || (found.kind === 'backfill' && !isSameAsked(found.backfill.asked, asked))) {
      throw new ConfigError(
        `The store has got a stream ${name} meanwhile that is not this backfill. Run it again, and it takes another name.`,
      )
    }
    const backfill =
      found.kind === 'backfill'
        ? found.backfill
        : await saveBackfill(store, lease, { of: stream, asked, ranges: ranges.map(({ position: _, ...range }) => range) }, signal)
    const timestamps = windowOf(backfill.asked)
    return { ends: backfill.ends, ...(timestamps !== undefined && { timestamps }) }
  }
}

function sumOf(ranges: readonly OffsetRange[]): number {
  return ranges.reduce((sum, range) => sum + countOffsets(range), 0)
}
