import type { Api } from '../../protocol/api.ts'
import { decodeBody, encodeBody } from '../../protocol/message.ts'
import type { TransactionalWriter } from './add-partitions-to-txn.ts'

/** Commits or aborts a transaction. Sent again by the same producer it is answered as it was: an answer that got lost is asked for so. */
const END_TXN: Api = { name: 'EndTxn', apiKey: 26, minVersion: 0, maxVersion: 3, firstFlexibleVersion: 3 }

export type EndTxnRequest = TransactionalWriter & { readonly committed: boolean }
export type EndTxnResponse = { readonly throttleTimeMs: number; readonly errorCode: number }

function encodeEndTxnRequest(version: number, request: EndTxnRequest): Buffer {
  return encodeBody(END_TXN, version, writer => {
    writer.string(request.transactionalId).int64(request.producerId).int16(request.producerEpoch).boolean(request.committed).tags()
  })
}

function decodeEndTxnResponse(version: number, body: Buffer): EndTxnResponse {
  return decodeBody(END_TXN, version, body, reader => {
    const response = { throttleTimeMs: reader.int32(), errorCode: reader.int16() }
    reader.tags()
    return response
  })
}

/** The request with its codec. */
export const END_TXN_CALL = { api: END_TXN, floor: 0, encode: encodeEndTxnRequest, decode: decodeEndTxnResponse }
