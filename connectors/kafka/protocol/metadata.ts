import type { Api } from './api.ts'
import { decodeBody, encodeBody } from './message.ts'
import type { Reader } from './reader.ts'

/** Brokers, topics, and who leads which partition. */
export const METADATA: Api = { name: 'Metadata', apiKey: 3, minVersion: 7, maxVersion: 13, firstFlexibleVersion: 9 }

const NO_TOPIC_ID = 'AAAAAAAAAAAAAAAAAAAAAA'

/** Null asks for all topics. A topic that is not there is never made by asking for it. */
export type MetadataRequest = { readonly topics: readonly string[] | null }

export type MetadataBroker = { readonly nodeId: number; readonly host: string; readonly port: number; readonly rack: string | null }
export type MetadataPartition = {
  readonly errorCode: number
  readonly partitionIndex: number
  /** -1 while there is none. */
  readonly leaderId: number
  readonly leaderEpoch: number
  readonly replicaNodes: readonly number[]
  readonly isrNodes: readonly number[]
  readonly offlineReplicas: readonly number[]
}
export type MetadataTopic = {
  readonly errorCode: number
  readonly name: string | null
  /** From version 10 on, and only where the cluster has ids. */
  readonly topicId?: string
  readonly isInternal: boolean
  readonly partitions: readonly MetadataPartition[]
}
export type MetadataResponse = {
  readonly throttleTimeMs: number
  readonly brokers: readonly MetadataBroker[]
  readonly clusterId: string | null
  readonly controllerId: number
  readonly topics: readonly MetadataTopic[]
  readonly errorCode: number
}

export function encodeMetadataRequest(version: number, request: MetadataRequest): Buffer {
  return encodeBody(METADATA, version, writer => {
    writer.array(request.topics, name => {
      if (version >= 10) writer.topicId(NO_TOPIC_ID)
      writer.string(name).tags()
    })
    writer.boolean(false)
    // Nobody needs to know what this client may do.
    if (version >= 8 && version <= 10) writer.boolean(false)
    if (version >= 8) writer.boolean(false)
    writer.tags()
  })
}

export function decodeMetadataResponse(version: number, body: Buffer): MetadataResponse {
  return decodeBody(METADATA, version, body, reader => {
    const throttleTimeMs = reader.int32()
    const brokers = reader.array(() => readBroker(reader))
    const clusterId = reader.nullableString()
    const controllerId = reader.int32()
    const topics = reader.array(() => readTopic(reader, version))
    if (version >= 8 && version <= 10) reader.int32()
    const errorCode = version >= 13 ? reader.int16() : 0
    reader.tags()
    return { throttleTimeMs, brokers, clusterId, controllerId, topics, errorCode }
  })
}

function readBroker(reader: Reader): MetadataBroker {
  const broker = { nodeId: reader.int32(), host: reader.string(), port: reader.int32(), rack: reader.nullableString() }
  reader.tags()
  return broker
}

function readTopic(reader: Reader, version: number): MetadataTopic {
  const errorCode = reader.int16()
  const name = reader.nullableString()
  const topicId = version >= 10 ? reader.topicId() : NO_TOPIC_ID
  const isInternal = reader.boolean()
  const partitions = reader.array(() => readPartition(reader))
  if (version >= 8) reader.int32()
  reader.tags()
  return { errorCode, name, ...(topicId === NO_TOPIC_ID ? {} : { topicId }), isInternal, partitions }
}

function readPartition(reader: Reader): MetadataPartition {
  const partition = {
    errorCode: reader.int16(),
    partitionIndex: reader.int32(),
    leaderId: reader.int32(),
    leaderEpoch: reader.int32(),
    replicaNodes: reader.array(() => reader.int32()),
    isrNodes: reader.array(() => reader.int32()),
    offlineReplicas: reader.array(() => reader.int32()),
  }
  reader.tags()
  return partition
}
