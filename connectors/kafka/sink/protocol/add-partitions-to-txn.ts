import type { TopicPartition } from '../../../../src/core/values.ts'
import type { Api } from '../../protocol/api.ts'
import { decodeBody, encodeBody } from '../../protocol/message.ts'

/** Tells the coordinator which partitions a transaction writes to, before anything is written. The first one begins the transaction. */
const ADD_PARTITIONS_TO_TXN: Api = { name: 'AddPartitionsToTxn', apiKey: 24, minVersion: 0, maxVersion: 3, firstFlexibleVersion: 3 }

/** Who writes: what the coordinator checks every request of a transaction by. */
export type TransactionalWriter = { readonly transactionalId: string; readonly producerId: number; readonly producerEpoch: number }

export type AddPartitionsToTxnRequest = TransactionalWriter & { readonly partitions: readonly TopicPartition[] }
export type AddPartitionsToTxnResponse = {
  readonly throttleTimeMs: number
  readonly results: readonly (TopicPartition & { readonly errorCode: number })[]
}

function encodeAddPartitionsToTxnRequest(version: number, request: AddPartitionsToTxnRequest): Buffer {
  return encodeBody(ADD_PARTITIONS_TO_TXN, version, writer => {
    writer.string(request.transactionalId).int64(request.producerId).int16(request.producerEpoch)
    const byTopic = Map.groupBy(request.partitions, at => at.topic)
    writer.array([...byTopic], ([topic, partitions]) => {
      writer.string(topic)
      writer.array(partitions, ({ partition }) => {
        writer.int32(partition)
      })
      writer.tags()
    })
    writer.tags()
  })
}

function decodeAddPartitionsToTxnResponse(version: number, body: Buffer): AddPartitionsToTxnResponse {
  return decodeBody(ADD_PARTITIONS_TO_TXN, version, body, reader => {
    const throttleTimeMs = reader.int32()
    const topics = reader.array(() => {
      const topic = reader.string()
      const results = reader.array(() => {
        const result = { topic, partition: reader.int32(), errorCode: reader.int16() }
        reader.tags()
        return result
      })
      reader.tags()
      return results
    })
    reader.tags()
    return { throttleTimeMs, results: topics.flat() }
  })
}

/** The request with its codec. */
export const ADD_PARTITIONS_TO_TXN_CALL = {
  api: ADD_PARTITIONS_TO_TXN,
  floor: 0,
  encode: encodeAddPartitionsToTxnRequest,
  decode: decodeAddPartitionsToTxnResponse,
}
