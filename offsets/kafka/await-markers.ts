import type { Clock } from '../../src/core/clock.ts'
import { ConnectionError } from '../../src/core/errors.ts'
import { DESCRIBE_TRANSACTIONS, describeTransaction } from './describe-transaction.ts'
import type { KafkaConnection } from './kafka-connection.ts'
import { errorCodeOf, TRANSACTIONAL_ID_AUTHORIZATION_FAILED } from './kafka-error.ts'
import { connectionOf, type KafkajsCluster } from './kafkajs-cluster.ts'
import { whileBusy } from './producer-session.ts'
import { transactionalIdOf } from './stream-names.ts'
import type { OpenWrite } from './transaction-filter.ts'

/** How long a marker may take from the coordinator to the log, ms: a broker that comes back after a crash has its logs to load first. */
const MARKER_MS = 30_000
/**
 * The same where the coordinator does not tell whether one is to come: to a user who may only read the topic, or before Kafka 3.0. Of a writer who died
 * there never is.
 */
const UNTOLD_MARKER_MS = 1_000

/** A read of the log that can go on, and what it has found open. */
export type MarkerRead = {
  /** Writes whose transaction has no marker so far. */
  readonly open: () => readonly OpenWrite[]
  readonly streamOf: (write: OpenWrite) => string
  /** Reads on to the high watermark. */
  readonly readOn: () => Promise<void>
}

/**
 * Reads on until each write that was open at the call is known to be in or not.
 *
 * EndTxn is answered before its markers are in the logs; mostly they are a millisecond behind, after a crash of the coordinator seconds. Whoever looks in
 * between would not find what its writer has been told is in. So the coordinator is asked: a transaction that is decided has a marker to wait for, and one
 * that is under way, or was left by a writer who died, has not and counts as not there.
 *
 * An answer is about the open write where that is still open at the look behind it: the id takes no other transaction before its marker is in the log.
 *
 * @throws ConnectionError where a marker does not come
 */
export async function awaitMarkers(connection: KafkaConnection, cluster: KafkajsCluster, clock: Clock, read: MarkerRead): Promise<void> {
  const startedAt = clock.monotonic()
  let awaited = read.open()
  for (let waitMs = 1; awaited.length > 0; waitMs = Math.min(waitMs * 2, 50)) {
    const states = await Promise.all(awaited.map(write => stateOf(connection, cluster, clock, read.streamOf(write))))
    await clock.sleep(waitMs)
    await read.readOn()
    const stillOpen = new Set(read.open().map(({ offset }) => offset))
    const waitedMs = clock.monotonic() - startedAt
    awaited = awaited.filter(({ offset }, at) => stillOpen.has(offset) && isToCome(states[at], waitedMs))
    if (waitedMs > MARKER_MS && awaited.length > 0) {
      const streams = [...new Set(awaited.map(read.streamOf))].join(', ')
      throw new ConnectionError(
        `A write to ${streams} is committed, but its marker has not come into ${connection.topic} within ${MARKER_MS} ms. Look at the leaders of ` +
          'that topic and of __transaction_state.',
      )
    }
  }
}

function isToCome(state: string | undefined, waitedMs: number): boolean {
  return state === 'untold' ? waitedMs < UNTOLD_MARKER_MS : state === 'PrepareCommit'
}

/** In Kafka's words, or `untold`. */
async function stateOf(connection: KafkaConnection, cluster: KafkajsCluster, clock: Clock, stream: string): Promise<string | undefined> {
  const transactionalId = transactionalIdOf(connection.topic, stream)
  try {
    return await whileBusy(connection, clock, async () => {
      const coordinator = await connection.transactionCoordinator(cluster, transactionalId)
      if (coordinator.versions?.[DESCRIBE_TRANSACTIONS] === undefined) return 'untold'
      return (await (await connectionOf(coordinator)).send(describeTransaction(transactionalId))).state
    })
  } catch (error) {
    if (errorCodeOf(error) === TRANSACTIONAL_ID_AUTHORIZATION_FAILED) return 'untold'
    throw error
  }
}
