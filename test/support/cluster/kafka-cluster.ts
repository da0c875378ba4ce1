/** How to log in at the SASL_SSL listener; the shape of kafkajs' `sasl`. */
export type SaslLogin = { readonly mechanism: 'scram-sha-512'; readonly username: string; readonly password: string }

/** Where Kafka's Java tools run: here, or inside a container that knows the brokers by other addresses. */
export type JavaTools =
  | { readonly kind: 'here' }
  | {
      readonly kind: 'container'
      readonly containerId: string
      readonly jars: string
      readonly sources: string
      readonly brokers: string[]
    }

/** How to reach a Kafka: plain data, so that it can go from vitest's main process to the processes that run tests. */
export type KafkaAddress = {
  /** `host:port` of each broker's PLAINTEXT listener; the place in the list is the broker's index. */
  readonly brokers: string[]
  /** `host:port` of each broker's SASL_SSL listener; empty when there is none. */
  readonly saslBrokers: string[]
  readonly sasl: SaslLogin | undefined
  /** PEM of the certificate authority of the SASL_SSL listener; `undefined` when the system's own will do. */
  readonly ca: string | undefined
  readonly tools: JavaTools
}

/** A running Kafka for tests, the bench and the demo. Whoever started it closes it. */
export interface KafkaCluster extends KafkaAddress, AsyncDisposable {
  /** One line on where this Kafka came from, for people. */
  readonly origin: string
  /**
   * Stops a broker in good order (it hands its partitions over first). Broker 0 is also the only controller: without it no
   * partition gets another leader, so tests of leader changes stop or kill broker 1.
   *
   * @throws ConfigError when this Kafka is not ours to stop
   */
  stopBroker(index: number): Promise<void>
  /** Ends a broker with SIGKILL. @throws ConfigError when this Kafka is not ours to kill */
  killBroker(index: number): Promise<void>
  /** Starts a stopped or killed broker again, on its old address and its old log; resolves once every running broker sees it. */
  startBroker(index: number): Promise<void>
  close(): Promise<void>
}

/** What {@link startKafka} is asked for. */
export type KafkaOptions = {
  /** @default 1 */
  readonly brokers?: number
  /** Also a SASL_SSL listener with SCRAM-SHA-512. @default false */
  readonly sasl?: boolean
  /** Whoever logs in has no rights until it is given some; the PLAINTEXT listener may do everything. Only with `own`. @default false */
  readonly authorizer?: boolean
  /** The cluster must be our own, since its brokers will be stopped: `KAFKA_BROKERS` is passed over. @default false */
  readonly own?: boolean
  /** Folder in which a local cluster makes its own, deleted at its end. @default the system's folder for temporary files */
  readonly dataDir?: string
  /** Port of the first broker's PLAINTEXT listener. @default any free port */
  readonly port?: number
}

/** {@link KafkaOptions} with nothing left open. */
export type CompleteKafkaOptions = Required<Omit<KafkaOptions, 'port'>> & { readonly port: number | undefined }
