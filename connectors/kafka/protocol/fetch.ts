import type { AbortedTransaction } from '../record-batch/aborted-transactions.ts'
import type { Api } from './api.ts'
import { decodeBody, encodeBody } from './message.ts'
import type { Reader } from './reader.ts'
import type { Writer } from './writer.ts'

/** Records. Up to version 12 topics go by their names, then by their ids: a topic that was made again is another (KIP-516). */
export const FETCH: Api = { name: 'Fetch', apiKey: 1, minVersion: 4, maxVersion: 17, firstFlexibleVersion: 12 }

/** From here on a request names topics by `topicId`. */
export const FETCH_BY_TOPIC_ID = 13

const CONSUMER = -1
const UNKNOWN = -1
/** No fetch session (KIP-227): every request says all it wants. */
const SESSIONLESS = { id: 0, epoch: -1 } as const

export type FetchPartitionRequest = {
  readonly partition: number
  /** -1 leaves the leader's epoch unchecked. */
  readonly currentLeaderEpoch: number
  readonly fetchOffset: number
  /** The epoch of the batch in front of `fetchOffset`, or -1: from version 12 on the broker finds a truncation by it. */
  readonly lastFetchedEpoch: number
  readonly partitionMaxBytes: number
}
export type FetchRequest = {
  readonly maxWaitMs: number
  readonly minBytes: number
  readonly maxBytes: number
  /** 0: all records; 1: committed ones. */
  readonly isolationLevel: 0 | 1
  readonly topics: readonly {
    /** Sent below version 13. */
    readonly topic: string
    /** Sent from version 13 on. */
    readonly topicId?: string | undefined
    readonly partitions: readonly FetchPartitionRequest[]
  }[]
  /** Where the client stands; empty reads from leaders only. Sent from version 11 on. */
  readonly rackId: string
}

export type FetchPartition = {
  readonly partitionIndex: number
  readonly errorCode: number
  readonly highWatermark: number
  readonly lastStableOffset: number
  /** -1 below version 5, or where the broker does not say. */
  readonly logStartOffset: number
  readonly abortedTransactions: readonly AbortedTransaction[] | null
  /** The broker to read from instead, or -1. */
  readonly preferredReadReplica: number
  /** A view of the response. */
  readonly records: Buffer
  /** Set where the log was truncated below the offset asked for. */
  readonly divergingEpoch?: { readonly epoch: number; readonly endOffset: number }
  /** Set where this broker leads no longer. */
  readonly currentLeader?: { readonly leaderId: number; readonly leaderEpoch: number }
}
export type FetchTopic = { readonly topic?: string; readonly topicId?: string; readonly partitions: readonly FetchPartition[] }
export type NodeEndpoint = { readonly nodeId: number; readonly host: string; readonly port: number; readonly rack: string | null }
export type FetchResponse = {
  readonly throttleTimeMs: number
  readonly errorCode: number
  readonly sessionId: number
  /** By name below version 13, by id from there on. */
  readonly responses: readonly FetchTopic[]
  /** Where the leaders named by `currentLeader` are reached (KIP-951). */
  readonly nodeEndpoints: readonly NodeEndpoint[]
}

/** Throws `UnsupportedError` where a topic has no id and the version wants one. */
export function encodeFetchRequest(version: number, request: FetchRequest): Buffer {
  return encodeBody(FETCH, version, writer => {
    if (version <= 14) writer.int32(CONSUMER)
    writer.int32(request.maxWaitMs).int32(request.minBytes).int32(request.maxBytes).int8(request.isolationLevel)
    if (version >= 7) writer.int32(SESSIONLESS.id).int32(SESSIONLESS.epoch)
    writer.array(request.topics, topic => {
      if (version >= FETCH_BY_TOPIC_ID) writer.topicId(topic.topicId ?? '')
      else writer.string(topic.topic)
      writer.array(topic.partitions, partition => writePartition(writer, version, partition))
      writer.tags()
    })
    if (version >= 7) writer.array([], () => undefined)
    if (version >= 11) writer.string(request.rackId)
    writer.tags()
  })
}

function writePartition(writer: Writer, version: number, partition: FetchPartitionRequest): void {
  writer.int32(partition.partition)
  if (version >= 9) writer.int32(partition.currentLeaderEpoch)
  writer.int64(partition.fetchOffset)
  if (version >= 12) writer.int32(partition.lastFetchedEpoch)
  if (version >= 5) writer.int64(UNKNOWN)
  writer.int32(partition.partitionMaxBytes).tags()
}

/** The records stay in `body`: nothing of them is copied. */
export function decodeFetchResponse(version: number, body: Buffer): FetchResponse {
  return decodeBody(FETCH, version, body, reader => {
    const throttleTimeMs = reader.int32()
    const errorCode = version >= 7 ? reader.int16() : 0
    const sessionId = version >= 7 ? reader.int32() : 0
    const responses = reader.array(() => readTopic(reader, version))
    let nodeEndpoints: NodeEndpoint[] = []
    reader.tags(tag => {
      if (tag === 0 && version >= 16) nodeEndpoints = reader.array(() => readEndpoint(reader))
    })
    return { throttleTimeMs, errorCode, sessionId, responses, nodeEndpoints }
  })
}

function readTopic(reader: Reader, version: number): FetchTopic {
  const name = version >= FETCH_BY_TOPIC_ID ? { topicId: reader.topicId() } : { topic: reader.string() }
  const partitions = reader.array(() => readPartition(reader, version))
  reader.tags()
  return { ...name, partitions }
}

function readPartition(reader: Reader, version: number): FetchPartition {
  const partition = {
    partitionIndex: reader.int32(),
    errorCode: reader.int16(),
    highWatermark: reader.int64(),
    lastStableOffset: reader.int64(),
    logStartOffset: version >= 5 ? reader.int64() : UNKNOWN,
    abortedTransactions: reader.nullableArray(() => {
      const aborted = { producerId: reader.id64(), firstOffset: reader.int64() }
      reader.tags()
      return aborted
    }),
    preferredReadReplica: version >= 11 ? reader.int32() : UNKNOWN,
    records: reader.bytes(),
  }
  let divergingEpoch: FetchPartition['divergingEpoch']
  let currentLeader: FetchPartition['currentLeader']
  reader.tags(tag => {
    if (tag === 0) divergingEpoch = { epoch: reader.int32(), endOffset: reader.int64() }
    else if (tag === 1) currentLeader = { leaderId: reader.int32(), leaderEpoch: reader.int32() }
  })
  return { ...partition, ...(divergingEpoch && { divergingEpoch }), ...(currentLeader && { currentLeader }) }
}

function readEndpoint(reader: Reader): NodeEndpoint {
  const endpoint = { nodeId: reader.int32(), host: reader.string(), port: reader.int32(), rack: reader.nullableString() }
  reader.tags()
  return endpoint
}
