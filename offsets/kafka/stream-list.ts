import type { Clock } from '../../src/core/clock.ts'
import { awaitMarkers } from './await-markers.ts'
import type { KafkaConnection } from './kafka-connection.ts'
import type { KafkajsCluster } from './kafkajs-cluster.ts'
import { type LogListener, readPartition } from './partition-reader.ts'
import { PARTITIONS } from './stream-names.ts'
import { decodeHead, decodeKey } from './stream-records.ts'
import { type OpenWrite, TransactionFilter } from './transaction-filter.ts'

/** The second element of a head's key, which ends it. */
const HEAD_END = Buffer.from(',"head"]')

/** The names of all streams, sorted: every partition is read from its beginning, for nobody keeps a list. */
export async function listStreams(connection: KafkaConnection, cluster: KafkajsCluster, clock: Clock): Promise<string[]> {
  const names: string[] = []
  for (let partition = 0; partition < PARTITIONS; partition++) names.push(...(await listPartition(connection, cluster, partition, clock)))
  return names.sort()
}

async function listPartition(connection: KafkaConnection, cluster: KafkajsCluster, partition: number, clock: Clock): Promise<Set<string>> {
  const names = new Set<string>()
  const filter = new TransactionFilter(key => key.subarray(-HEAD_END.length).equals(HEAD_END))
  const listener: LogListener = {
    onBatch: batch => {
      for (const { key, value } of filter.take(batch)) {
        const [stream] = decodeKey(key)
        if (value === null || decodeHead(value).isRemoved) names.delete(stream)
        else names.add(stream)
      }
    },
    onRestart: () => names.clear(),
  }
  let position = 0
  const readOn = async () => {
    position = await readPartition(connection, cluster, partition, position, listener)
  }
  await readOn()
  const streamOf = ({ key }: OpenWrite) => decodeKey(key)[0]
  await awaitMarkers(connection, cluster, clock, { open: () => filter.open, streamOf, readOn })
  return names
}
