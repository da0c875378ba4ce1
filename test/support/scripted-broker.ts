import { EventEmitter } from 'node:events'
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import { Reader } from '../../connectors/kafka/protocol/reader.ts'
import {
  type PartitionScript,
  type ScriptedPartition,
  type ScriptedTopic,
  scriptedPartition,
  topicIdOf,
} from './scripted-broker/scripted-topic.ts'
import {
  apiVersionsResponse,
  fetchResponse,
  leaderEpochResponse,
  listOffsetsResponse,
  metadataResponse,
  type ScriptedState,
} from './scripted-broker/serve.ts'
import { encodeResponseFrame, type RequestOf, type ResponseOf, SERVED, type ServedName } from './scripted-broker/wire.ts'

export { scriptedValue, topicIdOf } from './scripted-broker/scripted-topic.ts'

/** A request as it came in. `connection` numbers the broker's connections from 0, `at` is `performance.now()`. */
export type Asked<Name extends ServedName = ServedName> = {
  readonly api: Name
  readonly version: number
  readonly request: RequestOf<Name>
  readonly connection: number
  readonly at: number
}

/**
 * What a test answers: a response; bytes to send as they are, whole frames or not; nothing, ever; a closed connection; or undefined for what
 * a healthy broker would say.
 */
export type Answer<Name extends ServedName> =
  | ResponseOf<Name>
  | { readonly bytes: Buffer; readonly thenClose?: boolean }
  | 'nothing'
  | 'close'
  | undefined

/** Answers requests of one kind. `respond` gives the healthy answer, to be changed. */
export type Script<Name extends ServedName> = (
  asked: Asked<Name>,
  respond: () => ResponseOf<Name>,
  frame: (response: ResponseOf<Name>, correlationId?: number) => Buffer,
) => Answer<Name> | Promise<Answer<Name>>

type Connection = { readonly socket: Socket; readonly index: number; last: Promise<void> }

/** One broker of a {@link ScriptedCluster}, listening on loopback. */
export class ScriptedBroker {
  readonly nodeId: number
  /** Every request so far, in the order they came, but for those by which kafkajs opens connections. */
  readonly requests: Asked[] = []
  readonly #state: ScriptedState
  readonly #changes: EventEmitter
  readonly #scripts = new Map<ServedName, Script<ServedName>>()
  readonly #server: Server
  readonly #connections = new Set<Connection>()
  readonly #arrivals = new EventEmitter().setMaxListeners(0)
  #opened = 0
  #write = async (socket: Socket, answer: Buffer): Promise<void> => void socket.write(answer)

  constructor(nodeId: number, state: ScriptedState, changes: EventEmitter) {
    this.nodeId = nodeId
    this.#state = state
    this.#changes = changes
    this.#server = createServer({ noDelay: true }, socket => this.#accept(socket))
  }

