import { type Kafka, type KafkaConfig, Kafka as KafkajsClient, logLevel, type SASLOptions } from 'kafkajs'
import { explainConnectError } from './explain-connect-error.ts'
import { type AuthenticatedSocket, type BrokerAddress, type KafkaTransport, showAddress } from './kafka-transport.ts'
import { createCluster, firstConnection, type KafkajsCluster, type KafkajsConnectionPool, takeSocket } from './kafkajs-internals.ts'

/** What users hand over: kafkajs' configuration, or the client they made of it. */
export type KafkajsInput = KafkaConfig | Kafka

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
    const pool = await this.#cluster.connectionPoolBuilder.build(address && { ...address })
    this.#clientId = pool.clientId ?? this.#clientId
    const to = { host: pool.host, port: pool.port }
    const opening = this.#authenticate(pool)
    const aborted = Promise.withResolvers<never>()
    const abort = () => aborted.reject(signal.reason)
    signal.addEventListener('abort', abort, { once: true })
    try {
      const opened = await Promise.race([opening, aborted.promise])
      return { ...opened, address: to }
    } catch (error) {
      // kafkajs cannot be told to give up; what it still opens is closed when it comes.
      opening.then(
        ({ socket }) => socket.destroy(),
        () => {},
      )
      signal.throwIfAborted()
      throw explainConnectError(error, showAddress(to))
    } finally {
      signal.removeEventListener('abort', abort)
    }
  }

  async #authenticate(pool: KafkajsConnectionPool): Promise<Omit<AuthenticatedSocket, 'address'>> {
    const connection = firstConnection(pool)
    // It would set a timer of a negative time after each response, which Node 24 warns of and runs every millisecond.
    connection.requestQueue.scheduleCheckPendingRequests = () => {}
    const broker = this.#cluster.brokerPool.createBroker({ connectionPool: pool, logger: this.#cluster.rootLogger })
    try {
      await broker.connect()
    } catch (error) {
      connection.requestQueue.destroy()
      connection.socket?.destroy()
      throw error
    }
    const sessionLifetimeMs = Number(connection.sessionLifetime.toString())
    return { socket: takeSocket(connection), sessionLifetimeMs: sessionLifetimeMs > 0 ? sessionLifetimeMs : undefined }
  }
}
