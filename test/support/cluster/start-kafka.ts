import { tmpdir } from 'node:os'
import { ConfigError } from '../../../src/core/errors.ts'
import { findContainerEngine } from '../services/container-engine.ts'
import { startAsProcesses } from './kafka-as-processes.ts'
import { kafkaAtAddress } from './kafka-at-address.ts'
import type { KafkaCluster, KafkaOptions } from './kafka-cluster.ts'
import { startInContainers } from './kafka-in-containers.ts'
import { whyNoJava } from './kafka-jars.ts'

/**
 * Gives a running Kafka from the first of three ways that is there: the address in `KAFKA_BROKERS`; a Docker engine, through
 * testcontainers; Java 17 or newer with Maven. What is started here ends with {@link KafkaCluster.close}, or with this process.
 *
 * @throws ConfigError naming the three ways when there is none
 */
export async function startKafka(options: KafkaOptions = {}): Promise<KafkaCluster> {
  const complete = { brokers: 1, sasl: false, authorizer: false, own: false, dataDir: tmpdir(), port: undefined, ...options }
  if (process.env.KAFKA_BROKERS && !complete.own) return kafkaAtAddress(process.env, complete)

  const engine = await findContainerEngine()
  if ('host' in engine) return startInContainers(engine.host, complete)

  const whyNot = await whyNoJava()
  if (whyNot === undefined) return startAsProcesses(complete)

  throw new ConfigError(
    [
      'No Kafka to run against. Any one of these is enough:',
      `  - an address: KAFKA_BROKERS=host:port[,host:port] of a running Kafka (PLAINTEXT)${complete.own ? '; not for this, which stops brokers' : ''}`,
      `  - a running Docker engine (${engine.reason})`,
      `  - Java 17 or newer and Maven on PATH; Kafka is then downloaded once (${whyNot})`,
    ].join('\n'),
  )
}
