import { connect } from 'node:net'
import type { ISocketFactory } from 'kafkajs'

/** Kafka's numbers of the requests that tests wait for. */
export const API = { produce: 0, listOffsets: 2, initProducerId: 22, addPartitions: 24, endTxn: 26 } as const

/** What happens with a request that `match` finds: before it is sent, or with its answer. */
export type SocketFault = {
  /** Asked for each request with its API's number and its bytes. */
  readonly match: (apiKey: number, frame: Buffer) => boolean
  /** `lose-answer` lets it reach the broker and closes the connection when it answers; a function is waited for before the request is sent. */
  readonly fault: 'lose-answer' | (() => Promise<void> | undefined)
}

/** Connections whose requests are watched, for kafkajs' configuration; a fault happens once. */
export function faultySockets({ match, fault }: SocketFault): { readonly socketFactory: ISocketFactory; hasHappened(): boolean } {
  let happened = false
  const socketFactory: ISocketFactory = ({ host, port, onConnect }) => {
    const socket = connect({ host, port }, onConnect)
    const [write, emit] = [socket.write.bind(socket) as (...args: unknown[]) => boolean, socket.emit.bind(socket)]
    let isDoomed = false
    // Our connection writes one request a call.
    socket.write = (frame: Buffer, ...rest: unknown[]) => {
      if (!happened && frame.length > 6 && match(frame.readInt16BE(4), frame)) {
        happened = true
        if (fault === 'lose-answer') isDoomed = true
        else {
          fault()?.then(() => write(frame, ...rest))
          return true
        }
      }
      return write(frame, ...rest)
    }
    socket.emit = ((event: string, ...args: unknown[]) => {
      if (!isDoomed || event !== 'data') return emit(event, ...args)
      socket.destroy()
      return true
    }) as typeof socket.emit
    return socket
  }
  return { socketFactory, hasHappened: () => happened }
}
