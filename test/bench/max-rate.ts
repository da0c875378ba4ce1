/** A backfill of a whole topic at a rate: how near it comes to that, and how smoothly, by when its records arrive. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { kafkaSource } from '../../connectors/kafka/index.ts'
import { sqliteOffsets } from '../../offsets/sqlite/index.ts'
import { silentLog } from '../../src/core/log.ts'
import { stream } from '../../src/index.ts'
import { childArguments, giveResult } from './run-child.ts'

export type MaxRateResult = {
  readonly records: number
  readonly batches: number
  readonly ms: number
  /** The most records that came within a second, and within half of one, as a multiple of what the rate gives it: what a reader beside it may feel. */
  readonly peaks: { readonly second: number; readonly halfSecond: number }
  readonly cpuMs: number
}

const [brokers, topic, maxRate] = childArguments<[brokers: string[], topic: string, maxRate: number]>()
const folder = await mkdtemp(join(tmpdir(), 'tidemark-bench-'))
const arrivals: { readonly at: number; readonly records: number }[] = []
const { user: userBefore, system: systemBefore } = process.cpuUsage()
const run = await stream({ name: 'rated', offsets: sqliteOffsets({ path: join(folder, 'offsets.db') }), log: silentLog })
  .from(kafkaSource({ kafka: { brokers }, topics: [topic] }))
  .forEachRange(async rows => {
    for await (const array of rows) arrivals.push({ at: performance.now(), records: array.length })
  })
  .backfill({ from: 'earliest', to: 'latest', maxRate })
const { records, batches, durationMs } = await run.done
const { user, system } = process.cpuUsage()
await rm(folder, { recursive: true })
const result: MaxRateResult = {
  ...{ records, batches, ms: durationMs },
  peaks: { second: peakWithin(1_000), halfSecond: peakWithin(500) },
  cpuMs: (user - userBefore + system - systemBefore) / 1_000,
}
giveResult(result)

function peakWithin(windowMs: number): number {
  let most = 0
  let within = 0
  let oldest = 0
  for (const { at, records } of arrivals) {
    within += records
    for (let first = arrivals[oldest]; first !== undefined && first.at <= at - windowMs; first = arrivals[++oldest]) within -= first.records
    most = Math.max(most, within)
  }
  return most / ((maxRate * windowMs) / 1_000)
}
