import type { Api } from '../../protocol/api.ts'
import { decodeBody, encodeBody } from '../../protocol/message.ts'

/**
 * Takes a transactional id over: what another producer of it has open is aborted, and whatever that one sends from then on is refused. The answer
 * waits until the transaction before is through, so its markers are in the logs.
 */
const INIT_PRODUCER_ID: Api = { name: 'InitProducerId', apiKey: 22, minVersion: 0, maxVersion: 4, firstFlexibleVersion: 2 }

const NONE = -1

export type InitProducerIdRequest = {
  readonly transactionalId: string
  readonly transactionTimeoutMs: number
  /** Only where the id is still this producer's (KIP-360); sent from version 3 on. */
  readonly held?: { readonly producerId: number; readonly producerEpoch: number }
}
export type InitProducerIdResponse = {
  readonly throttleTimeMs: number
  readonly errorCode: number
  readonly producerId: number
  readonly producerEpoch: number
}

function encodeInitProducerIdRequest(version: number, request: InitProducerIdRequest): Buffer {
  const { transactionalId, transactionTimeoutMs, held } = request
  return encodeBody(INIT_PRODUCER_ID, version, writer => {
    writer.nullableString(transactionalId).int32(transactionTimeoutMs)
    // Without them: whoever holds it, it is mine now.
    if (version >= 3) writer.int64(held?.producerId ?? NONE).int16(held?.producerEpoch ?? NONE)
    writer.tags()
  })
}

function decodeInitProducerIdResponse(version: number, body: Buffer): InitProducerIdResponse {
  return decodeBody(INIT_PRODUCER_ID, version, body, reader => {
    const response = {
      throttleTimeMs: reader.int32(),
      errorCode: reader.int16(),
      producerId: reader.int64(),
      producerEpoch: reader.int16(),
    }
    reader.tags()
    return response
  })
}

/** The request with its codec. */
export const INIT_PRODUCER_ID_CALL = {
  api: INIT_PRODUCER_ID,
  floor: 1,
  encode: encodeInitProducerIdRequest,
  decode: decodeInitProducerIdResponse,
}

/** The same where it says who holds the id: Kafka 2.5 or newer. */
export const RENEW_PRODUCER_ID_CALL = { ...INIT_PRODUCER_ID_CALL, floor: 3 }
