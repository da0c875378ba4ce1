/**
 * What people write by hand: kafkajs' `eachBatch` and `fetch`, as many rows a request, partitions side by side, offsets when the rows are in. It is measured
 * from when it has its group, which takes seconds that say nothing about a loop that runs.
 */
import { Kafka, logLevel } from 'kafkajs'
import { childArguments, giveResult } from '../run-child.ts'
import { type Order, toPayment } from '../to-kafka/order.ts'
import type { ToHttpArguments, ToHttpResult } from './tidemark.ts'

const [{ brokers, topic, url, count, rowsPerRequest, partitions }] = childArguments<[ToHttpArguments]>()

const consumer = new Kafka({ brokers: [...brokers], logLevel: logLevel.NOTHING }).consumer({ groupId: `to-http-${process.pid}` })
let startedAt = 0
consumer.on(consumer.events.GROUP_JOIN, () => {
  startedAt = performance.now()
})
await consumer.connect()
await consumer.subscribe({ topic, fromBeginning: true })
let records = 0
const { promise, resolve } = Promise.withResolvers<void>()
await consumer.run({
  partitionsConsumedConcurrently: partitions,
  eachBatchAutoResolve: false,
  eachBatch: async ({ batch, resolveOffset, commitOffsetsIfNecessary, heartbeat }) => {
    for (let first = 0; first < batch.messages.length; first += rowsPerRequest) {
      const messages = batch.messages.slice(first, first + rowsPerRequest)
      const lines = messages.map(({ value }) => `${JSON.stringify(toPayment(JSON.parse(String(value)) as Order))}\n`)
      const response = await fetch(url, { method: 'POST', headers: { 'content-type': 'application/x-ndjson' }, body: lines.join('') })
      if (!response.ok) throw new Error(`The endpoint answered ${response.status}.`)
      await response.arrayBuffer()
      resolveOffset(messages.at(-1)?.offset ?? batch.lastOffset())
      await heartbeat()
    }
    await commitOffsetsIfNecessary()
    records += batch.messages.length
    if (records >= count) resolve()
  },
})
await promise
const ms = performance.now() - startedAt
const { user, system } = process.cpuUsage()
await consumer.disconnect()
giveResult({ ms, cpuMs: (user + system) / 1000 } satisfies ToHttpResult)
