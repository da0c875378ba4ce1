/** How long from appending a record to its commit: `batchIntervalMs: 0`, SQLite, `forEachBatch`, 100 records a second. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Kafka, logLevel } from 'kafkajs'
import { kafkaSource } from '../../connectors/kafka/index.ts'
import { sqliteOffsets } from '../../offsets/sqlite/index.ts'
import { silentLog } from '../../src/core/log.ts'
import { stream } from '../../src/index.ts'
import { childArguments, giveResult } from './run-child.ts'

const RECORDS = 2_000
const WARM_UP = 200
const INTERVAL_MS = 10

const [brokers, topic] = childArguments<[brokers: string[], topic: string]>()
const folder = await mkdtemp(join(tmpdir(), 'tidemark-bench-'))
const producer = new Kafka({ brokers, logLevel: logLevel.NOTHING }).producer()
await producer.connect()

const sentAt: number[] = []
const appendedAt: number[] = []
const committedAt: number[] = []
const done = Promise.withResolvers<void>()
let inBatch: number[] = []
const run = await stream({
  name: 'latency',
  offsets: sqliteOffsets({ path: join(folder, 'offsets.db') }),
  batchIntervalMs: 0,
  log: silentLog,
  listeners: [
    event => {
      if (event.type !== 'batchCompleted') return
      const now = performance.now()
      for (const id of inBatch) committedAt[id] = now
      if (inBatch.includes(RECORDS - 1)) done.resolve()
      inBatch = []
    },
  ],
})
  .from(kafkaSource({ kafka: { brokers }, topics: [topic] }))
  .map(record => Number(record.value))
  .forEachBatch(ids => {
    inBatch.push(...ids)
  })
  .start()

const start = performance.now()
for (let id = 0; id < RECORDS; id++) {
  await sleep(Math.max(0, start + id * INTERVAL_MS - performance.now()))
  sentAt[id] = performance.now()
  // The broker has appended it some time before its acknowledgement is here; counting from the send is the stricter figure.
  await producer.send({ topic, acks: 1, messages: [{ value: String(id) }] })
  appendedAt[id] = performance.now()
}
await done.promise
await run.stop()
await producer.disconnect()
await rm(folder, { recursive: true })

const since = (from: readonly number[]) => {
  const all = committedAt.slice(WARM_UP).map((at, index) => at - (from[WARM_UP + index] ?? 0))
  all.sort((a, b) => a - b)
  return { p50: all[Math.floor(all.length * 0.5)], p99: all[Math.floor(all.length * 0.99)], max: all.at(-1) }
}
giveResult({ fromSend: since(sentAt), fromAcknowledgement: since(appendedAt) })
