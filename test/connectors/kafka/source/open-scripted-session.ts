import { completeOptions, type KafkaSourceOptions } from '../../../../connectors/kafka/options.ts'
import type { KafkaRecord } from '../../../../connectors/kafka/record.ts'
import { readRange } from '../../../../connectors/kafka/source/read-range.ts'
import { Session } from '../../../../connectors/kafka/source/session.ts'
import { KafkajsTransport, kafkajsClient } from '../../../../connectors/kafka/transport/kafkajs-transport.ts'
import type { ReadOptions } from '../../../../src/core/source.ts'
import type { OffsetRange } from '../../../../src/core/values.ts'
import { ScriptedCluster } from '../../../support/scripted-broker.ts'

/** The inside of a source of topic `orders` of a scripted cluster, so that a test sees what it holds. Its metadata is known. */
export type ScriptedSession = AsyncDisposable & {
  readonly cluster: ScriptedCluster
  readonly session: Session
  readonly read: (range: OffsetRange, options?: ReadOptions) => Promise<KafkaRecord[]>
}

export async function openScriptedSession(
  partitions: Parameters<typeof ScriptedCluster.start>[0][string],
  { brokers = 1, ...options }: { readonly brokers?: number } & Partial<KafkaSourceOptions> = {},
): Promise<ScriptedSession> {
  const cluster = await ScriptedCluster.start({ orders: partitions }, { brokers })
  const complete = completeOptions({ kafka: { brokers: cluster.addresses }, topics: ['orders'], ...options })
  const session = new Session(complete, new KafkajsTransport(kafkajsClient(complete.kafka), 'the script'), cluster.addresses.length)
  await session.metadata.view(session.closing)
  return {
    cluster,
    session,
    async read(range, options = {}) {
      const all: KafkaRecord[] = []
      for await (const records of readRange(session, range, range.topic, options)) all.push(...records)
      return all
    },
    [Symbol.asyncDispose]: async () => {
      session.close(new Error('the test is over'))
      await cluster[Symbol.asyncDispose]()
    },
  }
}
