/** A stream under steady load: what memory and handles do over time. Records come from a producer beside it; SQLite, batches of 200 ms. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { kafkaSource } from '../../connectors/kafka/index.ts'
import { sqliteOffsets } from '../../offsets/sqlite/index.ts'
import { silentLog } from '../../src/core/log.ts'
import { stream } from '../../src/index.ts'
import { childArguments, giveResult } from './run-child.ts'

/** What was seen at one moment; `heapMiB` after a collection where the process allows one. */
export type SoakSample = { readonly atMs: number; readonly rssMiB: number; readonly heapMiB: number; readonly handles: number }
export type SoakResult = {
  readonly records: number
  readonly batches: number
  readonly lag: number
  readonly samples: readonly SoakSample[]
}

const MIB = 1_048_576
const SAMPLES = 60
const [brokers, topic, runMs] = childArguments<[brokers: string[], topic: string, runMs: number]>()
const folder = await mkdtemp(join(tmpdir(), 'tidemark-bench-'))
let bytes = 0
let lag = 0
const run = await stream({
  name: 'soak',
  offsets: sqliteOffsets({ path: join(folder, 'offsets.db') }),
  batchIntervalMs: 200,
  log: silentLog,
  listeners: [
    event => {
      if (event.type === 'batchCompleted') lag = event.batch.lag ?? lag
    },
  ],
})
  .from(kafkaSource({ kafka: { brokers }, topics: [topic] }))
  .forEachRange(async rows => {
    for await (const array of rows) for (const record of array) bytes += record.value?.length ?? 0
  })
  .start()

const samples: SoakSample[] = []
const startedAt = performance.now()
for (let sample = 1; sample <= SAMPLES; sample++) {
  await sleep(Math.max(0, (sample * runMs) / SAMPLES - (performance.now() - startedAt)))
  globalThis.gc?.()
  const { rss, heapUsed } = process.memoryUsage()
  const handles = process.getActiveResourcesInfo().filter(kind => kind !== 'Timeout' && kind !== 'Immediate').length
  samples.push({ atMs: performance.now() - startedAt, rssMiB: rss / MIB, heapMiB: heapUsed / MIB, handles })
}
await run.stop()
const { records, batches } = await run.done
await rm(folder, { recursive: true })
if (bytes === 0) throw new Error('nothing came')
giveResult({ records, batches, lag, samples } satisfies SoakResult)
