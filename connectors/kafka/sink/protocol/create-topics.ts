import type { Api } from '../../protocol/api.ts'
import { decodeBody, encodeBody } from '../../protocol/message.ts'

/** Makes topics. Sent to the controller; brokers with KRaft pass it on. */
const CREATE_TOPICS: Api = { name: 'CreateTopics', apiKey: 19, minVersion: 2, maxVersion: 4, firstFlexibleVersion: 5 }

export type CreateTopicsRequest = {
  readonly topics: readonly {
    readonly name: string
    readonly partitions: number
    readonly replicas: number
    readonly config: Readonly<Record<string, string>>
  }[]
  readonly timeoutMs: number
}
export type CreateTopicsResponse = {
  readonly throttleTimeMs: number
  readonly topics: readonly { readonly name: string; readonly errorCode: number; readonly errorMessage: string | null }[]
}

function encodeCreateTopicsRequest(version: number, { topics, timeoutMs }: CreateTopicsRequest): Buffer {
  return encodeBody(CREATE_TOPICS, version, writer => {
    writer.array(topics, ({ name, partitions, replicas, config }) => {
      writer.string(name).int32(partitions).int16(replicas)
      // No assignment of ours.
      writer.array([], () => {})
      writer.array(Object.entries(config), ([entry, value]) => writer.string(entry).nullableString(value))
    })
    writer.int32(timeoutMs).boolean(false)
  })
}

function decodeCreateTopicsResponse(version: number, body: Buffer): CreateTopicsResponse {
  return decodeBody(CREATE_TOPICS, version, body, reader => {
    const throttleTimeMs = reader.int32()
    const topics = reader.array(() => ({ name: reader.string(), errorCode: reader.int16(), errorMessage: reader.nullableString() }))
    return { throttleTimeMs, topics }
  })
}

/** The request with its codec. */
export const CREATE_TOPICS_CALL = { api: CREATE_TOPICS, floor: 2, encode: encodeCreateTopicsRequest, decode: decodeCreateTopicsResponse }
