import type { Api } from './api.ts'
import { decodeBody, encodeBody } from './message.ts'
import type { Reader } from './reader.ts'

/** What a consumer group has committed. */
export const OFFSET_FETCH: Api = { name: 'OffsetFetch', apiKey: 9, minVersion: 5, maxVersion: 8, firstFlexibleVersion: 6 }

/** From here on one request asks for several groups. */
const MANY_GROUPS = 8

export type OffsetFetchRequest = {
  readonly group: string
  /** Null asks for everything the group has. */
  readonly topics: readonly { readonly name: string; readonly partitionIndexes: readonly number[] }[] | null
  /** Whether to be refused while a transaction is about to change them (KIP-447); sent from version 7 on. */
  readonly requireStable: boolean
}

export type OffsetFetchPartition = {
  readonly partitionIndex: number
  /** -1 where nothing was committed. */
  readonly committedOffset: number
  readonly committedLeaderEpoch: number
  readonly metadata: string | null
  readonly errorCode: number
}
export type OffsetFetchResponse = {
  readonly throttleTimeMs: number
  readonly errorCode: number
  readonly topics: readonly { readonly name: string; readonly partitions: readonly OffsetFetchPartition[] }[]
}

export function encodeOffsetFetchRequest(version: number, request: OffsetFetchRequest): Buffer {
  return encodeBody(OFFSET_FETCH, version, writer => {
    const writeGroup = () => {
      writer.string(request.group)
      writer.array(request.topics, topic => {
        writer.string(topic.name)
        writer.array(topic.partitionIndexes, partition => writer.int32(partition))
        writer.tags()
      })
    }
    if (version < MANY_GROUPS) writeGroup()
    else {
      writer.array([request], () => {
        writeGroup()
        writer.tags()
      })
    }
    if (version >= 7) writer.boolean(request.requireStable)
    writer.tags()
  })
}

/** The answer for the group that was asked for, the same in every version. */
export function decodeOffsetFetchResponse(version: number, body: Buffer): OffsetFetchResponse {
  return decodeBody(OFFSET_FETCH, version, body, reader => {
    const throttleTimeMs = reader.int32()
    const [group] = version < MANY_GROUPS ? [readGroup(reader)] : reader.array(() => readNamedGroup(reader))
    reader.tags()
    return { throttleTimeMs, errorCode: group?.errorCode ?? 0, topics: group?.topics ?? [] }
  })
}

function readNamedGroup(reader: Reader): Omit<OffsetFetchResponse, 'throttleTimeMs'> {
  reader.string()
  const group = readGroup(reader)
  reader.tags()
  return group
}

function readGroup(reader: Reader): Omit<OffsetFetchResponse, 'throttleTimeMs'> {
  const topics = reader.array(() => {
    const name = reader.string()
    const partitions = reader.array(() => {
      const partition = {
        partitionIndex: reader.int32(),
        committedOffset: reader.int64(),
        committedLeaderEpoch: reader.int32(),
        metadata: reader.nullableString(),
        errorCode: reader.int16(),
      }
      reader.tags()
      return partition
    })
    reader.tags()
    return { name, partitions }
  })
  return { errorCode: reader.int16(), topics }
}
