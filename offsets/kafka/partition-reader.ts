import { ConnectionError } from '../../src/core/errors.ts'
import { fetchRequest } from './fetch-request.ts'
import type { KafkaConnection } from './kafka-connection.ts'
import type { KafkajsCluster } from './kafkajs-cluster.ts'
import type { LogBatch } from './record-batch.ts'

const LATEST = -1
const EARLIEST = -2

/** A leader that has just been elected may give nothing for a moment, and says nothing of it. */
const EMPTY_ANSWERS = 50

/** What a read tells: each batch in order, and that the log begins anew, for what was read before is no part of it. */
export type LogListener = { readonly onBatch: (batch: LogBatch) => void; readonly onRestart: () => void }

/**
 * Reads a partition from an offset to its high watermark, asked for first, and on to the one that the last answer names; gives the offset after it.
 *
 * - The first is asked for by ListOffsets, which a new leader refuses until its high watermark has caught up (KIP-207). A fetch does not refuse:
 *   the leader dies, the next one's watermark lags, and the records of the newest lease are behind it.
 * - The second is because of compaction: offset 50 holds a key, 120 is the watermark; while the read is at 10 the key is written again at 130, and
 *   50 is cleaned away. Whoever stops at 120 has seen neither.
 */
export async function readPartition(
  connection: KafkaConnection,
  cluster: KafkajsCluster,
  partition: number,
  from: number,
  listener: LogListener,
): Promise<number> {
  const until = await offsetAt(connection, cluster, partition, LATEST)
  let position = from
  for (let empty = 0; empty < EMPTY_ANSWERS; ) {
    const fetched = await connection.ask(cluster, partition, fetchRequest(connection.topic, partition, position))
    if (fetched === 'out-of-range') {
      // Records were deleted in front of it, or the topic is another one.
      position = await offsetAt(connection, cluster, partition, EARLIEST)
      listener.onRestart()
      empty += 1
      continue
    }
    for (const batch of fetched.batches) {
      // The first one may begin in front of what was asked for.
      if (batch.lastOffset < position) continue
      listener.onBatch(batch)
      position = batch.lastOffset + 1
    }
    empty = fetched.batches.length === 0 ? empty + 1 : 0
    if (position >= Math.max(until, fetched.highWatermark)) return position
  }
  throw new ConnectionError(
    `${connection.topic}/${partition} gives nothing at ${position}, although its log goes to ${until}. Look at its leader.`,
  )
}

async function offsetAt(connection: KafkaConnection, cluster: KafkajsCluster, partition: number, timestamp: number): Promise<number> {
  const leader = await connection.leader(cluster, partition)
  const topics = [{ topic: connection.topic, partitions: [{ partition, timestamp }] }]
  const { responses } = await leader.listOffsets({ replicaId: -1, isolationLevel: 0, topics })
  return Number(responses[0]?.partitions[0]?.offset)
}
