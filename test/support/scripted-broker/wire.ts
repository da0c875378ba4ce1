import { type Api, isFlexible } from '../../../connectors/kafka/protocol/api.ts'
import { API_VERSIONS, type ApiVersionsRequest, type ApiVersionsResponse } from '../../../connectors/kafka/protocol/api-versions.ts'
import {
  FETCH,
  FETCH_BY_TOPIC_ID,
  type FetchPartition,
  type FetchRequest,
  type FetchResponse,
} from '../../../connectors/kafka/protocol/fetch.ts'
import { LIST_OFFSETS, type ListOffsetsRequest, type ListOffsetsResponse } from '../../../connectors/kafka/protocol/list-offsets.ts'
import { METADATA, type MetadataRequest, type MetadataResponse } from '../../../connectors/kafka/protocol/metadata.ts'
import {
  OFFSET_FOR_LEADER_EPOCH,
  type OffsetForLeaderEpochRequest,
  type OffsetForLeaderEpochResponse,
} from '../../../connectors/kafka/protocol/offset-for-leader-epoch.ts'
import type { Reader } from '../../../connectors/kafka/protocol/reader.ts'
import { Writer } from '../../../connectors/kafka/protocol/writer.ts'

// The broker's half of the wire format: what the sources write is read here and the other way round, field by field from Kafka's own
// message definitions, so that a test with a scripted broker goes over a real socket in the real format.

const NO_TOPIC_ID = 'AAAAAAAAAAAAAAAAAAAAAA'

/** The requests that a scripted broker knows, each with its codec on the broker's side. */
export const SERVED = {
  ApiVersions: { api: API_VERSIONS, decode: readApiVersions, encode: encodeApiVersions },
  Metadata: { api: METADATA, decode: readMetadata, encode: encodeMetadata },
  ListOffsets: { api: LIST_OFFSETS, decode: readListOffsets, encode: encodeListOffsets },
  Fetch: { api: FETCH, decode: readFetch, encode: encodeFetch },
  OffsetForLeaderEpoch: { api: OFFSET_FOR_LEADER_EPOCH, decode: readLeaderEpochs, encode: encodeLeaderEpochs },
} as const

export type ServedName = keyof typeof SERVED
export type RequestOf<Name extends ServedName> = ReturnType<(typeof SERVED)[Name]['decode']>
export type ResponseOf<Name extends ServedName> = Parameters<(typeof SERVED)[Name]['encode']>[1]

/** A response as it goes over the wire: size, correlation id, tags where the header has them, body. */
export function encodeResponseFrame(api: Api, version: number, correlationId: number, body: Buffer): Buffer {
  const header = new Writer(false).int32(0).int32(correlationId)
  if (isFlexible(api, version) && api !== API_VERSIONS) header.uvarint(0)
  const frame = Buffer.concat([header.finish(), body])
  frame.writeInt32BE(frame.length - 4, 0)
  return frame
}

function readApiVersions(version: number, reader: Reader): ApiVersionsRequest {
  if (version < 3) return { clientSoftwareName: '', clientSoftwareVersion: '' }
  const request = { clientSoftwareName: reader.string(), clientSoftwareVersion: reader.string() }
  reader.tags()
  return request
}

function encodeApiVersions(version: number, response: ApiVersionsResponse): Buffer {
  const writer = new Writer(isFlexible(API_VERSIONS, version)).int16(response.errorCode)
  writer.array(response.apiKeys, ({ apiKey, minVersion, maxVersion }) => writer.int16(apiKey).int16(minVersion).int16(maxVersion).tags())
  if (version >= 1) writer.int32(response.throttleTimeMs)
  return writer.tags().finish()
}

function readMetadata(version: number, reader: Reader): MetadataRequest {
  const topics = reader.nullableArray(() => {
    if (version >= 10) reader.topicId()
    const name = reader.string()
    reader.tags()
    return name
  })
  reader.rest()
  return { topics }
}