  async listen(): Promise<{ host: string; port: number }> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject)
      this.#server.listen(0, '127.0.0.1', resolve)
    })
    return { host: '127.0.0.1', port: (this.#server.address() as AddressInfo).port }
  }

  /** Connections that are open now, and those there ever were. */
  get connections(): { readonly open: number; readonly ever: number } {
    return { open: this.#connections.size, ever: this.#opened }
  }

  /** Has a script answer every request of a kind from now on. */
  script<Name extends ServedName>(api: Name, script: Script<Name>): void {
    this.#scripts.set(api, script as unknown as Script<ServedName>)
  }

  /** Requests of one kind so far. */
  asked<Name extends ServedName>(api: Name): Asked<Name>[] {
    return this.requests.filter((asked): asked is Asked<Name> => asked.api === api)
  }

  /** Resolves when `count` requests of a kind have come, with the last of them. */
  async waitFor<Name extends ServedName>(api: Name, count = 1): Promise<Asked<Name>> {
    for (;;) {
      const found = this.asked(api)[count - 1]
      if (found !== undefined) return found
      await new Promise(resolve => this.#arrivals.once('request', resolve))
    }
  }

  /** Resolves when no connection is open any more. */
  async waitForNoConnections(): Promise<void> {
    while (this.#connections.size > 0) await new Promise(resolve => this.#arrivals.once('closed', resolve))
  }

  /** From now on writes each answer in pieces of `bytes`; gives how many it wrote. */
  sendInPieces(bytes: number): () => number {
    let pieces = 0
    this.#write = async (socket, answer) => {
      for (let at = 0; at < answer.length; at += bytes) {
        socket.write(answer.subarray(at, at + bytes))
        pieces++
        // So that the system does not put them together again.
        await new Promise(resolve => setImmediate(resolve))
      }
    }
    return () => pieces
  }

  /** Cuts every connection. */
  cut(): void {
    for (const { socket } of this.#connections) socket.destroy()
  }

  async close(): Promise<void> {
    this.cut()
    if (this.#server.listening) await new Promise(resolve => this.#server.close(resolve))
  }

  #accept(socket: Socket): void {
    const connection: Connection = { socket, index: this.#opened++, last: Promise.resolve() }
    this.#connections.add(connection)
    socket.on('error', () => {})
    socket.on('close', () => {
      this.#connections.delete(connection)
      this.#arrivals.emit('closed')
    })
    let received = Buffer.alloc(0)
    socket.on('data', chunk => {
      received = Buffer.concat([received, chunk])
      while (received.length >= 4 && received.length >= 4 + received.readInt32BE(0)) {
        const frame = received.subarray(4, 4 + received.readInt32BE(0))
        received = received.subarray(4 + frame.length)
        // As a broker does: one request of a connection after the other.
        connection.last = connection.last.then(() => this.#serve(connection, frame)).catch(() => void socket.destroy())
      }
    })
  }

  async #serve(connection: Connection, frame: Buffer): Promise<void> {
    const header = new Reader(frame, false, 'request')
    const [apiKey, version, correlationId] = [header.int16(), header.int16(), header.int32()]
    const clientId = header.nullableString()
    const [api] = (Object.keys(SERVED) as ServedName[]).filter(name => SERVED[name].api.apiKey === apiKey)
    if (api === undefined) {
      connection.socket.destroy()
      return
    }
    const served = SERVED[api]
    const isFlexible = version >= served.api.firstFlexibleVersion
    const body = new Reader(header.rest(), isFlexible, api)
    body.tags()
    const asked: Asked = { api, version, request: served.decode(version, body), connection: connection.index, at: performance.now() }
    const isKafkajs = api === 'ApiVersions' && version < 3 && clientId !== null && correlationId === 0
    if (!isKafkajs) this.requests.push(asked)
    this.#arrivals.emit('request')
    const encode = (response: never, id = correlationId) => encodeResponseFrame(served.api, version, id, served.encode(version, response))
    const script = isKafkajs ? undefined : this.#scripts.get(api)
    const answer = await script?.(asked, () => this.#respond(asked, false) as never, encode as never)
    if (answer === 'nothing') return
    if (answer === 'close') {
      connection.socket.destroy()
      return
    }
    if (answer !== undefined && 'bytes' in answer) {
      await this.#write(connection.socket, answer.bytes)
      if (answer.thenClose) connection.socket.end()
      return
    }
    await this.#write(connection.socket, encode((answer ?? (await this.#respondInTime(asked))) as never))
  }

  async #respondInTime(asked: Asked): Promise<ResponseOf<ServedName>> {
    const { maxWaitMs = 0 } = asked.request as { readonly maxWaitMs?: number }
    const deadline = asked.at + maxWaitMs
    for (;;) {
      const left = deadline - performance.now()
      const response = this.#respond(asked, left > 0)
      if (response !== undefined) return response
      await new Promise<void>(resolve => {
        const timer = setTimeout(resolve, left)
        timer.unref()
        this.#changes.once('change', () => {
          clearTimeout(timer)
          resolve()
        })
      })
    }
  }

  #respond({ api, request }: Asked, mayWait: boolean): ResponseOf<ServedName> | undefined {
    switch (api) {
      case 'ApiVersions':
        return apiVersionsResponse()
      case 'Metadata':
        return metadataResponse(this.#state, request as RequestOf<'Metadata'>)
      case 'ListOffsets':
        return listOffsetsResponse(this.#state, this.nodeId, request as RequestOf<'ListOffsets'>)
      case 'Fetch':
        return fetchResponse(this.#state, this.nodeId, request as RequestOf<'Fetch'>, mayWait)
      case 'OffsetForLeaderEpoch':
        return leaderEpochResponse(this.#state, this.nodeId, request as RequestOf<'OffsetForLeaderEpoch'>)
      default:
        throw api satisfies never
    }
  }
}

/**
 * Brokers that speak Kafka's wire format over real sockets and keep a small log in memory, for what a real cluster cannot be made to do on
 * demand. By themselves they behave; a test scripts what they get wrong.
 */
export class ScriptedCluster implements AsyncDisposable {
  readonly brokers: readonly ScriptedBroker[]
  readonly topics = new Map<string, ScriptedTopic>()
  readonly #addresses = new Map<number, { host: string; port: number }>()
  readonly #changes = new EventEmitter().setMaxListeners(0)

  private constructor(count: number) {
    const state = { addresses: this.#addresses, topics: this.topics }
    this.brokers = Array.from({ length: count }, (_, index) => new ScriptedBroker(index + 1, state, this.#changes))
  }

  /** Starts brokers with node ids from 1, and topics with ids in turn. */
  static async start(
    topics: Readonly<Record<string, readonly PartitionScript[]>>,
    { brokers: count = 1 }: { readonly brokers?: number } = {},
  ): Promise<ScriptedCluster> {
    const cluster = new ScriptedCluster(count)
    for (const broker of cluster.brokers) cluster.#addresses.set(broker.nodeId, await broker.listen())
    for (const [index, [name, partitions]] of Object.entries(topics).entries()) {
      cluster.topics.set(name, { topicId: topicIdOf(index + 1), partitions: partitions.map(scriptedPartition) })
    }
    return cluster
  }

  /** `host:port` of each broker. */
  get addresses(): string[] {
    return Array.from(this.#addresses.values(), ({ host, port }) => `${host}:${port}`)
  }

  /** The broker with the lowest node id, the only one where none were asked for. */
  get broker(): ScriptedBroker {
    const [first] = this.brokers
    if (first === undefined) throw new RangeError('A scripted cluster has a broker at least.')
    return first
  }

  partition(topic: string, index = 0): ScriptedPartition {
    const partition = this.topics.get(topic)?.partitions[index]
    if (partition === undefined) throw new RangeError(`The script has no ${topic}/${index}.`)
    return partition
  }

  /** Changes the log and lets fetches that wait look again. */
  change(what: () => void): void {
    what()
    this.#changes.emit('change')
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.brokers.map(broker => broker.close()))
  }
}
