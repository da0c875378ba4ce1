import type { Api } from './api.ts'
import { decodeBody, encodeBody } from './message.ts'

/** Writes what a consumer group has committed. From version 10 on topics go by their ids, and version 6 is the first with leader epochs. */
export const OFFSET_COMMIT: Api = { name: 'OffsetCommit', apiKey: 8, minVersion: 6, maxVersion: 9, firstFlexibleVersion: 8 }

/** The generation of whoever commits without being a member, with an empty member id: a simple consumer (KIP-62, `assign` in Java). */
const NO_GENERATION = -1

export type OffsetCommitRequest = {
  readonly group: string
  readonly topics: readonly {
    readonly name: string
    /** `leaderEpoch` is -1 where it is not known. */
    readonly partitions: readonly { readonly partitionIndex: number; readonly offset: number; readonly leaderEpoch: number }[]
  }[]
}

export type OffsetCommitResponse = {
  readonly throttleTimeMs: number
  readonly topics: readonly {
    readonly name: string
    readonly partitions: readonly { readonly partitionIndex: number; readonly errorCode: number }[]
  }[]
}

/** Always of no member of the group. */
export function encodeOffsetCommitRequest(version: number, { group, topics }: OffsetCommitRequest): Buffer {
  return encodeBody(OFFSET_COMMIT, version, writer => {
    writer.string(group)
    writer.int32(NO_GENERATION)
    writer.string('')
    if (version >= 7) writer.nullableString(null)
    writer.array(topics, ({ name, partitions }) => {
      writer.string(name)
      writer.array(partitions, ({ partitionIndex, offset, leaderEpoch }) => {
        writer.int32(partitionIndex).int64(offset).int32(leaderEpoch).nullableString(null).tags()
      })
      writer.tags()
    })
    writer.tags()
  })
}

export function decodeOffsetCommitResponse(version: number, body: Buffer): OffsetCommitResponse {
  return decodeBody(OFFSET_COMMIT, version, body, reader => {
    const throttleTimeMs = reader.int32()
    const topics = reader.array(() => {
      const name = reader.string()
      const partitions = reader.array(() => {
        const partition = { partitionIndex: reader.int32(), errorCode: reader.int16() }
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
