import { isTidemarkError } from '../core/errors.ts'
import { positionsAfter } from '../core/store-rules.ts'
import type { PartitionOffset } from '../core/values.ts'
import { type Batch, comparePartitions, type OffsetRange, partitionKey, type TopicPartition } from '../core/values.ts'
import type { DriverJob } from './driver-job.ts'
import { Planner } from './planner.ts'
import { rememberTopics } from './remember-topics.ts'
import { resolveStartingPoints } from './starting-points.ts'

/** Where a stream stands in one partition. Offsets are undefined where the store or Kafka has none. */
export type PartitionStanding = TopicPartition & {
  readonly committed: number | undefined
  readonly earliest: number | undefined
  readonly latest: number | undefined
  readonly lag: number | undefined
}

/** Where a stream stands and what its next batch would be. */
export type NextBatch = {
  readonly stream: string
  readonly streamId: string | undefined
  readonly epoch: number
  readonly lastBatchId: number
  /** Why the stream can be read and never run from this store again, if it was retired. */
  readonly retired: string | undefined
  /** Begun and not committed: it runs first, as it is. */
  readonly pending: Batch | undefined
  /** The next batch's id and ranges by what is there now; no ranges where there is nothing to read. */
  readonly next: { readonly id: number; readonly ranges: readonly OffsetRange[]; readonly lagAfter: number }
  /** Why a run would stop before it: lost data, or a starting point that cannot be found. */
  readonly problem: string | undefined
  readonly partitions: readonly PartitionStanding[]
}

/** Looks at store and sources without a lease and without writing: what `tidemark plan` and `tidemark offsets show` print. */
export async function inspectJob(job: DriverJob, signal: AbortSignal): Promise<NextBatch> {
  const { stream, store, sources, options, world } = job
  const state = await store.read(stream, { signal })
  const planner = new Planner(sources, options.limits, options.batchIntervalMs, world)
  const committed = new Map(state.offsets.map(position => [partitionKey(position), position]))
  rememberTopics(sources, committed)
  await planner.look({ signal })
  const standings = await standing(job, committed, signal)

  // What a start would do: finish the pending batch, then give every new partition a starting point.
  const positions = new Map(committed)
  for (const position of positionsAfter(state.pending?.ranges ?? [])) {
    positions.set(partitionKey(position), position)
  }
  const topics = new Set(state.offsets.map(position => position.topic))
  let ranges: readonly OffsetRange[] = []
  let lagAfter = 0
  let problem: string | undefined
  try {
    for (const [source, partitions] of planner.withoutOffset(positions)) {
      const known = { topics, hasStarted: planner.hasStarted(source, topics) }
      for (const point of await resolveStartingPoints(source, partitions, known, { signal })) positions.set(partitionKey(point), point)
    }
    for (const loss of await planner.findLosses(positions, { signal })) {
      if (options.onDataLoss[loss.error.lossCause] === 'fail') throw loss.error
      if ('forget' in loss) positions.delete(partitionKey(loss.forget))
      else positions.set(partitionKey(loss.resume), loss.resume)
    }
    ;({ ranges, lag: lagAfter } = planner.plan(positions, undefined))
  } catch (error) {
    // Lost data stops a run; whoever looks at the stream to see why must not be stopped too.
    if (!isTidemarkError(error, 'DATA_LOSS') && !isTidemarkError(error, 'CONFIG')) throw error
    problem = error.message
  }
  return {
    stream,
    streamId: state.streamId,
    epoch: state.epoch,
    lastBatchId: state.lastBatchId,
    retired: state.retired,
    pending: state.pending,
    next: { id: (state.pending?.id ?? state.lastBatchId) + 1, ranges, lagAfter },
    problem,
    partitions: standings,
  }
}

async function standing(
  { sources }: DriverJob,
  committed: ReadonlyMap<string, PartitionOffset>,
  signal: AbortSignal,
): Promise<PartitionStanding[]> {
  const byKey = (offsets: readonly PartitionOffset[]) => new Map(offsets.map(at => [partitionKey(at), at]))
  const earliest = byKey((await Promise.all(sources.map(({ source }) => source.earliestOffsets({ signal })))).flat())
  const latest = byKey((await Promise.all(sources.map(({ source }) => source.latestOffsets({ signal })))).flat())
  const all = new Map<string, TopicPartition>([...committed, ...latest])
  return Array.from(all, ([key, { topic, partition }]) => {
    const position = committed.get(key)?.offset
    const end = latest.get(key)?.offset
    const first = earliest.get(key)?.offset
    const behind = end === undefined ? undefined : Math.max(0, end - (position ?? first ?? end))
    return { topic, partition, committed: position, earliest: first, latest: end, lag: behind }
  }).sort(comparePartitions)
}
