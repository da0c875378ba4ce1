import { describe, expect, test } from 'vitest'
import { memoryOffsets } from '../../offsets/memory/index.ts'
import { silentLog } from '../../src/core/log.ts'
import { inProcess, stream } from '../../src/index.ts'
import { createTopic, kafkaCluster, uniqueName } from '../support/kafka.ts'
import { produce } from '../support/produce.ts'
import { sourceOf, TaskWatch } from './slices-world.ts'

const KIB = 1_024
/** Asked for beyond what the offsets of a slice weigh; see `FetchSizes`. */
const SPARE_BYTES = 64 * KIB
const MARGIN = 1.1

/** What tasks fetch of a batch of `records` when those before have told what an offset weighs. */
async function fetchedBy(topic: string, records: number, maxRecordsPerTask: number | undefined, concurrency: number): Promise<number[]> {
  const watch = new TaskWatch()
  const run = await stream({
    name: uniqueName('fetched'),
    offsets: memoryOffsets(),
    batchIntervalMs: 0,
    limits: { maxRecordsPerBatch: records, ...(maxRecordsPerTask !== undefined && { maxRecordsPerTask }) },
    executor: inProcess({ concurrency }),
    listeners: [watch.listener],
    log: silentLog,
  })
    .from(sourceOf([topic]))
    .forEachBatch(() => {})
    .start({ until: 'latest' })
  expect((await run.done).records).toBe(2 * records)
  return watch.bytes.filter((_, at) => watch.slices[at]?.startsWith('2/'))
}

const sum = (bytes: readonly number[]) => bytes.reduce((all, each) => all + each, 0)

describe.for([
  { name: 'slices of several batches each', records: 100_000, compression: 'none', batchBytes: 128 * KIB, slices: 20 },
  { name: 'slices that lie inside of one compressed batch', records: 200_000, compression: 'lz4', batchBytes: 256 * KIB, slices: 100 },
] as const)('$name', ({ records, compression, batchBytes, slices }) => {
  test('fetch their own bytes and the batches that they share with their neighbours, one after another and side by side', async () => {
    const topic = await createTopic(uniqueName('fetched'), { config: { 'max.message.bytes': String(4 * 1_048_576) } })
    await produce(kafkaCluster(), { topic, count: 2 * records, compression, batchBytes, lingerMs: 100 })
    const whole = sum(await fetchedBy(topic, records, undefined, 1))
    for (const concurrency of [1, 4]) {
      const bytes = await fetchedBy(topic, records, records / slices, concurrency)
      expect(bytes).toHaveLength(slices)
      // A batch comes whole: the one that a slice begins in, and the one that it ends in. And one that was cut off by a fetch's size comes again.
      const most = (whole / slices) * MARGIN + SPARE_BYTES + 3 * batchBytes
      expect(most).toBeLessThan(whole / 5)
      expect(Math.max(...bytes)).toBeLessThanOrEqual(most)
      expect(sum(bytes)).toBeGreaterThanOrEqual(whole * 0.9)
    }
  })
})
