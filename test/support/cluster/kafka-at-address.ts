import { readFileSync } from 'node:fs'
import { ConfigError, errorMessage } from '../../../src/core/errors.ts'
import type { CompleteKafkaOptions, KafkaCluster, SaslLogin } from './kafka-cluster.ts'
import { waitForBrokers } from './wait-for-brokers.ts'

/** A Kafka that is named is running: longer than this only keeps whoever mistyped its address waiting. */
const ANSWER_WITHIN_MS = 5_000

/**
 * Uses the Kafka that the environment names. `KAFKA_BROKERS`: `host:port` of PLAINTEXT listeners, comma separated. For tests of
 * authenticated connections also `KAFKA_SASL_BROKERS`, a SASL_SSL listener of the same cluster with SCRAM-SHA-512, with
 * `KAFKA_SASL_USERNAME`, `KAFKA_SASL_PASSWORD` and, where the system does not trust its certificate, `KAFKA_SASL_CA`, the path
 * of a PEM file. The cluster must not create topics by itself, and is not ours to stop.
 *
 * @throws ConfigError when something that was asked for is not named, or the cluster has too few brokers
 */
export async function kafkaAtAddress(env: NodeJS.ProcessEnv, { brokers: count, sasl }: CompleteKafkaOptions): Promise<KafkaCluster> {
  const brokers = addresses(env.KAFKA_BROKERS)
  try {
    await waitForBrokers(brokers, count, { timeoutMs: ANSWER_WITHIN_MS })
  } catch (error) {
    throw new ConfigError(
      `KAFKA_BROKERS=${env.KAFKA_BROKERS} is not usable, ${count === 1 ? 'a broker is' : `${count} brokers are`} needed: ${errorMessage(error)}`,
      {
        cause: error,
      },
    )
  }
  const refuse = async () => {
    throw new ConfigError('A Kafka named by KAFKA_BROKERS is not ours to stop. Start one with { own: true } for this.')
  }
  const close = async () => {}
  return {
    origin: `Kafka at ${brokers.join(',')}`,
    brokers,
    saslBrokers: sasl ? addresses(required(env, 'KAFKA_SASL_BROKERS')) : [],
    sasl: sasl ? loginFrom(env) : undefined,
    ca: sasl && env.KAFKA_SASL_CA ? readFileSync(env.KAFKA_SASL_CA, 'utf8') : undefined,
    tools: { kind: 'here' },
    stopBroker: refuse,
    killBroker: refuse,
    startBroker: refuse,
    close,
    [Symbol.asyncDispose]: close,
  }
}

function loginFrom(env: NodeJS.ProcessEnv): SaslLogin {
  return { mechanism: 'scram-sha-512', username: required(env, 'KAFKA_SASL_USERNAME'), password: required(env, 'KAFKA_SASL_PASSWORD') }
}

function required(env: NodeJS.ProcessEnv, name: string): string {
  const value = env[name]
  if (value === undefined || value === '') {
    throw new ConfigError(
      `KAFKA_BROKERS is set and ${name} is not. The tests also need a SASL_SSL listener with SCRAM-SHA-512: set KAFKA_SASL_BROKERS, KAFKA_SASL_USERNAME, KAFKA_SASL_PASSWORD and, for a private certificate, KAFKA_SASL_CA.`,
    )
  }
  return value
}

function addresses(list: string | undefined): string[] {
  return (list ?? '')
    .split(',')
    .map(address => address.trim())
    .filter(address => address !== '')
}
