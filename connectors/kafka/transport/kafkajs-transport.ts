import { type Kafka, type KafkaConfig, Kafka as KafkajsClient, logLevel, type SASLOptions } from 'kafkajs'
import { ConnectionError } from '../../../src/core/errors.ts'
import { explainConnectError } from '../../../src/util/kafka-connect-error.ts'
import { ConnectionAttempt } from './connection-attempt.ts'
import { type AuthenticatedSocket, type BrokerAddress, type KafkaTransport, showAddress } from './kafka-transport.ts'
import { createCluster, type KafkajsCluster, type KafkajsConnectionPool } from './kafkajs-internals.ts'

/** What users hand over: kafkajs' configuration, or the client they made of it. */
export type KafkajsInput = KafkaConfig | Kafka

/** How long a connection may take until it is authenticated, ms: what listens but never answers is given up then. */
const OPEN_TIMEOUT_MS = 10_000

/** The client itself. One made here says nothing by itself: what fails is told by our own errors. */
export function kafkajsClient(input: KafkajsInput): Kafka {
  if (isClient(input)) return input
  // A copy: kafkajs leaves the authenticator it makes, password included, in the object it is given.
  const { sasl, ...config } = input
  return new KafkajsClient({ logLevel: logLevel.NOTHING, ...config, ...(sasl && { sasl: { ...sasl } as SASLOptions }) })
}

function isClient(input: KafkajsInput): input is Kafka {
  return 'admin' in input && typeof input.admin === 'function'
}

/**
 * Connections opened by kafkajs 2.2.4: its TLS, its SASL mechanisms and its list of brokers. When one is authenticated, its socket is taken
 * over, because kafkajs runs about 920 timers a second on an idle connection, cannot cancel a request, and copies what it receives once more.
 */
export class KafkajsTransport implements KafkaTransport {
  readonly name: string
  readonly #cluster: KafkajsCluster
  #clientId = 'tidemark'

  constructor(kafka: Kafka, name: string) {
    this.name = name
    this.#cluster = createCluster(kafka)
  }

  get clientId(): string {
    return this.#clientId
  }

  async open(address: BrokerAddress | undefined, { signal }: { readonly signal: AbortSignal }): Promise<AuthenticatedSocket> {
    signal.throwIfAborted()
    const over = Promise.withResolvers<never>()
    const abort = () => over.reject(signal.reason)
    signal.addEventListener('abort', abort, { once: true })
    const timer = setTimeout(() => over.reject(notInTime(address, this.name)), OPEN_TIMEOUT_MS)
    try {
      // The list of brokers may be a function of the user's, so this waits too.
      const pool = await Promise.race([this.#build(address), over.promise])
      return await this.#openTo(pool, over.promise, signal)
    } finally {
      clearTimeout(timer)
      signal.removeEventListener('abort', abort)
    }
  }

  async #build(address: BrokerAddress | undefined): Promise<KafkajsConnectionPool> {
    try {
      return await this.#cluster.connectionPoolBuilder.build(address && { ...address })
    } catch (error) {
      throw explainConnectError(error, { address: this.name })
    }
  }

  async #openTo(pool: KafkajsConnectionPool, over: Promise<never>, signal: AbortSignal): Promise<AuthenticatedSocket> {
    this.#clientId = pool.clientId ?? this.#clientId
    const to = { host: pool.host, port: pool.port }
    const attempt = new ConnectionAttempt(pool)
    try {
      return { ...(await Promise.race([attempt.open(this.#cluster, pool), over])), address: to }
    } catch (error) {
      attempt.giveUp(error instanceof Error ? error : new ConnectionError(`The connection to ${showAddress(to)} was given up.`))
      signal.throwIfAborted()
      throw explainConnectError(error, { address: showAddress(to), hasTls: Boolean(pool.ssl), hasSasl: Boolean(pool.sasl) })
    }
  }
}

function notInTime(address: BrokerAddress | undefined, name: string): ConnectionError {
  const where = address === undefined ? name : showAddress(address)
  return new ConnectionError(
    `No connection to Kafka at ${where} within ${OPEN_TIMEOUT_MS} ms: something takes connections there and does not answer as a broker. ` +
      'Check address and port, and whether the broker is overloaded.',
  )
}