function encodeMetadata(version: number, response: MetadataResponse): Buffer {
  const writer = new Writer(isFlexible(METADATA, version)).int32(response.throttleTimeMs)
  writer.array(response.brokers, ({ nodeId, host, port, rack }) =>
    writer.int32(nodeId).string(host).int32(port).nullableString(rack).tags(),
  )
  writer.nullableString(response.clusterId).int32(response.controllerId)
  writer.array(response.topics, topic => {
    writer.int16(topic.errorCode).nullableString(topic.name)
    if (version >= 10) writer.topicId(topic.topicId ?? NO_TOPIC_ID)
    writer.boolean(topic.isInternal)
    writer.array(topic.partitions, partition => {
      writer.int16(partition.errorCode).int32(partition.partitionIndex).int32(partition.leaderId).int32(partition.leaderEpoch)
      for (const nodes of [partition.replicaNodes, partition.isrNodes, partition.offlineReplicas]) {
        writer.array(nodes, node => writer.int32(node))
      }
      writer.tags()
    })
    if (version >= 8) writer.int32(0)
    writer.tags()
  })
  if (version >= 8 && version <= 10) writer.int32(0)
  if (version >= 13) writer.int16(response.errorCode)
  return writer.tags().finish()
}

function readListOffsets(_version: number, reader: Reader): Omit<ListOffsetsRequest, 'timeoutMs'> {
  reader.int32()
  const isolationLevel = reader.int8() === 1 ? 1 : 0
  const topics = reader.array(() => {
    const name = reader.string()
    const partitions = reader.array(() => {
      const partition = { partitionIndex: reader.int32(), currentLeaderEpoch: reader.int32(), timestamp: reader.timestamp() }
      reader.tags()
      return partition
    })
    reader.tags()
    return { name, partitions }
  })
  return { isolationLevel, topics }
}

function encodeListOffsets(version: number, response: ListOffsetsResponse): Buffer {
  const writer = new Writer(isFlexible(LIST_OFFSETS, version)).int32(response.throttleTimeMs)
  writer.array(response.topics, topic => {
    writer.string(topic.name)
    writer.array(topic.partitions, ({ partitionIndex, errorCode, timestamp, offset, leaderEpoch }) =>
      writer.int32(partitionIndex).int16(errorCode).int64(timestamp).int64(offset).int32(leaderEpoch).tags(),
    )
    writer.tags()
  })
  return writer.tags().finish()
}

function readFetch(
  version: number,
  reader: Reader,
): Omit<FetchRequest, 'rackId' | 'topics'> & {
  readonly topics: readonly {
    readonly topic?: string
    readonly topicId?: string
    readonly partitions: FetchRequest['topics'][0]['partitions']
  }[]
} {
  if (version <= 14) reader.int32()
  const limits = { maxWaitMs: reader.int32(), minBytes: reader.int32(), maxBytes: reader.int32() }
  const isolationLevel = reader.int8() === 1 ? 1 : 0
  if (version >= 7) {
    reader.int32()
    reader.int32()
  }
  const topics = reader.array(() => {
    const name = version >= FETCH_BY_TOPIC_ID ? { topicId: reader.topicId() } : { topic: reader.string() }
    const partitions = reader.array(() => {
      const partition = reader.int32()
      const currentLeaderEpoch = version >= 9 ? reader.int32() : -1
      const fetchOffset = reader.int64()
      const lastFetchedEpoch = version >= 12 ? reader.int32() : -1
      if (version >= 5) reader.int64()
      const partitionMaxBytes = reader.int32()
      reader.tags()
      return { partition, currentLeaderEpoch, fetchOffset, lastFetchedEpoch, partitionMaxBytes }
    })
    reader.tags()
    return { ...name, partitions }
  })
  return { ...limits, isolationLevel, topics }
}

