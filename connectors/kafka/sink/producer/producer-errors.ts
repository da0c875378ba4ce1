import { AuthError, ConfigError, ConnectionError, isTidemarkError, type TidemarkError } from '../../../../src/core/errors.ts'
import { errorOfCode } from '../../cluster/kafka-errors.ts'

/**
 * Answers that say that a producer's time is over: somebody has initialised its transactional id since, or the broker has aborted its transaction or
 * forgotten it. What it was about to commit is not known by them: the ledger tells.
 */
const TAKEN_OVER: Readonly<Record<number, string>> = {
  45: 'OUT_OF_ORDER_SEQUENCE_NUMBER',
  47: 'INVALID_PRODUCER_EPOCH',
  48: 'INVALID_TXN_STATE',
  49: 'INVALID_PRODUCER_ID_MAPPING',
  59: 'UNKNOWN_PRODUCER_ID',
  90: 'PRODUCER_FENCED',
  120: 'TRANSACTION_ABORTABLE',
}

/** The answer that only asks for patience: the markers of the transaction before are still being written. */
export const CONCURRENT_TRANSACTIONS = 51
/** What a broker answers for the other partitions of a request that failed for one. */
export const OPERATION_NOT_ATTEMPTED = 55

const RETRYABLE: Readonly<Record<number, string>> = { 19: 'NOT_ENOUGH_REPLICAS', 20: 'NOT_ENOUGH_REPLICAS_AFTER_APPEND' }

/** What {@link producerError} names in its message: the topic or the transactional id in question. */
export type ProducerErrorContext = { readonly topic?: string; readonly transactionalId: string; readonly said?: string | null }

/** The error for a code that a writing request was answered. `what` is what was asked, such as `Produce to orders/3`. */
export function producerError(code: number, what: string, { topic, transactionalId, said }: ProducerErrorContext): TidemarkError {
  const details = { code, transactionalId, ...(topic !== undefined && { topic }) }
  const because = said ? ` (${said})` : ''
  switch (code) {
    case 10:
    case 18:
      return new ConfigError(
        `${what}: the batch is larger than the topic takes (MESSAGE_TOO_LARGE). Raise max.message.bytes of topic ${topic}, or lower maxRequestBytes.`,
        { details },
      )
    case 29:
      return new AuthError(`${what}: not allowed (TOPIC_AUTHORIZATION_FAILED). Grant the user Write and Describe on topic ${topic}.`, {
        details,
      })
    case 32:
      return new ConfigError(
        `${what}: the topic refuses the records' times (INVALID_TIMESTAMP)${because}. Records keep the time they were read with: see the topic's ` +
          'message.timestamp.before.max.ms and after.max.ms, or set its message.timestamp.type to LogAppendTime.',
        { details },
      )
    case 44:
      return new ConfigError(`${what}: a policy of the cluster refuses it (POLICY_VIOLATION)${because}.`, { details })
    case 50:
      return new ConfigError(
        `${what}: transactionTimeoutMs is longer than the brokers allow (INVALID_TRANSACTION_TIMEOUT). Lower it, or raise their ` +
          'transaction.max.timeout.ms, 15 minutes by default.',
        { details },
      )
    case 53:
      return new AuthError(
        `${what}: not allowed (TRANSACTIONAL_ID_AUTHORIZATION_FAILED). Grant the user Write and Describe on the transactional ids that begin with ` +
          'tidemark- (a PREFIXED rule of resource type TransactionalId).',
        { details },
      )
    case 87:
      return new ConfigError(
        `${what}: the topic refuses the records (INVALID_RECORD)${because}. A compacted topic takes none without a key: give kafkaSink a key.`,
        { details },
      )
    default:
  }
  const taken = TAKEN_OVER[code]
  if (taken !== undefined) {
    return new ConnectionError(
      `${what}: transactional id ${transactionalId} is in other hands, or its transaction took longer than transactionTimeoutMs (${taken}).`,
      { details },
    )
  }
  const passing = RETRYABLE[code]
  if (passing !== undefined) {
    return new ConnectionError(`${what}: too few replicas are in sync (${passing}). It is tried again; bring the other brokers back.`, {
      details,
    })
  }
  return errorOfCode(code, what)
}

/** Whether an error says that another has initialised the transactional id, or that its transaction is over. */
export function isTakenOver(error: unknown): boolean {
  return isTidemarkError(error, 'CONNECTION') && typeof error.details.code === 'number' && TAKEN_OVER[error.details.code] !== undefined
}
