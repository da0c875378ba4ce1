import type { ApiVersionsResponse } from '../../../connectors/kafka/protocol/api-versions.ts'
import type { FetchPartition, FetchResponse } from '../../../connectors/kafka/protocol/fetch.ts'
import type { ListOffsetsResponse } from '../../../connectors/kafka/protocol/list-offsets.ts'
import type { MetadataResponse } from '../../../connectors/kafka/protocol/metadata.ts'
import type { OffsetForLeaderEpochResponse } from '../../../connectors/kafka/protocol/offset-for-leader-epoch.ts'
import type { ScriptedPartition, ScriptedTopic } from './scripted-topic.ts'
import { type RequestOf, SERVED } from './wire.ts'

/** What all brokers of a scripted cluster know. */
export type ScriptedState = {
  readonly addresses: ReadonlyMap<number, { readonly host: string; readonly port: number }>
  readonly topics: Map<string, ScriptedTopic>
}

const NONE = 0
const OFFSET_OUT_OF_RANGE = 1
const UNKNOWN_TOPIC_OR_PARTITION = 3
const NOT_LEADER_OR_FOLLOWER = 6
const FENCED_LEADER_EPOCH = 74
const UNKNOWN_LEADER_EPOCH = 75
const UNKNOWN_TOPIC_ID = 100

/** Every version that the sources speak. */
export function apiVersionsResponse(): ApiVersionsResponse {
  const apiKeys = Object.values(SERVED).map(({ api: { apiKey, minVersion, maxVersion } }) => ({ apiKey, minVersion, maxVersion }))
  return { errorCode: NONE, apiKeys, throttleTimeMs: 0 }
}

export function metadataResponse(state: ScriptedState, request: RequestOf<'Metadata'>): MetadataResponse {
  const names = request.topics ?? [...state.topics.keys()]
  return {
    throttleTimeMs: 0,
    brokers: Array.from(state.addresses, ([nodeId, address]) => ({ nodeId, ...address, rack: null })),
    clusterId: 'scripted',
    controllerId: 1,
    errorCode: NONE,
    topics: names.map(name => {
      const topic = state.topics.get(name)
      if (topic === undefined) return { errorCode: UNKNOWN_TOPIC_OR_PARTITION, name, isInternal: false, partitions: [] }
      const partitions = topic.partitions.map(({ leaderId, leaderEpoch }, partitionIndex) => ({
        ...{ errorCode: NONE, partitionIndex, leaderId, leaderEpoch },
        ...{ replicaNodes: [leaderId], isrNodes: [leaderId], offlineReplicas: [] },
      }))
      return { errorCode: NONE, name, isInternal: false, partitions, ...(topic.topicId !== undefined && { topicId: topic.topicId }) }
    }),
  }
}

export function listOffsetsResponse(state: ScriptedState, nodeId: number, request: RequestOf<'ListOffsets'>): ListOffsetsResponse {
  const topics = request.topics.map(({ name, partitions }) => ({
    name,
    partitions: partitions.map(({ partitionIndex, currentLeaderEpoch, timestamp }) => {
      const partition = state.topics.get(name)?.partitions[partitionIndex]
      const errorCode = errorFor(partition, nodeId, currentLeaderEpoch)
      if (partition === undefined || errorCode !== NONE) return { partitionIndex, errorCode, timestamp: -1, offset: -1, leaderEpoch: -1 }
      const { logStart, lastStableOffset, highWatermark, leaderEpoch } = partition
      const latest = request.isolationLevel === 1 ? lastStableOffset : highWatermark
      return { partitionIndex, errorCode, timestamp: -1, offset: timestamp === -2 ? logStart : latest, leaderEpoch }
    }),
  }))
  return { throttleTimeMs: 0, topics }
}

