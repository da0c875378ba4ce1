import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, onTestFinished, test } from 'vitest'
import { kafkaSource } from '../../connectors/kafka/index.ts'
import { memoryOffsets } from '../../offsets/memory/index.ts'
import { silentLog } from '../../src/core/log.ts'
import { stream } from '../../src/index.ts'
import { createTopic, kafkaClient, kafkaCluster, sendMessages, uniqueName } from '../support/kafka.ts'
import { waitUntil } from '../support/services/wait-until.ts'
import { RequestCounter } from './counting-socket.ts'

/** How long an idle stream is watched: longer than any of its own periods. */
const WATCH_MS = 6_000

/** A running stream over a new topic of two brokers, what it has read, and what it asks the brokers. */
async function runIdle(batchIntervalMs: number, metadataMaxAgeMs = 30_000) {
  const topic = await createTopic(uniqueName('waiting'), { partitions: 4 })
  const counter = new RequestCounter()
  const { brokers } = kafkaCluster()
  const got: { value: string; partition: number; at: number }[] = []
  const run = await stream({ name: 'waiting', offsets: memoryOffsets(), batchIntervalMs, log: silentLog })
    .from(kafkaSource({ kafka: { brokers, socketFactory: counter.socketFactory }, topics: [topic], metadataMaxAgeMs }))
    .map(record => ({ value: String(record.value), partition: record.partition }))
    .forEachBatch(rows => {
      for (const row of rows) got.push({ ...row, at: performance.now() })
    })
    .start()
  onTestFinished(() => run.stop({ now: true }))
  const ended = run.done.then(() => expect.fail('the run has ended'))
  ended.catch(() => {})
  /** Waits for what the run does; a run that fails has nothing more to wait for. */
  const untilRead = (what: string, look: () => boolean) => Promise.race([ended, waitUntil(what, async () => look(), { timeoutMs: 30_000 })])
  return { topic, counter, got, run, untilRead }
}

describe.each([0, 1_000])('a stream with batchIntervalMs %i that has nothing to read', batchIntervalMs => {
  test('asks each broker at most four times a second, and takes up what then comes', async () => {
    const { topic, counter, got, run, untilRead } = await runIdle(batchIntervalMs)
    await sendMessages(topic, [{ partition: 3, value: 'first' }])
    await untilRead('the first record', () => got.length === 1)
    counter.reset()
    await sleep(WATCH_MS)
    expect(counter.most).toBeGreaterThan(0)
    expect(counter.most / (WATCH_MS / 1_000)).toBeLessThanOrEqual(4)

    for (const [index, partition] of [0, 1, 2, 3].entries()) {
      await sendMessages(topic, [{ partition, value: `later ${index}` }])
      const sentAt = performance.now()
      await untilRead('the record', () => got.length === index + 2)
      // Without an interval a fetch brings the news; a poll would take its period, and this bound leaves room for a busy machine only.
      expect((got.at(-1)?.at ?? Number.NaN) - sentAt).toBeLessThan(batchIntervalMs + 1_000)
    }
    await run.stop()
    expect((await run.done).records).toBe(5)
  })
})

test('a partition that is added while the stream runs is found, and read from its beginning', async () => {
  const { topic, got, run, untilRead } = await runIdle(0, 500)
  await sendMessages(topic, [{ partition: 0, value: 'before' }])
  await untilRead('the first record', () => got.length === 1)
  const admin = kafkaClient().admin()
  await admin.connect()
  await admin.createPartitions({ topicPartitions: [{ topic, count: 6 }] })
  await admin.disconnect()
  await waitUntil('a record in the new partition', async () => {
    await sendMessages(topic, [{ partition: 5, value: 'new' }])
    return true
  })
  await untilRead('the new partition', () => got.some(({ partition }) => partition === 5))
  await run.stop()
  expect(got.map(({ value, partition }) => `${partition} ${value}`)).toEqual(['0 before', '5 new'])
})
