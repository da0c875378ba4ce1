import type { Api } from './api.ts'
import { decodeBody, encodeBody } from './message.ts'

/** Where a leader's epoch ended in the log: the only proof of a truncation (KIP-320). */
export const OFFSET_FOR_LEADER_EPOCH: Api = {
  name: 'OffsetForLeaderEpoch',
  apiKey: 23,
  minVersion: 2,
  maxVersion: 4,
  firstFlexibleVersion: 4,
}

const CONSUMER = -1

export type OffsetForLeaderEpochRequest = {
  readonly topics: readonly {
    readonly topic: string
    readonly partitions: readonly { readonly partition: number; readonly currentLeaderEpoch: number; readonly leaderEpoch: number }[]
  }[]
}

export type OffsetForLeaderEpochPartition = {
  readonly errorCode: number
  readonly partition: number
  /** The largest epoch up to the one asked for that the broker knows, or -1. */
  readonly leaderEpoch: number
  /** Where it ended, or -1. */
  readonly endOffset: number
}
export type OffsetForLeaderEpochResponse = {
  readonly throttleTimeMs: number
  readonly topics: readonly { readonly topic: string; readonly partitions: readonly OffsetForLeaderEpochPartition[] }[]
}

export function encodeOffsetForLeaderEpochRequest(version: number, request: OffsetForLeaderEpochRequest): Buffer {
  return encodeBody(OFFSET_FOR_LEADER_EPOCH, version, writer => {
    if (version >= 3) writer.int32(CONSUMER)
    writer.array(request.topics, topic => {
      writer.string(topic.topic)
      writer.array(topic.partitions, partition => {
        writer.int32(partition.partition).int32(partition.currentLeaderEpoch).int32(partition.leaderEpoch).tags()
      })
      writer.tags()
    })
    writer.tags()
  })
}

export function decodeOffsetForLeaderEpochResponse(version: number, body: Buffer): OffsetForLeaderEpochResponse {
  return decodeBody(OFFSET_FOR_LEADER_EPOCH, version, body, reader => {
    const throttleTimeMs = reader.int32()
    const topics = reader.array(() => {
      const topic = reader.string()
      const partitions = reader.array(() => {
        const partition = {
          errorCode: reader.int16(),
          partition: reader.int32(),
          leaderEpoch: reader.int32(),
          endOffset: reader.int64(),
        }
        reader.tags()
        return partition
      })
      reader.tags()
      return { topic, partitions }
    })
    reader.tags()
    return { throttleTimeMs, topics }
  })
}
