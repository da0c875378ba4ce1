import { expect, test } from 'vitest'
import { runChild } from '../bench/run-child.ts'
import type { SlowSinkArguments, SlowSinkResult } from '../bench/slow-sink.ts'
import { createTopic, kafkaCluster, uniqueName } from '../support/kafka.ts'
import { produce } from '../support/produce.ts'

const MIB = 1_048_576
const RECORD_BYTES = 1_000_000
const MAX_BYTES_IN_FLIGHT = 64 * MIB
/** For Node itself, the code, and what waits for the garbage collector, whose moments are its own: hence the retries. */
const BESIDE_BYTES = 200_000_000

test.each([
  ['', { count: 400, compression: 'none' }],
  [', each compressed to a hundredth', { count: 400, compression: 'lz4' }],
] as const)('a slow sink holds no more than maxBytesInFlight of a topic of 1 MB records%s', { retry: 2 }, async (_, options) => {
  const kafka = kafkaCluster()
  const topic = await createTopic(uniqueName('slow-sink'), { partitions: 8, config: { 'max.message.bytes': String(16 * MIB) } })
  await produce(kafka, { topic, bytes: RECORD_BYTES, ...options })
  const job = { brokers: kafka.brokers, topic, maxBytesInFlight: MAX_BYTES_IN_FLIGHT, taskMs: 500, maxRecordsPerTask: 20 }
  const result = await runChild<SlowSinkResult>('slow-sink.ts', [job satisfies SlowSinkArguments], [])
  expect(result.records).toBe(options.count)
  expect(result.bytes).toBe(options.count * RECORD_BYTES)
  expect(result.peakRssMiB * MIB).toBeLessThanOrEqual(MAX_BYTES_IN_FLIGHT + BESIDE_BYTES)
})
