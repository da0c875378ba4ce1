import type { Duplex } from 'node:stream'
import { type Kafka, Kafka as KafkajsClient, logLevel, type SASLOptions } from 'kafkajs'
import { UnsupportedError } from '../../src/core/errors.ts'
import { isKafkajsClient } from '../../src/util/kafkajs-input.ts'
import type { KafkajsInput } from './options.ts'

/**
 * The parts of kafkajs 2.2.4 below its public surface that the store stands on: one cluster of connections, and requests one by one. Its producer
 * repeats what must not be repeated and hides the epoch it was given, and its consumer needs a group. That version is its last, so this stays as
 * it is; it is checked before use, and named nowhere else.
 */
export type KafkajsCluster = {
  retrier: Retrier
  readonly connectionPoolBuilder: { build(to?: object): Promise<KafkajsConnectionPool> }
  readonly brokerPool: { retrier: Retrier; logger: unknown; readonly metadata: { readonly brokers: readonly unknown[] } | null }
  connect(): Promise<void>
  disconnect(): Promise<void>
  addTargetTopic(topic: string): Promise<void>
  refreshMetadata(): Promise<void>
  findTopicPartitionMetadata(topic: string): readonly { readonly partitionId: number; readonly leader: number }[]
  findBroker(node: { readonly nodeId: number }): Promise<KafkajsBroker>
  findControllerBroker(): Promise<KafkajsBroker>
}

type Retrier = <T>(work: (bail: (error: unknown) => void, retryCount: number, retryTime: number) => Promise<T>) => Promise<T>

export type KafkajsConnectionPool = {
  readonly host: string
  readonly port: number
  readonly pool: readonly KafkajsConnection[]
  getConnection(index: number): Promise<KafkajsConnection>
}

export type KafkajsConnection = {
  socket?: Duplex
  logError: (message: string) => void
  readonly requestQueue: {
    readonly pending: readonly unknown[]
    readonly throttledUntil: number
    scheduleCheckPendingRequests(): void
  }
  send<T>(request: RawRequest<T>): Promise<T>
}

/** A request whose bytes are ours: kafkajs puts the header in front, and gives the response's body to `decode`. */
export type RawRequest<T> = {
  readonly request: {
    readonly apiKey: number
    readonly apiVersion: number
    readonly apiName: string
    /** What kafkajs takes for an encoder of its own. */
    readonly encode: () => Promise<{ readonly buf: Buffer; readonly buffer: Buffer }>
  }
  readonly response: { readonly decode: (body: Buffer) => Promise<T>; readonly parse: (decoded: T) => Promise<T> }
}

/** A request of our own bytes to one API, and what its answer says. */
export function rawRequest<T>(
  api: Pick<RawRequest<T>['request'], 'apiKey' | 'apiVersion' | 'apiName'>,
  encode: () => Buffer,
  decode: (body: Buffer) => T,
): RawRequest<T> {
  const asEncoder = async () => {
    const bytes = encode()
    return { buf: bytes, buffer: bytes }
  }
  return { request: { ...api, encode: asEncoder }, response: { decode: async body => decode(body), parse: async decoded => decoded } }
}

/** A producer session, as every request of it says. */
export type SessionIds = { readonly transactionalId: string; readonly producerId: string; readonly producerEpoch: number }
type Partitions<T> = readonly { readonly topic: string; readonly partitions: readonly T[] }[]

/** A record as kafkajs encodes it; a null value is a tombstone. */
export type KafkajsMessage = { readonly key: Buffer; readonly value: Buffer | null; readonly headers?: Readonly<Record<string, string>> }

export type KafkajsBroker = {
  /** What the broker speaks, by API key. */
  readonly versions: Readonly<Record<number, { readonly maxVersion: number }>> | null
  readonly connectionPool: KafkajsConnectionPool
  findGroupCoordinator(of: {
    readonly groupId: string
    readonly coordinatorType: number
  }): Promise<{ readonly coordinator: { readonly nodeId: number } }>
  initProducerId(of: {
    readonly transactionalId: string
    readonly transactionTimeout: number
  }): Promise<{ readonly producerId: string; readonly producerEpoch: number }>
  addPartitionsToTxn(request: SessionIds & { readonly topics: Partitions<number> }): Promise<unknown>
  addOffsetsToTxn(request: SessionIds & { readonly groupId: string }): Promise<unknown>
  txnOffsetCommit(
    request: SessionIds & {
      readonly groupId: string
      readonly topics: Partitions<{ readonly partition: number; readonly offset: string }>
    },
  ): Promise<unknown>
  endTxn(request: SessionIds & { readonly transactionResult: boolean }): Promise<unknown>
  produce(
    request: Partial<SessionIds> & {
      readonly acks: -1
      readonly topicData: Partitions<{
        readonly partition: number
        readonly firstSequence: number
        readonly messages: readonly KafkajsMessage[]
      }>
    },
  ): Promise<{ readonly topics: Partitions<{ readonly baseOffset: string; readonly logAppendTime: string }> }>
  listOffsets(request: {
    readonly replicaId: -1
    readonly isolationLevel: 0
    readonly topics: Partitions<{ readonly partition: number; readonly timestamp: number }>
  }): Promise<{ readonly responses: Partitions<{ readonly offset: string }> }>
  createTopics(request: { readonly topics: readonly object[]; readonly timeout: number }): Promise<unknown>
  describeConfigs(request: { readonly resources: readonly { readonly type: number; readonly name: string }[] }): Promise<{
    readonly resources: readonly {
      readonly configEntries: readonly { readonly configName: string; readonly configValue: string | null }[]
    }[]
  }>
}