/** Nothing yet: undefined where the fetch may wait for records. */
export function fetchResponse(
  state: ScriptedState,
  nodeId: number,
  request: RequestOf<'Fetch'>,
  mayWait: boolean,
): FetchResponse | undefined {
  let hasNews = false
  const responses = request.topics.map(({ topic, topicId, partitions }) => ({
    ...(topicId !== undefined && { topicId }),
    ...(topic !== undefined && { topic }),
    partitions: partitions.map(asked => {
      const partition = topicOf(state, topic, topicId)?.partitions[asked.partition]
      const answer = fetchPartition(nodeId, partition, asked, request, topicId !== undefined)
      if (answer.errorCode !== NONE || answer.records.length > 0) hasNews = true
      return answer
    }),
  }))
  if (!hasNews && mayWait) return undefined
  return { throttleTimeMs: 0, errorCode: NONE, sessionId: 0, responses, nodeEndpoints: [] }
}

export function leaderEpochResponse(
  state: ScriptedState,
  nodeId: number,
  request: RequestOf<'OffsetForLeaderEpoch'>,
): OffsetForLeaderEpochResponse {
  const topics = request.topics.map(({ topic, partitions }) => ({
    topic,
    partitions: partitions.map(({ partition: index, currentLeaderEpoch, leaderEpoch }) => {
      const partition = state.topics.get(topic)?.partitions[index]
      const errorCode = errorFor(partition, nodeId, currentLeaderEpoch)
      if (partition === undefined || errorCode !== NONE) return { errorCode, partition: index, leaderEpoch: -1, endOffset: -1 }
      const endOffset = partition.epochEnds.get(leaderEpoch) ?? partition.highWatermark
      return { errorCode, partition: index, leaderEpoch, endOffset }
    }),
  }))
  return { throttleTimeMs: 0, topics }
}

function topicOf(state: ScriptedState, name: string | undefined, topicId: string | undefined): ScriptedTopic | undefined {
  if (name !== undefined) return state.topics.get(name)
  return [...state.topics.values()].find(topic => topic.topicId === topicId)
}

function errorFor(partition: ScriptedPartition | undefined, nodeId: number, currentLeaderEpoch: number, isById = false): number {
  if (partition === undefined) return isById ? UNKNOWN_TOPIC_ID : UNKNOWN_TOPIC_OR_PARTITION
  if (currentLeaderEpoch >= 0 && currentLeaderEpoch < partition.leaderEpoch) return FENCED_LEADER_EPOCH
  if (currentLeaderEpoch > partition.leaderEpoch) return UNKNOWN_LEADER_EPOCH
  return partition.leaderId === nodeId ? NONE : NOT_LEADER_OR_FOLLOWER
}

function fetchPartition(
  nodeId: number,
  partition: ScriptedPartition | undefined,
  asked: RequestOf<'Fetch'>['topics'][0]['partitions'][0],
  { isolationLevel }: RequestOf<'Fetch'>,
  isById: boolean,
): FetchPartition {
  const empty = {
    ...{ partitionIndex: asked.partition, highWatermark: -1, lastStableOffset: -1, logStartOffset: -1 },
    ...{ abortedTransactions: [], preferredReadReplica: -1, records: Buffer.alloc(0) },
  }
  const errorCode = errorFor(partition, nodeId, asked.currentLeaderEpoch, isById)
  if (partition === undefined || errorCode !== NONE) return { ...empty, errorCode }
  const { highWatermark, lastStableOffset, logStart: logStartOffset, aborted: abortedTransactions } = partition
  const whole = { ...empty, errorCode: NONE, highWatermark, lastStableOffset, logStartOffset, abortedTransactions }
  if (asked.fetchOffset < logStartOffset || asked.fetchOffset > highWatermark) return { ...whole, errorCode: OFFSET_OUT_OF_RANGE }
  const end = isolationLevel === 1 ? lastStableOffset : highWatermark
  const records: Buffer[] = []
  let bytes = 0
  for (const batch of partition.batches) {
    if (batch.lastOffset < asked.fetchOffset || batch.lastOffset >= end) continue
    // The first batch comes whole, whatever the limit (KIP-74); after it the limit cuts.
    if (records.length > 0 && bytes + batch.bytes.length > asked.partitionMaxBytes) break
    records.push(batch.bytes)
    bytes += batch.bytes.length
  }
  return { ...whole, records: Buffer.concat(records) }
}
