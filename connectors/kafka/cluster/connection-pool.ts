import { type BrokerAddress, type KafkaTransport, showAddress } from '../transport/kafka-transport.ts'
import { BrokerClient } from './broker-client.ts'

/** Connections that nobody used for this long are closed, well before brokers do it (`connections.max.idle.ms`, 10 minutes). */
const MAX_IDLE_MS = 60_000

type Idle = { readonly client: BrokerClient; readonly since: number }

/**
 * Connections that are open and not in use, by broker. A broker answers a connection's requests one by one, so who waits for data takes one
 * for itself and gives it back afterwards.
 */
export class ConnectionPool {
  readonly #transport: KafkaTransport
  readonly #idle = new Map<string, Idle[]>()
  readonly #inUse = new Set<BrokerClient>()
  #closed = false

  constructor(transport: KafkaTransport) {
    this.#transport = transport
  }

  get name(): string {
    return this.#transport.name
  }

  /** An idle connection to the broker, the one used last first, or a new one; with `fresh` always a new one. Without an address: to any broker. */
  async take(address: BrokerAddress | undefined, signal: AbortSignal, { fresh = false } = {}): Promise<BrokerClient> {
    this.#prune()
    const lists = fresh ? [] : address === undefined ? [...this.#idle.values()] : [this.#idle.get(showAddress(address)) ?? []]
    for (const list of lists) {
      for (let idle = list.pop(); idle !== undefined; idle = list.pop()) {
        if (!idle.client.isOpen) {
          idle.client.close()
          continue
        }
        this.#inUse.add(idle.client)
        return idle.client
      }
    }
    const client = await BrokerClient.open(this.#transport, address, signal)
    if (this.#closed) client.close()
    this.#inUse.add(client)
    return client
  }

  /** Takes a connection back; one that broke is dropped. */
  give(client: BrokerClient): void {
    if (!this.#inUse.delete(client)) return
    if (this.#closed || !client.isOpen) {
      client.close()
      return
    }
    const key = showAddress(client.address)
    const idle = { client, since: performance.now() }
    const list = this.#idle.get(key)
    if (list === undefined) this.#idle.set(key, [idle])
    else list.push(idle)
  }

  /** Runs `use` with a connection and takes it back. */
  async with<T>(address: BrokerAddress | undefined, signal: AbortSignal, use: (client: BrokerClient) => Promise<T>): Promise<T> {
    const client = await this.take(address, signal)
    try {
      return await use(client)
    } finally {
      this.give(client)
    }
  }

  /** Closes every connection, those in use too: what waits on them fails. */
  close(): void {
    this.#closed = true
    for (const { client } of [...this.#idle.values()].flat()) client.close()
    for (const client of this.#inUse) client.close()
    this.#idle.clear()
    this.#inUse.clear()
  }

  #prune(): void {
    const oldest = performance.now() - MAX_IDLE_MS
    for (const [key, list] of this.#idle) {
      while (list[0] !== undefined && list[0].since < oldest) list.shift()?.client.close()
      if (list.length === 0) this.#idle.delete(key)
    }
  }
}
