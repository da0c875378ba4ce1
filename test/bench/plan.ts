/** What planning takes: `planBatch` and `splitRanges`, for many partitions of many topics, with the limits that cost most. */
import type { PartitionOffset } from '../../src/core/values.ts'
import { planBatch, splitRanges } from '../../src/index.ts'
import { childArguments, giveResult } from './run-child.ts'

export type PlanResult = { readonly partitions: number; readonly planMs: number; readonly splitMs: number; readonly tasks: number }

const RUNS = 9
const WARM_UP = 3
const PARTITIONS_PER_TOPIC = 100
const [counts] = childArguments<[counts: number[]]>()

function offsetsOf(partitions: number, offset: (at: number) => number): PartitionOffset[] {
  return Array.from({ length: partitions }, (_, at) => ({
    topic: `topic-${Math.floor(at / PARTITIONS_PER_TOPIC)}`,
    partition: at % PARTITIONS_PER_TOPIC,
    offset: offset(at),
    topicId: 'q83vEjRWeJCrze8SNFZ4kA',
    leaderEpoch: 4,
  }))
}

const median = (values: number[]) => values.sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN

const results = counts.map((partitions): PlanResult => {
  const from = offsetsOf(partitions, at => at * 7)
  // As a source gives them after brokers answered in any order.
  const latest = offsetsOf(partitions, at => at * 7 + 1_000 + (at % 500)).reverse()
  const plans: number[] = []
  const splits: number[] = []
  let tasks = 0
  for (let run = 0; run < RUNS; run++) {
    const start = performance.now()
    const planned = planBatch({ from, latest, limits: { maxRecordsPerBatch: partitions * 500, maxRatePerPartition: () => 2_000 } })
    const planAt = performance.now()
    tasks = splitRanges(planned, { minTasks: partitions * 2, maxRecordsPerTask: 400 }).length
    const splitAt = performance.now()
    if (run < WARM_UP) continue
    plans.push(planAt - start)
    splits.push(splitAt - planAt)
  }
  return { partitions, planMs: median(plans), splitMs: median(splits), tasks }
})
giveResult(results)
