/** Kafka → Kafka, exactly-once: `kafkaSink` with its ledger, offsets in `kafkaOffsets` of the same cluster. */
import { json, kafkaSink, kafkaSource } from '../../../connectors/kafka/index.ts'
import { kafkaOffsets } from '../../../offsets/kafka/index.ts'
import { silentLog } from '../../../src/core/log.ts'
import { stream } from '../../../src/index.ts'
import { childArguments, giveResult } from '../run-child.ts'
import { type Order, type Payment, toPayment } from './order.ts'

export type ToKafkaArguments = {
  readonly brokers: readonly string[]
  readonly from: string
  readonly to: string
  readonly name: string
  readonly count: number
  /** Of one transaction: a batch of ours has one for each of the topic's partitions. */
  readonly recordsPerTransaction: number
  readonly partitions: number
}
export type ToKafkaResult = { readonly ms: number; readonly records: number; readonly transactions: number; readonly cpuMs: number }

const [{ brokers, from, to, name, recordsPerTransaction, partitions }] = childArguments<[ToKafkaArguments]>()
const kafka = { brokers: [...brokers] }

const startedAt = performance.now()
const run = await stream({
  name,
  guarantee: 'exactly-once',
  offsets: kafkaOffsets({ kafka }),
  batchIntervalMs: 0,
  limits: { maxRecordsPerBatch: recordsPerTransaction * partitions },
  log: silentLog,
})
  .from(kafkaSource({ kafka, topics: [from] }))
  .map(json<Order>())
  .map(toPayment)
  .to(kafkaSink<Payment>({ kafka, topic: to, key: ({ user }) => user }))
  .start({ until: 'latest' })
const { records, batches } = await run.done
const ms = performance.now() - startedAt
const { user, system } = process.cpuUsage()
giveResult({ ms, records, transactions: batches * partitions, cpuMs: (user + system) / 1000 } satisfies ToKafkaResult)
