import type { Socket } from 'node:net'
import type { ZookeeperClient } from './zookeeper-client.ts'

/**
 * What is used of node-zookeeper-client (1.1.3) beyond its documented surface, each looked for before it is used and left alone where it is not there.
 * Each stands for a defect that cannot be lived with from outside.
 */
type ConnectionManager = {
  state?: number
  servers?: readonly { readonly host: string; readonly port: number | string }[]
  socket?: Socket
  connectTimeoutHandler?: NodeJS.Timeout | null
  pendingBuffer?: Buffer | null
  onSocketData?: (bytes: Buffer) => void
}

// `ConnectionManager.STATES`; the client's own state says DISCONNECTED for all of these.
const NEVER_CONNECTED = 0
const CLOSING = -1

/** A client that says DISCONNECTED may not have been connected yet, be connecting, or be of no use any more. */
export function connectionPhase(client: ZookeeperClient): 'new' | 'connecting' | 'ended' {
  const state = managerOf(client).state
  if (state === NEVER_CONNECTED) return 'new'
  return state !== undefined && state <= CLOSING ? 'ended' : 'connecting'
}

/** `host:port,host:port`, for messages. */
export function serversOf(client: ZookeeperClient): string {
  const servers = managerOf(client).servers
  return servers === undefined ? 'the given client' : servers.map(({ host, port }) => `${host}:${port}`).join(',')
}

/**
 * The client keeps the bytes of an answer that was cut off in the middle, reads the next connection's first answer as its rest, and never gets
 * connected again. To be called when it says that it is disconnected.
 */
export function forgetPartialAnswer(client: ZookeeperClient): void {
  const manager = managerOf(client)
  if (manager.pendingBuffer) manager.pendingBuffer = null
}

/** The client has no read timeout: a server that went silent is noticed when TCP gives up, after minutes. It connects again after this. */
export function dropConnection(client: ZookeeperClient): void {
  const manager = managerOf(client)
  // The client clears this timer for a socket that connected or failed, not for one that was destroyed, and the process would live on for it.
  if (manager.connectTimeoutHandler) clearTimeout(manager.connectTimeoutHandler)
  manager.socket?.destroy()
}

/**
 * An answer with an error code that the client does not know (a quota, a throttled request) makes it throw inside its socket's `data` event, which
 * ends the process. From here on that ends the connection, and `tell` gets the error. Only for a client that is ours.
 */
export function catchUnreadableAnswers(client: ZookeeperClient, tell: (error: unknown) => void): void {
  const manager = managerOf(client)
  const read = manager.onSocketData
  if (typeof read !== 'function') return
  manager.onSocketData = bytes => {
    try {
      read.call(manager, bytes)
    } catch (error) {
      tell(error)
      manager.socket?.destroy()
    }
  }
}

function managerOf(client: ZookeeperClient): ConnectionManager {
  const manager = (client as { connectionManager?: unknown }).connectionManager
  return typeof manager === 'object' && manager !== null ? manager : {}
}
