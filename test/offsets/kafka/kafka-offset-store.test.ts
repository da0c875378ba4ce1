import { afterAll, beforeAll, describe, test } from 'vitest'
import { kafkaOffsets } from '../../../offsets/kafka/index.ts'
import { memoryOffsets } from '../../../offsets/memory/index.ts'
import { offsetStoreContract } from '../../../src/testing/index.ts'
import type { KafkaCluster } from '../../support/cluster/kafka-cluster.ts'
import { startKafka } from '../../support/cluster/start-kafka.ts'
import { type FaultProxy, startFaultProxy, throughProxy } from '../../support/services/fault-proxy.ts'

/** Of its own, for it is killed; and of one broker, for that is what goes through a proxy. */
let cluster: KafkaCluster
let proxy: FaultProxy

beforeAll(async () => {
  cluster = await startKafka({ brokers: 1, own: true })
  proxy = await startFaultProxy(cluster.brokers[0] ?? '')
})

afterAll(async () => {
  await proxy?.close()
  await cluster?.close()
})

offsetStoreContract({
  describe,
  test,
  clock: 'server',
  big: true,
  model: memoryOffsets,
  faults: ['cut', 'loseNextAnswer', 'restart'],
  open: async fault => {
    const socketFactory = fault === undefined || fault === 'restart' ? {} : { socketFactory: throughProxy(proxy) }
    const open = () => kafkaOffsets({ kafka: { brokers: cluster.brokers, ...socketFactory } })
    return {
      store: open(),
      another: async () => open(),
      close: async () => {},
      faults: {
        cut: proxy.cut,
        loseNextAnswer: proxy.loseNextAnswer,
        restart: async () => {
          await cluster.killBroker(0)
          await cluster.startBroker(0)
        },
      },
    }
  },
})
