import type { KafkaConnection } from './kafka-connection.ts'
import type { KafkajsCluster } from './kafkajs-cluster.ts'
import { readPartition } from './partition-reader.ts'
import { PARTITIONS } from './stream-names.ts'
import { decodeHead, decodeKey } from './stream-records.ts'
import { TransactionFilter } from './transaction-filter.ts'

/** The second element of a head's key, which ends it. */
const HEAD_END = Buffer.from(',"head"]')

/** The names of all streams, sorted: every partition is read from its beginning, for nobody keeps a list. */
export async function listStreams(connection: KafkaConnection, cluster: KafkajsCluster): Promise<string[]> {
  const names: string[] = []
  for (let partition = 0; partition < PARTITIONS; partition++) names.push(...(await listPartition(connection, cluster, partition)))
  return names.sort()
}

async function listPartition(connection: KafkaConnection, cluster: KafkajsCluster, partition: number): Promise<Set<string>> {
  const names = new Set<string>()
  const filter = new TransactionFilter(key => key.subarray(-HEAD_END.length).equals(HEAD_END))
  await readPartition(connection, cluster, partition, 0, {
    onBatch: batch => {
      for (const { key, value } of filter.take(batch)) {
        const [stream] = decodeKey(key)
        if (value === null || decodeHead(value).isRemoved) names.delete(stream)
        else names.add(stream)
      }
    },
    onRestart: () => names.clear(),
  })
  return names
}
