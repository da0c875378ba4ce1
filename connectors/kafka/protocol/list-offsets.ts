import type { Api } from './api.ts'
import { decodeBody, encodeBody } from './message.ts'

/** Earliest, latest and by-time offsets of partitions, asked of their leaders. */
export const LIST_OFFSETS: Api = { name: 'ListOffsets', apiKey: 2, minVersion: 4, maxVersion: 11, firstFlexibleVersion: 6 }

/** What stands for a timestamp where none is meant (ListOffsetsRequest.java). `latest` is the last stable offset under isolation 1. */
export const LIST_OFFSETS_AT = { latest: -1, earliest: -2 } as const

const CONSUMER = -1

export type ListOffsetsRequest = {
  /** 0: all records; 1: committed ones. */
  readonly isolationLevel: 0 | 1
  readonly topics: readonly {
    readonly name: string
    readonly partitions: readonly {
      readonly partitionIndex: number
      /** -1 leaves the leader's epoch unchecked. */
      readonly currentLeaderEpoch: number
      /** Milliseconds, or one of {@link LIST_OFFSETS_AT}. */
      readonly timestamp: number
    }[]
  }[]
  /** How long the broker may look in tiered storage; sent from version 10 on. */
  readonly timeoutMs: number
}

export type ListOffsetsPartition = {
  readonly partitionIndex: number
  readonly errorCode: number
  readonly timestamp: number
  /** -1 where there is none. */
  readonly offset: number
  readonly leaderEpoch: number
}
export type ListOffsetsResponse = {
  readonly throttleTimeMs: number
  readonly topics: readonly { readonly name: string; readonly partitions: readonly ListOffsetsPartition[] }[]
}

export function encodeListOffsetsRequest(version: number, request: ListOffsetsRequest): Buffer {
  return encodeBody(LIST_OFFSETS, version, writer => {
    writer.int32(CONSUMER).int8(request.isolationLevel)
    writer.array(request.topics, topic => {
      writer.string(topic.name)
      writer.array(topic.partitions, partition => {
        writer.int32(partition.partitionIndex).int32(partition.currentLeaderEpoch).int64(partition.timestamp).tags()
      })
      writer.tags()
    })
    if (version >= 10) writer.int32(request.timeoutMs)
    writer.tags()
  })
}

export function decodeListOffsetsResponse(version: number, body: Buffer): ListOffsetsResponse {
  return decodeBody(LIST_OFFSETS, version, body, reader => {
    const throttleTimeMs = reader.int32()
    const topics = reader.array(() => {
      const name = reader.string()
      const partitions = reader.array(() => {
        const partition = {
          partitionIndex: reader.int32(),
          errorCode: reader.int16(),
          timestamp: reader.timestamp(),
          offset: reader.int64(),
          leaderEpoch: reader.int32(),
        }
        reader.tags()
        return partition
      })
      reader.tags()
      return { name, partitions }
    })
    reader.tags()
    return { throttleTimeMs, topics }
  })
}
