import type { Duplex } from 'node:stream'

/** Where a broker listens. */
export type BrokerAddress = { readonly host: string; readonly port: number }

/** A connection that is open, encrypted and authenticated as the user's configuration says, with nothing of Kafka's protocol in flight on it. */
export type AuthenticatedSocket = {
  readonly socket: Duplex
  readonly address: BrokerAddress
  /** When the broker will want a new authentication (KIP-368), ms from now; undefined where it never does. */
  readonly sessionLifetimeMs: number | undefined
}

/**
 * How connections to brokers come about. TLS, SASL and name resolution stay with a client library; everything after is ours.
 * One implementation a library.
 */
export interface KafkaTransport {
  /** The bootstrap addresses, for messages. */
  readonly name: string
  readonly clientId: string
  /**
   * Opens a connection to the broker, or to any of the bootstrap addresses.
   * @throws ConnectionError (retryable) where nothing answers, AuthError where the credentials are refused
   */
  open(address: BrokerAddress | undefined, options: { readonly signal: AbortSignal }): Promise<AuthenticatedSocket>
}

/** `host:port`, the way messages name a broker. */
export function showAddress({ host, port }: BrokerAddress): string {
  return `${host}:${port}`
}
