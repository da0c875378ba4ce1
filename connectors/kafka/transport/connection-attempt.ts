import type { Duplex } from 'node:stream'
import type { TidemarkError } from '../../../src/core/errors.ts'
import { explainFirstBytes } from '../../../src/util/kafka-connect-error.ts'
import { showAddress } from './kafka-transport.ts'
import {
  firstConnection,
  type KafkajsCluster,
  type KafkajsConnection,
  type KafkajsConnectionPool,
  takeSocket,
  watchSocket,
} from './kafkajs-internals.ts'

/** A socket that kafkajs has opened and authenticated, and kafkajs hears of it no more. */
export type OpenedSocket = { readonly socket: Duplex; readonly sessionLifetimeMs: number | undefined }

/**
 * One connection while kafkajs opens it. kafkajs cannot be told to give up and believes any length that an answer announces, so its socket is
 * watched from the moment it is made: it can be closed at any time, and what is no Kafka broker is known by its first bytes.
 */
export class ConnectionAttempt {
  readonly #connection: KafkajsConnection
  readonly #isStranger = Promise.withResolvers<never>()
  #socket: Duplex | undefined
  #givenUp: Error | undefined
  #isTaken = false

  constructor(pool: KafkajsConnectionPool) {
    const connection = firstConnection(pool)
    this.#connection = connection
    // It would set a timer of a negative time after each response, which Node 24 warns of and runs every millisecond.
    connection.requestQueue.scheduleCheckPendingRequests = () => {}
    // Whoever waits hears of it; when nobody does any more it is no unhandled rejection.
    this.#isStranger.promise.catch(() => {})
    watchSocket(connection, socket => {
      this.#socket = socket
      if (this.#givenUp !== undefined) {
        socket.destroy()
        throw this.#givenUp
      }
      this.#listen(socket, explainFirstBytes(showAddress(pool)))
    })
  }

  /** Connects and logs in. What fails is kafkajs' own error, or says that what answers is no broker. */
  async open(cluster: KafkajsCluster, pool: KafkajsConnectionPool): Promise<OpenedSocket> {
    const broker = cluster.brokerPool.createBroker({ connectionPool: pool, logger: cluster.rootLogger })
    await Promise.race([broker.connect(), this.#isStranger.promise])
    const sessionLifetimeMs = Number(this.#connection.sessionLifetime.toString())
    const socket = takeSocket(this.#connection)
    this.#isTaken = true
    // Given up in the very moment it was ready.
    if (this.#givenUp !== undefined) socket.destroy()
    return { socket, sessionLifetimeMs: sessionLifetimeMs > 0 ? sessionLifetimeMs : undefined }
  }

  /** Closes what is open, and ends kafkajs' timers. */
  giveUp(reason: Error): void {
    this.#givenUp ??= reason
    this.#connection.requestQueue.destroy()
    // With an error while kafkajs listens: it is how its timer for connecting ends.
    if (this.#isTaken) this.#socket?.destroy()
    else this.#socket?.destroy(reason)
  }

  #listen(socket: Duplex, explain: (bytes: Buffer) => TidemarkError | undefined): void {
    let first = Buffer.alloc(0)
    const look = (chunk: Buffer) => {
      first = Buffer.concat([first, chunk])
      if (first.length < 4) return
      socket.off('data', look)
      const stranger = explain(first)
      if (stranger !== undefined) this.#isStranger.reject(stranger)
    }
    socket.on('data', look)
  }
}
