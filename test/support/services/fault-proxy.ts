import { once } from 'node:events'
import { type AddressInfo, connect, createServer, Socket } from 'node:net'

/** A proxy in front of one server, whose connections fail on request. Knows no protocol, and makes no faults of its own. */
export interface FaultProxy extends AsyncDisposable {
  readonly host: string
  readonly port: number
  /** The target's address with this proxy in its place: a URL where that was one, else `host:port`. */
  readonly address: string
  /** Closes every connection in the middle of whatever is under way; what is on its way may arrive or not. New ones are let through. */
  cut(): Promise<void>
  /**
   * Of the requests that follow, on whichever connection, `skip` are answered. The next one reaches the server, its answer is swallowed, and once
   * the server has answered (so a write has happened) the connection is closed. A request is what a client sends before the server answers.
   *
   * @returns ends the watch where it still lasts, and says whether an answer was lost
   */
  loseNextAnswer(skip?: number): Promise<{ disarm(): boolean }>
  /** Lets nothing through in either direction, also on new connections, until {@link FaultProxy.release}: a network that is gone. */
  hold(): void
  release(): void
  close(): Promise<void>
}

type Connection = { readonly client: Socket; readonly server: Socket; isOwedAnswer: boolean; isDoomed: boolean }

/** Starts a proxy on a free port of 127.0.0.1. @param target - `host:port`, or a URL with both */
export async function startFaultProxy(target: string): Promise<FaultProxy> {
  const to = targetOf(target)
  const connections = new Set<Connection>()
  let isHeld = false
  let watch: { skip: number; hasLost: boolean } | undefined

  const listener = createServer(client => {
    const connection: Connection = { client, server: connect(to.port, to.host), isOwedAnswer: false, isDoomed: false }
    const { server } = connection
    connections.add(connection)
    for (const [from, into] of [
      [client, server],
      [server, client],
    ] as const) {
      from.setNoDelay(true)
      from.on('error', () => end(connection))
      from.on('close', () => end(connection))
      from.on('end', () => into.end())
      if (isHeld) from.pause()
    }
    // What is written to a slow side piles up here, which a proxy of tests can afford.
    client.on('data', bytes => {
      if (!connection.isOwedAnswer) countRequest(connection)
      connection.isOwedAnswer = true
      server.write(bytes)
    })
    server.on('data', bytes => {
      connection.isOwedAnswer = false
      if (connection.isDoomed) end(connection)
      else client.write(bytes)
    })
  })

  function countRequest(connection: Connection): void {
    if (watch === undefined || watch.hasLost) return
    connection.isDoomed = watch.skip === 0
    watch.hasLost = connection.isDoomed
    watch.skip -= 1
  }

  function end(connection: Connection): void {
    connections.delete(connection)
    connection.client.destroy()
    connection.server.destroy()
  }

  async function cut(): Promise<void> {
    const open = [...connections].flatMap(({ client, server }) => [client, server]).filter(socket => !socket.closed)
    const closed = open.map(socket => new Promise<void>(resolve => void socket.once('close', () => resolve())))
    for (const connection of [...connections]) end(connection)
    await Promise.all(closed)
  }

  async function loseNextAnswer(skip = 0): Promise<{ disarm(): boolean }> {
    const armed = { skip, hasLost: false }
    watch = armed
    return {
      disarm: () => {
        if (watch === armed) watch = undefined
        return armed.hasLost
      },
    }
  }

  function setHeld(held: boolean): void {
    isHeld = held
    for (const { client, server } of connections) {
      for (const socket of [client, server]) held ? socket.pause() : socket.resume()
    }
  }

  async function close(): Promise<void> {
    if (!listener.listening) return
    const closed = once(listener, 'close')
    listener.close()
    await cut()
    await closed
  }

  listener.listen(0, '127.0.0.1')
  await once(listener, 'listening')
  const { address: host, port } = listener.address() as AddressInfo
  return {
    host,
    port,
    address: to.addressAt(host, port),
    cut,
    loseNextAnswer,
    hold: () => setHeld(true),
    release: () => setHeld(false),
    close,
    [Symbol.asyncDispose]: close,
  }
}

/** What kafkajs asks a `socketFactory` for. */
type SocketRequest = { readonly host: string; readonly port: number; readonly ssl?: unknown; readonly onConnect: () => void }

/**
 * A `socketFactory` for kafkajs that goes through a proxy whatever broker it asks for: brokers tell clients their own addresses, past any proxy.
 * It suits a cluster of one broker without TLS.
 */
export function throughProxy({ host, port }: FaultProxy): (request: SocketRequest) => Socket {
  return ({ onConnect }) => new Socket().connect(port, host, onConnect).setKeepAlive(true, 60_000)
}

type Target = { readonly host: string; readonly port: number; addressAt(host: string, port: number): string }

function targetOf(target: string): Target {
  const isUrl = target.includes('://')
  const url = new URL(isUrl ? target : `tcp://${target}`)
  const addressAt = (host: string, port: number) => {
    if (!isUrl) return `${host}:${port}`
    const moved = new URL(target)
    moved.host = `${host}:${port}`
    return moved.href
  }
  return { host: url.hostname.replace(/^\[(.*)\]$/, '$1'), port: Number(url.port), addressAt }
}
