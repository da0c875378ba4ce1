import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo, Socket } from 'node:net'
import { gunzipSync } from 'node:zlib'
import { waitUntil } from '../../support/services/wait-until.ts'

/** A request as the endpoint had it, whatever it answered. */
export type Received = {
  readonly method: string
  readonly path: string
  readonly headers: IncomingMessage['headers']
  readonly text: string
  readonly key: string
}

/**
 * What the endpoint does with a request: takes the rows and answers 2xx, answers with something else, or fails on the wire. `takes` says whether the rows
 * are in all the same.
 */
export type Act =
  | 'take'
  /** Never answers. */
  | 'hang'
  /** Ends the connection without an answer, before it has the body or, with `takes`, when it has done the work. */
  | { readonly reset: true; readonly takes?: boolean }
  /** Begins an answer of 200 and ends the connection in its middle. */
  | { readonly breakOff: true; readonly takes?: boolean }
  | { readonly status: number; readonly headers?: Readonly<Record<string, string>>; readonly body?: string; readonly takes?: boolean }

export type EndpointOptions = {
  /** Called for each request that came whole, with its number from 0. @default takes everything */
  readonly act?: (request: Received, number: number) => Act | Promise<Act>
  readonly tls?: { readonly key: string; readonly cert: string; readonly ca?: string; readonly requestCert?: boolean }
  readonly port?: number
}

/** A real HTTP server on loopback that takes rows, once for each key it is given, and fails in every way there is. */
export class Endpoint {
  /** Every request that came whole, in its order. */
  readonly received: Received[] = []
  /** Every row of every request that was taken: what an endpoint has that knows no keys. */
  readonly rows: unknown[] = []
  /** Bodies by key, the first of each: what an endpoint has that honours them. */
  readonly byKey = new Map<string, string>()
  /** Connections that were made. */
  connections = 0
  /** How many requests are here at a time, at most. */
  mostAtOnce = 0
  act: NonNullable<EndpointOptions['act']>
  readonly #server: ReturnType<typeof createServer>
  readonly #isTls: boolean
  #atOnce = 0

  private constructor({ act = () => 'take', tls }: EndpointOptions) {
    this.act = act
    this.#isTls = tls !== undefined
    const listener: RequestListener = (request, response) => void this.#serve(request, response)
    this.#server = tls === undefined ? createServer(listener) : createTlsServer(tls, listener)
    this.#server.on('connection', () => {
      this.connections += 1
    })
  }

  static async open(options: EndpointOptions = {}): Promise<Endpoint> {
    const endpoint = new Endpoint(options)
    await endpoint.listen(options.port)
    return endpoint
  }

  get url(): string {
    return `${this.#isTls ? 'https' : 'http'}://localhost:${this.port}/orders`
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  /** Rows as an endpoint has them that honours keys: once for each key. */
  get rowsByKey(): unknown[] {
    return [...this.byKey.values()].flatMap(text => JSON.parse(text))
  }

  listen(port = 0): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#server.once('error', reject)
      this.#server.listen(port, 'localhost', resolve)
    })
  }

  /** Ends it with every connection: nobody listens on its port any more. */
  close(): Promise<void> {
    return new Promise(resolve => {
      this.#server.close(() => resolve())
      this.#server.closeAllConnections()
    })
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  untilReceived(count: number): Promise<void> {
    return waitUntil(`${count} requests to have come`, async () => this.received.length >= count)
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    this.#atOnce += 1
    this.mostAtOnce = Math.max(this.mostAtOnce, this.#atOnce)
    response.on('close', () => {
      this.#atOnce -= 1
    })
    const received = await readRequest(request).catch(() => undefined)
    if (received === undefined) return
    this.received.push(received)
    const act = await this.act(received, this.received.length - 1)
    if (act === 'take' || (typeof act === 'object' && act.takes === true)) this.#take(received)
    if (act === 'hang') return
    if (act === 'take') response.writeHead(200).end('{"ok":true}')
    else if ('reset' in act) (request.socket as Socket).resetAndDestroy()
    else if ('breakOff' in act) {
      response.writeHead(200, { 'content-length': '100' })
      response.write('half', () => request.socket.destroy())
    } else response.writeHead(act.status, act.headers).end(act.body)
  }

  #take({ text, key }: Received): void {
    if (!this.byKey.has(key)) this.byKey.set(key, text)
    if (text.startsWith('[')) this.rows.push(...JSON.parse(text))
  }
}

async function readRequest(request: IncomingMessage): Promise<Received> {
  const parts: Buffer[] = []
  for await (const part of request) parts.push(part)
  const bytes = Buffer.concat(parts)
  const { method = '', url = '', headers } = request
  const text = (headers['content-encoding'] === 'gzip' ? gunzipSync(bytes) : bytes).toString()
  return { method, path: url, headers, text, key: String(headers['idempotency-key'] ?? '') }
}
