import type { TestProject } from 'vitest/node'
import type { KafkaAddress } from './cluster/kafka-cluster.ts'
import { startKafka } from './cluster/start-kafka.ts'

declare module 'vitest' {
  interface ProvidedContext {
    kafka: KafkaAddress
  }
}

/** Starts the Kafka that all integration tests share: two brokers, and a SASL_SSL listener. Ends it after the last test. */
export async function setup(project: TestProject): Promise<() => Promise<void>> {
  const cluster = await startKafka({ brokers: 2, sasl: true })
  const { brokers, saslBrokers, sasl, ca, tools } = cluster
  project.provide('kafka', { brokers, saslBrokers, sasl, ca, tools })
  return () => cluster.close()
}
