import { Agent, type ClientRequestArgs } from 'node:http'
import { connect, Socket } from 'node:net'
import { Redis } from 'ioredis'
import { Pool } from 'pg'
import { consoleSink } from '../../../connectors/console/index.ts'
import { jsonlSink, parquetSink } from '../../../connectors/files/index.ts'
import { httpSink } from '../../../connectors/http/index.ts'
import { kafkaSink } from '../../../connectors/kafka/index.ts'
import { postgresSink } from '../../../connectors/postgres/index.ts'
import { redisSink } from '../../../connectors/redis/index.ts'
import { APPLY } from '../../../connectors/redis/scripts.ts'
import type { Sink } from '../../../src/core/sink.ts'
import { strikeNow } from '../strike.ts'
import type { MatrixStream } from './plan.ts'

/** A record's place, as every output of the matrix writes it. */
export type PlaceRow = { readonly topic: string; readonly part: number; readonly place: number }

/** Postgres' `CopyDone`: behind it the server goes through to the ledger row and the commit by itself. */
const COPY_DONE = Buffer.from([0x63, 0, 0, 0, 4])
/** Kafka's request that ends a transaction. */
const END_TXN = 26

/** The output of a stream of the matrix, with a place to strike before and after the bytes of a task's ledger write have left. */
export function openOutput({ output, target, folder, brokers, postgres, redis, http, ledgerTopic }: MatrixStream): Sink<PlaceRow> {
  switch (output) {
    case 'postgres append':
      return postgresSink<PlaceRow>({ pool: strikingPool(postgres), table: target })
    case 'postgres upsert':
      return postgresSink<PlaceRow>({ pool: strikingPool(postgres), table: target, key: ['topic', 'part', 'place'] })
    case 'routed postgres':
      return postgresSink<PlaceRow>({
        pool: strikingPool(postgres, isRoutedLedgerWrite),
        table: ({ place }) => routedTables(target)[place % 2] as string,
      })
    case 'redis':
      return redisSink<PlaceRow>({ client: strikingRedis(redis), stream: { key: target } })
    case 'kafka':
      return kafkaSink<PlaceRow>({
        kafka: { brokers: [...brokers], logLevel: 0, socketFactory: strikingKafkaSocket },
        topic: target,
        ...(ledgerTopic !== undefined && { ledgerTopic }),
      })
    case 'files':
      return jsonlSink({ directory: `${folder}/rows` })
    case 'rolled files':
      // About three batches to a file, in a folder a partition.
      return parquetSink<PlaceRow>({
        directory: `${folder}/rows`,
        columns: { topic: 'string', part: 'int32', place: 'int64' },
        partitionBy: { part: 'part' },
        rollBytes: 1_500,
        keepReplacedMs: 0,
      })
    case 'http':
      strikeRequests()
      return httpSink<PlaceRow>({ url: `${http}/${target}`, honoursKeys: true, maxRowsPerRequest: 7 })
    case 'console':
      return consoleSink()
    default:
      return output satisfies never
  }
}

/** The tables that rows are routed to by their place: one that is copied into, and one that is merged into, which has a key. */
export function routedTables(target: string): readonly [string, string] {
  return [`${target}_copied`, `${target}_merged`]
}

/** The one message of merges, ledger row and commit, behind all COPYs of a task. */
function isRoutedLedgerWrite(bytes: Buffer): boolean {
  return bytes[0] === 0x51 && bytes.includes('insert into') && bytes.includes('sink_ledger') && bytes.includes('commit')
}

function isCopyDone(bytes: Buffer): boolean {
  return bytes.subarray(-COPY_DONE.length).equals(COPY_DONE)
}

function strikingPool(connectionString: string, isLedgerWrite = isCopyDone): Pool {
  const pool = new Pool({ connectionString, stream: () => strikingSocket(new Socket(), isLedgerWrite) })
  // What a dropped idle connection says is said again by whoever uses the next.
  pool.on('error', () => {})
  return pool
}

function strikingKafkaSocket({ host, port, onConnect }: { host: string; port: number; onConnect: () => void }): Socket {
  // Fences have transactions too, under an id that ends so.
  const isEndTxn = (bytes: Buffer) => bytes.length > 8 && bytes.readInt16BE(4) === END_TXN && !bytes.includes('-fence')
  return strikingSocket(connect({ host, port }, onConnect), isEndTxn)
}

/** Once it is connected, for `connect` gives a socket its own `write` back. */
function strikingSocket(socket: Socket, isLedgerWrite: (bytes: Buffer) => boolean): Socket {
  return socket.prependOnceListener('connect', () => strikeWrites(socket, isLedgerWrite))
}

function strikeWrites(socket: Socket, isLedgerWrite: (bytes: Buffer) => boolean): void {
  const write = socket.write.bind(socket) as (chunk: unknown, ...rest: unknown[]) => boolean
  socket.write = ((chunk: unknown, ...rest: unknown[]) => {
    if (!Buffer.isBuffer(chunk) || !isLedgerWrite(chunk)) return write(chunk, ...rest)
    strikeNow('before', 'ledger')
    return write(chunk, () => strikeNow('after', 'ledger'))
  }) as Socket['write']
}

function strikingRedis(url: string): Redis {
  const client = new Redis(url, { lazyConnect: true, maxRetriesPerRequest: 0 })
  client.on('error', () => {})
  const call = client.call.bind(client) as (command: string, args: unknown[]) => Promise<unknown>
  client.call = (async (command: string, args: unknown[]) => {
    if (args[0] !== APPLY.sha && args[0] !== APPLY.text) return call(command, args)
    strikeNow('before', 'ledger')
    const answer = await call(command, args)
    strikeNow('after', 'ledger')
    return answer
  }) as typeof client.call
  return client
}

/** Before and after the body of a request has left; its head is text. */
function strikeRequests(): void {
  const create = Agent.prototype.createConnection
  Agent.prototype.createConnection = function (this: Agent, options: ClientRequestArgs, ...rest) {
    const socket = create.call(this, options, ...rest) as Socket
    strikeWrites(socket, () => true)
    return socket
  }
}
