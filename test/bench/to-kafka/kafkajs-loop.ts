/**
 * What people write by hand: kafkajs' `eachBatch` with a transaction a batch, the offsets in it, and a producer a partition, for a producer has one
 * transaction at a time. It is measured from when it has its group, which takes seconds that say nothing about a loop that runs.
 */
import { Kafka, logLevel, Partitioners, type Producer } from 'kafkajs'
import { childArguments, giveResult } from '../run-child.ts'
import { type Order, toPayment } from './order.ts'
import type { ToKafkaArguments, ToKafkaResult } from './tidemark.ts'

const [{ brokers, from, to, name, count, partitions, recordsPerTransaction }] = childArguments<[ToKafkaArguments]>()

/** What a record of 73 bytes weighs in a fetch, with what is around it: kafkajs takes the size of its batches in bytes. */
const BYTES_PER_RECORD = 82

const kafka = new Kafka({ brokers: [...brokers], logLevel: logLevel.NOTHING })
const producers: Producer[] = []
for (let partition = 0; partition < partitions; partition++) {
  const transactionalId = `${name}-${partition}`
  const producer = kafka.producer({
    transactionalId,
    idempotent: true,
    maxInFlightRequests: 1,
    createPartitioner: Partitioners.DefaultPartitioner,
  })
  await producer.connect()
  producers.push(producer)
}
const consumer = kafka.consumer({
  groupId: name,
  readUncommitted: false,
  maxBytesPerPartition: recordsPerTransaction * BYTES_PER_RECORD,
  maxBytes: 64 << 20,
})
let startedAt = 0
consumer.on(consumer.events.GROUP_JOIN, () => {
  startedAt = performance.now()
})
await consumer.connect()
await consumer.subscribe({ topic: from, fromBeginning: true })
let records = 0
let transactions = 0
const { promise, resolve } = Promise.withResolvers<void>()
await consumer.run({
  autoCommit: false,
  partitionsConsumedConcurrently: partitions,
  eachBatch: async ({ batch }) => {
    const transaction = await (producers[batch.partition] as Producer).transaction()
    const messages = batch.messages.map(({ value }) => {
      const payment = toPayment(JSON.parse(String(value)) as Order)
      return { key: payment.user, value: JSON.stringify(payment) }
    })
    await transaction.send({ topic: to, messages })
    const offset = String(Number(batch.lastOffset()) + 1)
    await transaction.sendOffsets({
      consumerGroupId: name,
      topics: [{ topic: from, partitions: [{ partition: batch.partition, offset }] }],
    })
    await transaction.commit()
    transactions += 1
    records += batch.messages.length
    if (records >= count) resolve()
  },
})
await promise
const ms = performance.now() - startedAt
const { user, system } = process.cpuUsage()
await consumer.disconnect()
await Promise.all(producers.map(producer => producer.disconnect()))
giveResult({ ms, records, transactions, cpuMs: (user + system) / 1000 } satisfies ToKafkaResult)
