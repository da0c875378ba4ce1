/**
 * Memory while the sink is slow: the stream reads a topic of large records into a sink that takes its time for each task. With `dist/`, as people have it:
 * where Node strips types from the sources, its compiler is in the figure.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { stream } from 'tidemark'
import { kafkaSource } from 'tidemark/kafka'
import { memoryOffsets } from 'tidemark/offsets/memory'
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
const silent = () => {}
const log = { debug: silent, info: silent, warn: silent, error: silent }
let records = 0
let bytes = 0
const run = await stream({ name: 'slow', offsets: memoryOffsets(), batchIntervalMs: 0, limits: { maxRecordsPerTask }, log })
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
