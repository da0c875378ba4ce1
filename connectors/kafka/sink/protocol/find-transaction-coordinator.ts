import { decodeFindCoordinatorResponse, FIND_COORDINATOR } from '../../protocol/find-coordinator.ts'
import { encodeBody } from '../../protocol/message.ts'

const TRANSACTION = 1
/** From here on one request asks for several keys, and each has its own answer. */
const MANY_KEYS = 4

/** Which broker keeps a transactional id's transactions. */
export type FindTransactionCoordinatorRequest = { readonly transactionalId: string }

function encodeFindTransactionCoordinatorRequest(version: number, { transactionalId }: FindTransactionCoordinatorRequest): Buffer {
  return encodeBody(FIND_COORDINATOR, version, writer => {
    if (version < MANY_KEYS) writer.string(transactionalId)
    writer.int8(TRANSACTION)
    if (version >= MANY_KEYS) writer.array([transactionalId], id => writer.string(id))
    writer.tags()
  })
}

/** The request with its codec. The answer is that of a group's coordinator. */
export const FIND_TRANSACTION_COORDINATOR_CALL = {
  api: FIND_COORDINATOR,
  floor: 1,
  encode: encodeFindTransactionCoordinatorRequest,
  decode: decodeFindCoordinatorResponse,
}
