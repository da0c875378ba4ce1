import { AuthError, ConfigError, type TidemarkError } from '../../../../src/core/errors.ts'
import { METADATA_CALL, REQUEST_TIMEOUT_MS } from '../../cluster/calls.ts'
import { errorOfCode, reactionTo, showErrorCode } from '../../cluster/kafka-errors.ts'
import type { Session } from '../../source/session.ts'
import { CREATE_TOPICS_CALL } from '../protocol/create-topics.ts'
import { DESCRIBE_CONFIGS_CALL } from '../protocol/describe-configs.ts'

const MOST_REPLICAS = 3

/** What the ledger topic must be, or rows of the ledger are lost one day, and what they say is in is written again. */
const REQUIRED = {
  'cleanup.policy': 'compact',
  'message.timestamp.type': 'LogAppendTime',
  'unclean.leader.election.enable': 'false',
} as const
/** What it is beside that where it is made here: compacted often enough that a start reads little. */
const WHEN_MADE = { 'segment.bytes': String(16 * 1_048_576), 'segment.ms': '3600000', 'min.cleanable.dirty.ratio': '0.1' } as const

const UNKNOWN_TOPIC = 3
const ALREADY_EXISTS = 36
const AUTHORIZATION_FAILED = new Set([29, 31])
/** INVALID_REPLICATION_FACTOR, INVALID_CONFIG, INVALID_REQUEST, POLICY_VIOLATION and their kind: what is asked for is refused, with the reason. */
const REFUSED = new Set([37, 38, 39, 40, 42, 44])

/**
 * Makes the ledger topic where it is not there: one partition, up to three replicas, compacted. One that is there is checked.
 *
 * @throws ConfigError naming the exact change where it is not compacted for good, AuthError where it may not be made or looked at
 */
export async function ensureLedgerTopic(session: Session, topic: string, signal: AbortSignal): Promise<void> {
  const options = { timeoutMs: REQUEST_TIMEOUT_MS, signal }
  const metadata = await session.pool.with(undefined, signal, client => client.call(METADATA_CALL, { topics: [topic] }, options))
  const code = metadata.topics[0]?.errorCode ?? UNKNOWN_TOPIC
  if (AUTHORIZATION_FAILED.has(code)) throw notAllowed(topic, code)
  if (code === UNKNOWN_TOPIC) {
    const controller = metadata.brokers.find(({ nodeId }) => nodeId === metadata.controllerId)
    await createLedgerTopic(session, topic, controller, metadata.brokers.length, signal)
  }
  await checkLedgerTopic(session, topic, signal)
}

async function createLedgerTopic(
  { pool }: Session,
  topic: string,
  controller: { readonly host: string; readonly port: number } | undefined,
  brokers: number,
  signal: AbortSignal,
): Promise<void> {
  const replicas = Math.min(MOST_REPLICAS, brokers)
  const config = { ...REQUIRED, ...WHEN_MADE, 'min.insync.replicas': String(Math.max(1, replicas - 1)) }
  const request = { topics: [{ name: topic, partitions: 1, replicas, config }], timeoutMs: REQUEST_TIMEOUT_MS }
  const response = await pool.with(controller, signal, client =>
    client.call(CREATE_TOPICS_CALL, request, { timeoutMs: 2 * REQUEST_TIMEOUT_MS, signal }),
  )
  const [{ errorCode, errorMessage } = { errorCode: -1, errorMessage: null }] = response.topics
  // Two starts at once: the other made it.
  if (errorCode === 0 || errorCode === ALREADY_EXISTS) return
  if (AUTHORIZATION_FAILED.has(errorCode)) throw notAllowed(topic, errorCode)
  if (!REFUSED.has(errorCode)) throw errorOfCode(errorCode, `CreateTopics of ${topic}`)
  throw new ConfigError(
    `Ledger topic ${topic} could not be made: ${errorMessage ?? showErrorCode(errorCode)}. Make it by hand: ${byHand(topic)}.`,
    {
      details: { topic, code: errorCode },
    },
  )
}

async function checkLedgerTopic({ pool }: Session, topic: string, signal: AbortSignal): Promise<void> {
  const request = { topic, names: Object.keys(REQUIRED) }
  const options = { timeoutMs: REQUEST_TIMEOUT_MS, signal }
  const { results } = await pool.with(undefined, signal, client => client.call(DESCRIBE_CONFIGS_CALL, request, options))
  const [{ errorCode, config } = { errorCode: -1, config: new Map<string, string | null>() }] = results
  if (AUTHORIZATION_FAILED.has(errorCode)) throw notAllowed(topic, errorCode)
  // A broker that has not heard of the topic yet: it was made a moment ago, as it must be.
  if (reactionTo(errorCode) === 'unknown-topic') return
  if (errorCode !== 0) throw errorOfCode(errorCode, `DescribeConfigs of ${topic}`)
  const wrong = Object.entries(REQUIRED).filter(([name, value]) => config.get(name) !== value)
  if (wrong.length === 0) return
  const is = wrong.map(([name]) => `${name}=${config.get(name)}`).join(', ')
  const change = wrong.map(([name, value]) => `${name}=${value}`).join(',')
  throw new ConfigError(
    `Ledger topic ${topic} has ${is}: rows of the ledger could be lost, and what they say is in would be written again. Change it with ` +
      `kafka-configs.sh --alter --entity-type topics --entity-name ${topic} --add-config ${change}, or give kafkaSink another ledgerTopic.`,
    { details: { topic, wrong: Object.fromEntries(wrong.map(([name]) => [name, config.get(name)])) } },
  )
}

function notAllowed(topic: string, code: number): TidemarkError {
  return new AuthError(
    `Ledger topic ${topic}: not allowed (${showErrorCode(code)}). Grant the user Create, Describe, DescribeConfigs, Read and Write on it, or make it by ` +
      `hand, and then all but Create is enough: ${byHand(topic)}.`,
    { details: { topic, code } },
  )
}

function byHand(topic: string): string {
  const config = Object.entries(REQUIRED).map(([name, value]) => `--config ${name}=${value}`)
  return `kafka-topics.sh --create --topic ${topic} --partitions 1 ${config.join(' ')}`
}
