import { connect, type Socket } from 'node:net'
import { createServer, type Server, type TlsOptions } from 'node:tls'

/** TLS in front of a server that has none, at localhost. */
export async function serveTls(address: string, options: TlsOptions): Promise<Server> {
  const { hostname, port } = new URL(address)
  const server = createServer(options, client => {
    const upstream: Socket = connect(Number(port), hostname)
    for (const [from, to] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      from.on('error', () => to.destroy())
      from.on('close', () => to.destroy())
      from.pipe(to)
    }
  })
  await new Promise<void>(resolve => void server.listen(0, 'localhost', resolve))
  return server
}
