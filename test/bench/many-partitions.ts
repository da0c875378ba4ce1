/** A batch over a thousand partitions of a hundred records each: plan, begin, read, count, commit. SQLite, `forEachRange`. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { kafkaSource } from '../../connectors/kafka/index.ts'
import { sqliteOffsets } from '../../offsets/sqlite/index.ts'
import { silentLog } from '../../src/core/log.ts'
import { stream } from '../../src/index.ts'
import { childArguments, giveResult } from './run-child.ts'

/** `wholeMs` is from the batch's planning to its commit, `runMs` the whole run with opening and closing. */
export type ManyPartitionsResult = { readonly records: number; readonly tasks: number; readonly wholeMs: number; readonly runMs: number }

const RUNS = 4
const [brokers, topic] = childArguments<[brokers: string[], topic: string]>()
const folder = await mkdtemp(join(tmpdir(), 'tidemark-bench-'))
const results: ManyPartitionsResult[] = []

for (let run = 0; run < RUNS; run++) {
  const startedAt = performance.now()
  let plannedAt = 0
  let committedAt = 0
  let tasks = 0
  let counted = 0
  const running = await stream({
    name: 'many',
    offsets: sqliteOffsets({ path: join(folder, `offsets-${run}.db`) }),
    batchIntervalMs: 0,
    log: silentLog,
    listeners: [
      event => {
        // Between the starting points and the batch there is only its planning.
        if (event.type === 'partitionsStarted') plannedAt = performance.now()
        if (event.type === 'batchCompleted') {
          committedAt = performance.now()
          tasks += event.batch.ranges.length
        }
      },
    ],
  })
    .from(kafkaSource({ kafka: { brokers }, topics: [topic] }))
    .forEachRange(async rows => {
      for await (const array of rows) counted += array.length
    })
    .start({ until: 'latest' })
  const { batches, records } = await running.done
  if (batches !== 1 || counted !== records) throw new Error(`${batches} batches, ${records} records, ${counted} counted`)
  results.push({ records, tasks, wholeMs: committedAt - plannedAt, runMs: performance.now() - startedAt })
}
await rm(folder, { recursive: true })
// The first is to warm the code.
giveResult(results.slice(1))
