import { ConnectionError, errorMessage, isTidemarkError, UnsupportedError } from '../../../src/core/errors.ts'
import { type Api, isFlexible } from '../protocol/api.ts'
import { API_VERSIONS, decodeApiVersionsResponse, encodeApiVersionsRequest } from '../protocol/api-versions.ts'
import { decodeResponseFrame, encodeRequestFrame } from '../protocol/frame.ts'
import { BrokerConnection, type SendOptions } from '../transport/broker-connection.ts'
import { type BrokerAddress, type KafkaTransport, showAddress } from '../transport/kafka-transport.ts'

/** A request type with its codec: what {@link BrokerClient.call} needs to speak it. */
export type Call<Request, Response extends { readonly throttleTimeMs: number }> = {
  readonly api: Api
  /** The oldest version that is of use; below it the broker is too old. */
  readonly floor: number
  readonly encode: (version: number, request: Request) => Buffer
  readonly decode: (version: number, body: Buffer) => Response
}

/** How long a broker may take to say which versions it speaks, ms. */
const HANDSHAKE_TIMEOUT_MS = 10_000
const UNSUPPORTED_VERSION = 35

/**
 * One connection to one broker, with what that broker speaks. The versions are asked for on every new connection, because a broker may have
 * been upgraded since the last.
 */
export class BrokerClient {
  readonly #connection: BrokerConnection
  readonly #clientId: string
  readonly #versions = new Map<number, { readonly min: number; readonly max: number }>()

  private constructor(connection: BrokerConnection, clientId: string) {
    this.#connection = connection
    this.#clientId = clientId
  }

  /** Connects, or throws ConnectionError, AuthError, ConfigError (TLS) or UnsupportedError. */
  static async open(transport: KafkaTransport, address: BrokerAddress | undefined, signal: AbortSignal): Promise<BrokerClient> {
    const connection = new BrokerConnection(await transport.open(address, { signal }))
    const client = new BrokerClient(connection, transport.clientId)
    try {
      await client.#negotiate(signal)
      return client
    } catch (error) {
      connection.close()
      throw error
    }
  }

  get address(): BrokerAddress {
    return this.#connection.address
  }

  /** What a round trip to the broker costs, ms. */
  get latencyMs(): number {
    return this.#connection.latencyMs
  }

  get isOpen(): boolean {
    return this.#connection.isOpen
  }

  /** Sends one request at the highest version both sides know, or at most `maxVersion`. */
  async call<Request, Response extends { readonly throttleTimeMs: number }>(
    { api, floor, encode, decode }: Call<Request, Response>,
    request: Request,
    options: SendOptions & { readonly maxVersion?: number },
  ): Promise<Response> {
    const version = Math.min(this.#versionOf(api, floor), options.maxVersion ?? Number.POSITIVE_INFINITY)
    const frame = await this.#send(api, version, encode(version, request), options)
    try {
      const response = decode(version, decodeResponseFrame(api, version, frame).body)
      this.#connection.throttle(response.throttleTimeMs)
      return response
    } catch (error) {
      // Bytes that cannot be read leave no trust in what comes after them.
      this.close()
      throw error
    }
  }

  close(): void {
    this.#connection.close()
  }

  #send(api: Api, version: number, body: Buffer, options: SendOptions): Promise<Buffer> {
    const { apiKey } = api
    const flexible = isFlexible(api, version)
    const clientId = this.#clientId
    const frame = (correlationId: number) => encodeRequestFrame({ apiKey, apiVersion: version, correlationId, clientId, body, flexible })
    return this.#connection.send(api.name, frame, options)
  }

  async #negotiate(signal: AbortSignal): Promise<void> {
    const software = { clientSoftwareName: 'tidemark', clientSoftwareVersion: '0' }
    const options = { timeoutMs: HANDSHAKE_TIMEOUT_MS, signal }
    // A broker that does not know our version answers in version 0, with what it does know.
    let version = API_VERSIONS.maxVersion
    for (let tries = 0; ; tries++) {
      const frame = await this.#send(API_VERSIONS, version, encodeApiVersionsRequest(version, software), options).catch(error => {
        throw this.#explainHandshake(error)
      })
      const response = this.#decodeVersions(version, frame)
      if (response.errorCode === UNSUPPORTED_VERSION && tries === 0) {
        const known = response.apiKeys.find(({ apiKey }) => apiKey === API_VERSIONS.apiKey)
        version = Math.min(known?.maxVersion ?? 0, API_VERSIONS.maxVersion)
        continue
      }
      if (response.errorCode !== 0) {
        throw new UnsupportedError(
          `Broker ${showAddress(this.address)} does not say which versions it speaks (error ${response.errorCode}).`,
        )
      }
      for (const { apiKey, minVersion: min, maxVersion: max } of response.apiKeys) this.#versions.set(apiKey, { min, max })
      return
    }
  }

  /** A listener that wants a login answers kafkajs' first request, and ours by closing. */
  #explainHandshake(error: unknown): unknown {
    if (!isTidemarkError(error, 'CONNECTION')) return error
    return new ConnectionError(
      `${error.message} It did so before anything was asked: where no kafka.sasl is set and the listener wants a login, it is that.`,
      { cause: error },
    )
  }

  #decodeVersions(version: number, frame: Buffer) {
    try {
      return decodeApiVersionsResponse(version, decodeResponseFrame(API_VERSIONS, version, frame).body)
    } catch (cause) {
      const why = isTidemarkError(cause) ? cause.message : errorMessage(cause)
      throw new UnsupportedError(`What answers at ${showAddress(this.address)} is not a Kafka broker that can be understood: ${why}`, {
        cause,
      })
    }
  }

  #versionOf(api: Api, floor: number): number {
    const known = this.#versions.get(api.apiKey)
    const version = known === undefined ? -1 : Math.min(known.max, api.maxVersion)
    if (known !== undefined && version >= Math.max(known.min, api.minVersion, floor)) return version
    const speaks = known === undefined ? 'not at all' : `in versions ${known.min} to ${known.max}`
    throw new UnsupportedError(
      `Broker ${showAddress(this.address)} speaks ${api.name} ${speaks}, and Tidemark needs ${floor} to ${api.maxVersion}: Kafka 2.1 or newer.`,
    )
  }
}
