import { type KafkaRecord, type KafkaSourceOptions, kafkaSource } from '../../../../connectors/kafka/index.ts'
import type { Source } from '../../../../src/core/source.ts'
import { ScriptedCluster } from '../../../support/scripted-broker.ts'

/** A scripted cluster and a source of its topic `orders`, ended together. */
export type ScriptedSource = AsyncDisposable & {
  readonly cluster: ScriptedCluster
  readonly source: Source<KafkaRecord> & Required<Pick<Source<KafkaRecord>, 'awaitRecords'>>
}

export async function openScriptedSource(
  partitions: Parameters<typeof ScriptedCluster.start>[0][string],
  { brokers = 1, ...options }: { readonly brokers?: number } & Partial<KafkaSourceOptions> = {},
): Promise<ScriptedSource> {
  const cluster = await ScriptedCluster.start({ orders: partitions }, { brokers })
  const source = kafkaSource({ kafka: { brokers: cluster.addresses }, topics: ['orders'], ...options })
  return {
    cluster,
    source: source as ScriptedSource['source'],
    [Symbol.asyncDispose]: async () => {
      await source.close()
      await cluster[Symbol.asyncDispose]()
    },
  }
}
