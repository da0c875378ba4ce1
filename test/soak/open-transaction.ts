import { randomUUID } from 'node:crypto'
import { Kafka, logLevel } from 'kafkajs'
import type { KafkaAddress } from '../support/cluster/kafka-cluster.ts'

/** How long a transaction that nobody ends holds readers up, ms; then the broker aborts it. */
const OPEN_MS = 8_000

/** Writes records of a transaction that is aborted, or left open until the broker aborts it: nobody may ever see them. */
export async function endTransactionLater(kafka: KafkaAddress, topic: string, records: number, isAborted: boolean): Promise<void> {
  const producer = new Kafka({ brokers: kafka.brokers, logLevel: logLevel.NOTHING }).producer({
    transactionalId: `walk-${randomUUID()}`,
    transactionTimeout: OPEN_MS,
    maxInFlightRequests: 1,
    idempotent: true,
  })
  await producer.connect()
  try {
    const transaction = await producer.transaction()
    await transaction.send({ topic, messages: Array.from({ length: records }, (_, n) => ({ value: `never seen ${n}` })) })
    if (isAborted) await transaction.abort()
  } finally {
    await producer.disconnect()
  }
}