function encodeFetch(version: number, response: FetchResponse): Buffer {
  const flexible = isFlexible(FETCH, version)
  const parts: Buffer[] = []
  let writer = new Writer(flexible).int32(response.throttleTimeMs)
  if (version >= 7) writer.int16(response.errorCode).int32(response.sessionId)
  // The records go in as they are: they may be megabytes.
  const addBytes = (bytes: Buffer) => {
    if (flexible) writer.uvarint(bytes.length + 1)
    else writer.int32(bytes.length)
    parts.push(writer.finish(), bytes)
    writer = new Writer(flexible)
  }
  writer.array(response.responses, topic => {
    if (version >= FETCH_BY_TOPIC_ID) writer.topicId(topic.topicId ?? NO_TOPIC_ID)
    else writer.string(topic.topic ?? '')
    writer.array(topic.partitions, partition => {
      writeFetchPartition(writer, version, partition)
      addBytes(partition.records)
      writeTags(writer, version >= 12, [
        [
          0,
          partition.divergingEpoch &&
            new Writer(true).int32(partition.divergingEpoch.epoch).int64(partition.divergingEpoch.endOffset).tags(),
        ],
        [
          1,
          partition.currentLeader &&
            new Writer(true).int32(partition.currentLeader.leaderId).int32(partition.currentLeader.leaderEpoch).tags(),
        ],
      ])
    })
    writer.tags()
  })
  const endpoints = new Writer(true)
  endpoints.array(response.nodeEndpoints, ({ nodeId, host, port, rack }) =>
    endpoints.int32(nodeId).string(host).int32(port).nullableString(rack).tags(),
  )
  writeTags(writer, flexible, [[0, version >= 16 && response.nodeEndpoints.length > 0 ? endpoints : undefined]])
  return Buffer.concat([...parts, writer.finish()])
}

function writeFetchPartition(writer: Writer, version: number, partition: FetchPartition): void {
  writer.int32(partition.partitionIndex).int16(partition.errorCode).int64(partition.highWatermark).int64(partition.lastStableOffset)
  if (version >= 5) writer.int64(partition.logStartOffset)
  writer.array(partition.abortedTransactions, ({ producerId, firstOffset }) => writer.int64(Number(producerId)).int64(firstOffset).tags())
  if (version >= 11) writer.int32(partition.preferredReadReplica)
}

function writeTags(writer: Writer, flexible: boolean, tags: readonly (readonly [tag: number, content: Writer | undefined])[]): void {
  if (!flexible) return
  const present = tags.flatMap(([tag, content]) => (content === undefined ? [] : [[tag, content.finish()] as const]))
  writer.uvarint(present.length)
  for (const [tag, bytes] of present) {
    writer.uvarint(tag).uvarint(bytes.length)
    for (const byte of bytes) writer.int8((byte << 24) >> 24)
  }
}

function readLeaderEpochs(version: number, reader: Reader): OffsetForLeaderEpochRequest {
  if (version >= 3) reader.int32()
  const topics = reader.array(() => {
    const topic = reader.string()
    const partitions = reader.array(() => {
      const partition = { partition: reader.int32(), currentLeaderEpoch: reader.int32(), leaderEpoch: reader.int32() }
      reader.tags()
      return partition
    })
    reader.tags()
    return { topic, partitions }
  })
  return { topics }
}

function encodeLeaderEpochs(version: number, response: OffsetForLeaderEpochResponse): Buffer {
  const writer = new Writer(isFlexible(OFFSET_FOR_LEADER_EPOCH, version)).int32(response.throttleTimeMs)
  writer.array(response.topics, topic => {
    writer.string(topic.topic)
    writer.array(topic.partitions, ({ errorCode, partition, leaderEpoch, endOffset }) =>
      writer.int16(errorCode).int32(partition).int32(leaderEpoch).int64(endOffset).tags(),
    )
    writer.tags()
  })
  return writer.tags().finish()
}
