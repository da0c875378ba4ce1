import { type OffsetRange, partitionKey } from '../../core/values.ts'
import type { DriverJob } from '../driver-job.ts'
import { type StreamTrace, topicIdsOf, traceStream } from './stream-trace.ts'
import { readsOfUnmet } from './unmet-partitions.ts'

/** Offsets of a backfill that another stream of the same job writes to the same outputs: its rows are there already, or come. */
export type Overlap = {
  readonly stream: string
  /** Offsets that it has committed. */
  readonly committed: number
  /** Offsets that it has yet to read: the live stream goes on, also into partitions that it has not met. */
  readonly toCome: number
  /** Of the backfill's outputs, those that have, or get, some of these rows from it. */
  readonly outputs: readonly string[]
  /** By partition, those that have any. */
  readonly partitions: readonly {
    readonly topic: string
    readonly partition: number
    readonly committed: number
    readonly toCome: number
  }[]
}

/**
 * What else has written, or will write, the rows of a backfill: the live stream, and earlier backfills and replays beside it, by their histories. A backfill
 * under a name of its own knows nothing of them, and neither do its ledgers.
 */
export async function findOverlaps(
  job: Pick<DriverJob, 'store' | 'stream' | 'sources'>,
  live: StreamTrace,
  { name, ranges, outputs }: { readonly name: string; readonly ranges: readonly OffsetRange[]; readonly outputs: readonly string[] },
  signal: AbortSignal,
): Promise<Overlap[]> {
  const { store } = job
  const topicIds = topicIdsOf(ranges)
  const beside = (await store.streams({ signal })).filter(stream => stream.startsWith(`${job.stream}~`) && stream !== name)
  const found = [overlap(job.stream, live, true)]
  for (const stream of beside) found.push(overlap(stream, await traceStream(store, stream, { topicIds, signal }), false))
  return found.filter(({ committed, toCome }) => committed + toCome > 0)

  function overlap(stream: string, { state, covered }: StreamTrace, goesOn: boolean): Overlap {
    const positions = new Map(state.offsets.map(at => [partitionKey(at), at.offset]))
    const touched = new Set<string>()
    const partitions = ranges.map(range => {
      const key = partitionKey(range)
      // After a rewind a stream has read some twice, and they count once.
      const read = (covered.get(key) ?? []).filter(
        part => part.outputs === undefined || part.outputs.some(output => outputs.includes(output)),
      )
      // One that the live stream has not met yet it reads from its beginning, or nobody knows from where.
      const unmet = readsOfUnmet(job, state, range.topic) === 'all' ? 0 : undefined
      const from = goesOn ? (positions.get(key) ?? unmet) : undefined
      const ahead = from === undefined ? [] : [{ fromOffset: from, untilOffset: Number.MAX_SAFE_INTEGER }]
      for (const output of outputs) {
        // What comes goes into all of them.
        const own = [...read.filter(part => part.outputs === undefined || part.outputs.includes(output)), ...ahead]
        if (countWithin(range, own) > 0) touched.add(output)
      }
      const committed = countWithin(range, read)
      const { topic, partition } = range
      return { topic, partition, committed, toCome: countWithin(range, [...read, ...ahead]) - committed }
    })
    const sum = (what: 'committed' | 'toCome') => partitions.reduce((total, at) => total + at[what], 0)
    const some = partitions.filter(({ committed, toCome }) => committed + toCome > 0)
    return { stream, committed: sum('committed'), toCome: sum('toCome'), outputs: [...touched], partitions: some }
  }
}

type Part = { readonly fromOffset: number; readonly untilOffset: number }

/** How many offsets of the range some part has. */
function countWithin({ fromOffset, untilOffset }: Part, parts: readonly Part[]): number {
  let count = 0
  let reached = fromOffset
  for (const part of parts.toSorted((a, b) => a.fromOffset - b.fromOffset)) {
    const from = Math.max(reached, part.fromOffset)
    const until = Math.min(untilOffset, part.untilOffset)
    if (until <= from) continue
    count += until - from
    reached = until
  }
  return count
}