const USED = [
  'connect',
  'disconnect',
  'addTargetTopic',
  'refreshMetadata',
  'findTopicPartitionMetadata',
  'findBroker',
  'findControllerBroker',
]

/** What kafkajs waits for by default is too short for TLS with a busy machine, 1 s, and too long for an answer, 30 s. */
const DEFAULTS = { logLevel: logLevel.NOTHING, connectionTimeout: 3_000, requestTimeout: 10_000 }

/** The client itself. One made here says nothing by itself: what fails is told by our own errors. */
export function kafkajsClient(input: KafkajsInput): Kafka {
  if (isKafkajsClient(input)) return input as Kafka
  // A copy: kafkajs leaves the authenticator it makes, password included, in the object it is given.
  const { sasl, ...config } = input as Exclude<KafkajsInput, Kafka>
  return new KafkajsClient({ ...DEFAULTS, ...config, ...(sasl && { sasl: { ...sasl } as SASLOptions }) })
}

/**
 * A cluster of its own, of a `Kafka` that may come from another copy of kafkajs. It tries everything once, for whoever asks knows what may be
 * repeated; and what fails is told by our errors alone. `made` is told of every pool of connections.
 */
export function createCluster(kafka: object, made: (pool: KafkajsConnectionPool) => void): KafkajsCluster {
  const symbol = Object.getOwnPropertySymbols(kafka).find(candidate => candidate.description === 'private:Kafka:createCluster')
  const create = symbol === undefined ? undefined : Reflect.get(kafka, symbol)
  if (typeof create !== 'function') throw unknownKafkajs('Kafka.createCluster')
  const cluster = create.call(kafka, { metadataMaxAge: 300_000, allowAutoTopicCreation: false }) as KafkajsCluster
  const missing = USED.find(name => typeof Reflect.get(cluster, name) !== 'function')
  if (missing !== undefined) throw unknownKafkajs(`Cluster.${missing}`)
  if (typeof cluster.connectionPoolBuilder?.build !== 'function') throw unknownKafkajs('Cluster.connectionPoolBuilder')
  if (typeof cluster.brokerPool?.retrier !== 'function') throw unknownKafkajs('Cluster.brokerPool.retrier')

  cluster.retrier = once
  cluster.brokerPool.retrier = once
  cluster.brokerPool.logger = SILENT
  const build = cluster.connectionPoolBuilder.build
  cluster.connectionPoolBuilder.build = async to => {
    const pool = await build(to)
    for (const connection of pool.pool ?? []) quieten(connection)
    made(pool)
    return pool
  }
  return cluster
}

/** The connection that everything goes over: kafkajs would open a second one for Fetch, and twice where two ask for it at once. */
export async function connectionOf(broker: KafkajsBroker): Promise<KafkajsConnection> {
  return broker.connectionPool.getConnection(0)
}

const once: Retrier = work => new Promise((resolve, reject) => void work(reject, 0, 0).then(resolve, reject))

const SILENT = { debug() {}, info() {}, warn() {}, error() {} }

/** After each answer kafkajs sets a timer of a negative time, which fires at once and sets the next: about 920 a second on an idle connection. */
function quieten(connection: KafkajsConnection): void {
  const queue = connection.requestQueue
  const schedule = queue?.scheduleCheckPendingRequests
  if (typeof schedule !== 'function' || !Array.isArray(queue.pending)) throw unknownKafkajs('RequestQueue.scheduleCheckPendingRequests')
  queue.scheduleCheckPendingRequests = () => {
    if (queue.pending.length > 0) schedule.call(queue)
  }
  connection.logError = () => {}
}

function unknownKafkajs(part: string): UnsupportedError {
  return new UnsupportedError(
    `The kafkajs that was given has no ${part} as 2.2.4 has it. kafkaOffsets works with kafkajs 2.2.4: install that version exactly, ` +
      'or pass kafka as a plain configuration and let Tidemark make the client.',
  )
}
