import { isRetryable } from '../../../src/core/errors.ts'
import type { PartitionOffset } from '../../../src/core/values.ts'
import { LEADER_EPOCH_CALL, REQUEST_TIMEOUT_MS } from './calls.ts'
import { errorOfCode, reactionTo } from './kafka-errors.ts'
import type { Cluster } from './list-offsets.ts'

/**
 * Asks the leaders where the leader epoch of each position ended in their logs (KIP-320): the log's end for the newest epoch, 0 where a leader
 * knows nothing of the epoch any more. Positions without an epoch, and partitions whose leader is moving, are left out: ask again later.
 */
export async function epochEndOffsets(
  { pool, metadata }: Cluster,
  positions: readonly PartitionOffset[],
  signal: AbortSignal,
): Promise<PartitionOffset[]> {
  const view = await metadata.view(signal)
  const leaderOf = (at: PartitionOffset) => view.topics.get(at.topic)?.leaders.get(at.partition)
  const asked = positions.filter(at => at.leaderEpoch !== undefined && view.brokers.has(leaderOf(at)?.leaderId ?? -1))
  const byLeader = Map.groupBy(asked, at => leaderOf(at)?.leaderId ?? -1)
  const found = await Promise.all(
    Array.from(byLeader, async ([leaderId, own]) => {
      const byTopic = Map.groupBy(own, at => at.topic)
      const topics = Array.from(byTopic, ([topic, ats]) => ({
        topic,
        partitions: ats.map(at => ({
          partition: at.partition,
          currentLeaderEpoch: leaderOf(at)?.leaderEpoch ?? -1,
          leaderEpoch: at.leaderEpoch ?? -1,
        })),
      }))
      try {
        const options = { timeoutMs: REQUEST_TIMEOUT_MS, signal }
        const response = await pool.with(view.brokers.get(leaderId), signal, client => client.call(LEADER_EPOCH_CALL, { topics }, options))
        return response.topics.flatMap(({ topic, partitions }) =>
          partitions.flatMap(({ partition, errorCode, endOffset, leaderEpoch }) => {
            if (errorCode === 0) return [{ topic, partition, offset: Math.max(0, endOffset), leaderEpoch }]
            if (reactionTo(errorCode) === 'fatal') throw errorOfCode(errorCode, `OffsetForLeaderEpoch of ${topic}/${partition}`)
            metadata.markStale()
            return []
          }),
        )
      } catch (error) {
        signal.throwIfAborted()
        if (!isRetryable(error)) throw error
        metadata.markStale()
        return []
      }
    }),
  )
  return found.flat()
}
