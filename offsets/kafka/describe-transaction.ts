import { TRANSACTIONAL_ID_NOT_FOUND, throwIfRefused } from './kafka-error.ts'
import { type RawRequest, rawRequest } from './kafkajs-cluster.ts'

/** What the coordinator says of a transactional id, as Kafka names it: `Ongoing`, `PrepareCommit`, …; undefined where it knows no such id. */
export type TransactionState = { readonly state: string | undefined }

/** DescribeTransactions (KIP-664), of Kafka 3.0 and newer. */
export const DESCRIBE_TRANSACTIONS = 65

/** Asks the coordinator of a transactional id how its transaction stands. */
export function describeTransaction(transactionalId: string): RawRequest<TransactionState> {
  const api = { apiKey: DESCRIBE_TRANSACTIONS, apiVersion: 0, apiName: 'DescribeTransactions' }
  return rawRequest(api, () => encode(transactionalId), decode)
}

/** The API has only flexible versions (KIP-482), whose header ends with tagged fields; kafkajs writes one without, so they are sent as the body's first byte. */
function encode(transactionalId: string): Buffer {
  const id = Buffer.from(transactionalId)
  return Buffer.concat([Buffer.from([0, 2]), uvarint(id.length + 1), id, Buffer.from([0])])
}

function decode(body: Buffer): TransactionState {
  // Behind the header's tagged fields, the throttle time, and the number of answers, which is that of the ids.
  const errorAt = 1 + 4 + 1
  const code = body.readInt16BE(errorAt)
  if (code === TRANSACTIONAL_ID_NOT_FOUND) return { state: undefined }
  throwIfRefused(code)
  const id = compactString(body, errorAt + 2)
  return { state: compactString(body, id.end).text }
}

function compactString(body: Buffer, at: number): { readonly text: string; readonly end: number } {
  let length = 0
  let from = at
  for (let shift = 0; ; shift += 7) {
    const byte = body.readUInt8(from++)
    length |= (byte & 0x7f) << shift
    if (byte < 0x80) break
  }
  const end = from + Math.max(0, length - 1)
  return { text: body.toString('utf8', from, end), end }
}

function uvarint(value: number): Buffer {
  const bytes: number[] = []
  let rest = value
  for (; rest >= 0x80; rest >>>= 7) bytes.push((rest & 0x7f) | 0x80)
  return Buffer.from([...bytes, rest])
}
