import { listedBrokers } from '../../../src/util/kafkajs-input.ts'
import type { KafkajsInput } from '../transport/kafkajs-transport.ts'

/**
 * Which cluster, and what of it, as the driver and its executors compare it: the brokers in one order, whatever the configuration's is. Undefined where
 * the brokers are not listed: a client keeps them to itself, and a function would have to be asked.
 */
export function describeTarget(kafka: KafkajsInput, what: string): string | undefined {
  const brokers = listedBrokers(kafka)
  return brokers && `${brokers.toSorted().join(',')}, ${what}`
}
