/** Memory while the sink is slow: the stream reads a topic of large records into a sink that takes its time for each task. */
import { setTimeout as sleep } from 'node:timers/promises'
import { kafkaSource } from '../../connectors/kafka/index.ts'
import { memoryOffsets } from '../../offsets/memory/index.ts'
import { silentLog } from '../../src/core/log.ts'
import { stream } from '../../src/index.ts'
import { childArguments, giveResult } from './run-child.ts'

export type SlowSinkArguments = {
  readonly brokers: readonly string[]
  readonly topic: string
  readonly maxBytesInFlight: number
  readonly taskMs: number
  readonly maxRecordsPerTask: number
}

export type SlowSinkResult = { readonly records: number; readonly bytes: number; readonly startRssMiB: number; readonly peakRssMiB: number }

const MIB = 1_048_576
const [{ brokers, topic, maxBytesInFlight, taskMs, maxRecordsPerTask }] = childArguments<[SlowSinkArguments]>()
const startRssMiB = process.memoryUsage.rss() / MIB
let records = 0
let bytes = 0
const run = await stream({ name: 'slow', offsets: memoryOffsets(), batchIntervalMs: 0, limits: { maxRecordsPerTask }, log: silentLog })
  .from(kafkaSource({ kafka: { brokers: [...brokers] }, topics: [topic], maxBytesInFlight }))
  .forEachRange(async (rows, { range }) => {
    const pauseMs = taskMs / (range.untilOffset - range.fromOffset)
    for await (const array of rows) {
      for (const record of array) {
        records += 1
        bytes += record.value?.length ?? 0
      }
      await sleep(pauseMs * array.length)
    }
  })
  .start({ until: 'latest' })
await run.done
giveResult({ records, bytes, startRssMiB, peakRssMiB: process.resourceUsage().maxRSS / 1024 } satisfies SlowSinkResult)
