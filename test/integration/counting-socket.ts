import { connect, type Socket } from 'node:net'
import type { ISocketFactory } from 'kafkajs'

/** Counts the requests that go to each broker, where kafkajs' configuration takes a socket factory. */
export class RequestCounter {
  readonly #counts = new Map<string, number>()

  /** Requests so far to the broker that was asked most. */
  get most(): number {
    return Math.max(0, ...this.#counts.values())
  }

  reset(): void {
    this.#counts.clear()
  }

  readonly socketFactory: ISocketFactory = ({ host, port, onConnect }) => {
    const socket = connect({ host, port }, onConnect)
    this.#countFrames(socket, `${host}:${port}`)
    return socket
  }

  /** Every request is one frame: four bytes of length, then so many bytes. */
  #countFrames(socket: Socket, broker: string): void {
    const write = socket.write.bind(socket) as (...args: unknown[]) => boolean
    let left = 0
    let header = Buffer.alloc(0)
    socket.write = (chunk: Uint8Array, ...rest: unknown[]) => {
      for (let at = 0; at < chunk.length; ) {
        if (left === 0) {
          const taken = Math.min(4 - header.length, chunk.length - at)
          header = Buffer.concat([header, chunk.subarray(at, at + taken)])
          at += taken
          if (header.length < 4) break
          left = header.readInt32BE(0)
          header = Buffer.alloc(0)
          this.#counts.set(broker, (this.#counts.get(broker) ?? 0) + 1)
        }
        const body = Math.min(left, chunk.length - at)
        left -= body
        at += body
      }
      return write(chunk, ...rest)
    }
  }
}
