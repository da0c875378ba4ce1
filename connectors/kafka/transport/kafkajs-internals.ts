import type { Duplex } from 'node:stream'
import { UnsupportedError } from '../../../src/core/errors.ts'

/**
 * The parts of kafkajs 2.2.4 that are not its public surface and that we stand on: how it opens and authenticates a connection. That version
 * is its last, so they stay as they are; what is used is named here, checked before it is used, and nowhere else.
 */
export type KafkajsCluster = {
  readonly connectionPoolBuilder: { build(to?: { host: string; port: number }): Promise<KafkajsConnectionPool> }
  readonly brokerPool: { createBroker(options: { connectionPool: KafkajsConnectionPool; logger: unknown }): KafkajsBroker }
  readonly rootLogger: unknown
}

export type KafkajsConnectionPool = {
  readonly host: string
  readonly port: number
  readonly clientId: string | undefined
  readonly ssl?: unknown
  readonly sasl?: unknown
  readonly pool: readonly KafkajsConnection[]
  destroy(): Promise<void>
}

export type KafkajsBroker = { connect(): Promise<void> }

export type KafkajsConnection = {
  socket?: Duplex & { setNoDelay?(on: boolean): void }
  socketFactory: (options: object) => Duplex
  readonly sessionLifetime: { toString(): string }
  readonly requestQueue: { destroy(): void; scheduleCheckPendingRequests(): void; scheduleRequestTimeoutCheck(): void }
  connectionStatus: string
}

/** Makes a cluster object of the user's `Kafka`, which may come from another copy of kafkajs: it is known by its shape. */
export function createCluster(kafka: object): KafkajsCluster {
  const symbol = Object.getOwnPropertySymbols(kafka).find(candidate => candidate.description === 'private:Kafka:createCluster')
  const create = symbol === undefined ? undefined : Reflect.get(kafka, symbol)
  if (typeof create !== 'function') throw unknownKafkajs('Kafka.createCluster')
  const cluster = create.call(kafka, { metadataMaxAge: 300_000, allowAutoTopicCreation: false }) as Partial<KafkajsCluster>
  if (typeof cluster.connectionPoolBuilder?.build !== 'function') throw unknownKafkajs('Cluster.connectionPoolBuilder')
  if (typeof cluster.brokerPool?.createBroker !== 'function') throw unknownKafkajs('BrokerPool.createBroker')
  return cluster as KafkajsCluster
}

/** The one connection of a pool that is used for everything but Fetch. */
export function firstConnection(pool: KafkajsConnectionPool): KafkajsConnection {
  const connection = Array.isArray(pool.pool) ? pool.pool[0] : undefined
  if (connection === undefined) throw unknownKafkajs('ConnectionPool.pool')
  const queue = connection.requestQueue
  for (const method of ['destroy', 'scheduleCheckPendingRequests', 'scheduleRequestTimeoutCheck'] as const) {
    if (typeof queue?.[method] !== 'function') throw unknownKafkajs(`RequestQueue.${method}`)
  }
  if (typeof connection.socketFactory !== 'function') throw unknownKafkajs('Connection.socketFactory')
  return connection
}

/** Has `seen` told of the connection's socket when kafkajs makes it, before it is connected. What `seen` throws fails the connection. */
export function watchSocket(connection: KafkajsConnection, seen: (socket: Duplex) => void): void {
  const make = connection.socketFactory
  connection.socketFactory = options => {
    const socket = make(options)
    seen(socket)
    return socket
  }
}

/**
 * Takes the socket out of an authenticated connection: kafkajs hears nothing of it any more and none of its timers runs on.
 */
export function takeSocket(connection: KafkajsConnection): Duplex {
  const { socket } = connection
  if (typeof socket?.removeAllListeners !== 'function') throw unknownKafkajs('Connection.socket')
  connection.requestQueue.destroy()
  for (const event of ['data', 'end', 'error', 'timeout']) socket.removeAllListeners(event)
  connection.connectionStatus = 'disconnected'
  delete connection.socket
  socket.setNoDelay?.(true)
  return socket
}

function unknownKafkajs(part: string): UnsupportedError {
  return new UnsupportedError(
    `The kafkajs that was given has no ${part} as 2.2.4 has it. Tidemark opens its connections through kafkajs 2.2.4: install that version exactly, ` +
      `or pass kafka as a plain configuration and let Tidemark make the client.`,
  )
}
