/** A whole stream: plan, begin, read, sum, commit. A million records a batch, SQLite, `forEachRange`. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { kafkaSource } from '../../connectors/kafka/index.ts'
import { sqliteOffsets } from '../../offsets/sqlite/index.ts'
import { silentLog } from '../../src/core/log.ts'
import { stream } from '../../src/index.ts'
import { measureSecond } from './readers/measure.ts'
import { childArguments, giveResult } from './run-child.ts'

const [brokers, topic] = childArguments<[brokers: string[], topic: string]>()
const folder = await mkdtemp(join(tmpdir(), 'tidemark-bench-'))
let starts = 0

const result = await measureSecond(async () => {
  let bytes = 0
  const run = await stream({
    name: 'whole',
    offsets: sqliteOffsets({ path: join(folder, `offsets-${starts++}.db`) }),
    batchIntervalMs: 0,
    limits: { maxRecordsPerBatch: 1_000_000 },
    log: silentLog,
  })
    .from(kafkaSource({ kafka: { brokers }, topics: [topic] }))
    .forEachRange(async rows => {
      for await (const array of rows) for (const record of array) bytes += record.value?.length ?? 0
    })
    .start({ until: 'latest' })
  const { records } = await run.done
  return { records, bytes }
})
await rm(folder, { recursive: true })
giveResult(result)
