import { onTestFinished } from 'vitest'
import { type KafkaRecord, type KafkaSinkOptions, kafkaSink, kafkaSource } from '../../../../connectors/kafka/index.ts'
import { silentLog } from '../../../../src/core/log.ts'
import type { FenceMark, Sink } from '../../../../src/core/sink.ts'
import type { OffsetRange, Task } from '../../../../src/core/values.ts'
import type { KafkaAddress } from '../../../support/cluster/kafka-cluster.ts'
import { createTopic, kafkaCluster, uniqueName } from '../../../support/kafka.ts'
import { type OracleRecord, readAll, recordCrc } from '../../../support/oracle.ts'
import { waitUntil } from '../../../support/services/wait-until.ts'
import { API, faultySockets } from './faulty-socket.ts'

const NEVER = new AbortController().signal

/** What `write` is called with when nobody aborts. */
export const running = { signal: NEVER, log: silentLog }

export type Order = { readonly id: number }
export type TaskParts = Partial<Omit<Task, 'range'>> & { readonly range?: Partial<OffsetRange> }
type Options = Partial<KafkaSinkOptions<Order>>

/** One stream with one output into one topic, and as many processes as a test needs that write to it. */
export class SinkWorld {
  readonly kafka: KafkaAddress
  readonly topic: string
  readonly stream = uniqueName('stream')
  readonly streamId = uniqueName('id')
  readonly output: string
  readonly #options: Options

  private constructor(kafka: KafkaAddress, topic: string, { output = 'out', ...options }: Options & { output?: string }) {
    this.kafka = kafka
    this.topic = topic
    this.output = output
    this.#options = options
  }

  static async open({
    partitions = 2,
    assignment,
    on: kafka = kafkaCluster(),
    ...options
  }: Options & WorldOptions = {}): Promise<SinkWorld> {
    const topic = await createTopic(uniqueName('sink'), assignment === undefined ? { partitions } : { assignment }, kafka)
    return new SinkWorld(kafka, topic, options)
  }

  /** A sink as a process of its own has it. */
  async sink(options: Options = {}): Promise<Sink<Order>> {
    const sink = kafkaSink<Order>({ kafka: { brokers: this.kafka.brokers }, topic: this.topic, ...this.#options, ...options })
    onTestFinished(() => sink.close())
    await sink.prepare(this.context())
    await sink.open(this.context())
    return sink
  }

  context() {
    return { stream: this.stream, streamId: this.streamId, output: this.output, signal: NEVER, log: silentLog }
  }

  /** The fence of a batch that is begun; those before it are complete. */
  mark(epoch: number, lastBegun: number, parts: Partial<FenceMark> = {}): FenceMark {
    const { stream, streamId, output } = this
    return { stream, streamId, output, epoch, owner: `host:${epoch}`, lastBegun, lastComplete: lastBegun - 1, ...parts }
  }

  /** Task 0 of batch 1 under epoch 1, where nothing else is said. */
  task({ range, ...parts }: TaskParts = {}): Task {
    const { stream, output } = this
    const { index = 0, batchId = 1 } = parts
    const fromOffset = batchId * 100
    return {
      ...{ stream, output, batchId, index, epoch: 1, batchTime: 1_700_000_000_000, attempt: uniqueName('attempt') },
      range: { topic: 'orders', partition: index, fromOffset, untilOffset: fromOffset + 100, ...range },
      ...parts,
    }
  }

  /** What the Java consumer reads under read_committed: the oracle, and a second or two of a JVM's start. */
  async byJava(): Promise<OracleRecord[]> {
    await markersAreIn(this.kafka, this.topic)
    return readAll(this.kafka, this.topic, 'read_committed')
  }

  /** How often the Java consumer sees each order, by id. */
  async seenByJava(): Promise<Record<number, number>> {
    const ids = new Map(Array.from({ length: MOST_ORDERS }, (_, id) => [orderCrc(id), id]))
    return countIds((await this.byJava()).map(({ crc }) => ids.get(crc)))
  }

  /** The same as our own source reads it, which other tests hold to what Java reads. */
  async seen(): Promise<Record<number, number>> {
    return countIds((await readCommitted(this.kafka, this.topic)).map(({ value }) => (JSON.parse(String(value)) as Order).id))
  }
}

const MARKER_WITHIN_MS = 2_000

/** A commit is answered before its marker is in the log. What some tests leave open on purpose is waited for in vain. */
async function markersAreIn(kafka: KafkaAddress, topic: string): Promise<void> {
  await using committed = kafkaSource({ kafka: { brokers: kafka.brokers }, topics: [topic] })
  await using all = kafkaSource({ kafka: { brokers: kafka.brokers }, topics: [topic], isolation: 'read_uncommitted' })
  const isSettled = async () => JSON.stringify(await committed.latestOffsets()) === JSON.stringify(await all.latestOffsets())
  await waitUntil('no transaction is open', isSettled, { timeoutMs: MARKER_WITHIN_MS }).catch(() => {})
}

/** What a topic holds under read_committed, as our own source reads it, partition after partition. */
export async function readCommitted(kafka: KafkaAddress, topic: string): Promise<KafkaRecord[]> {
  await markersAreIn(kafka, topic)
  await using source = kafkaSource({ kafka: { brokers: kafka.brokers }, topics: [topic] })
  const ranges = (await source.latestOffsets()).map(({ partition, offset }) => ({ topic, partition, fromOffset: 0, untilOffset: offset }))
  const arrays = await Promise.all(ranges.map(range => Array.fromAsync(source.read(range))))
  return arrays.flat(2)
}

function countIds(ids: readonly (number | undefined)[]): Record<number, number> {
  const counts: Record<number, number> = {}
  for (const id of ids) {
    if (id === undefined) throw new Error('The topic has a record that nobody wrote.')
    counts[id] = (counts[id] ?? 0) + 1
  }
  return counts
}

type WorldOptions = {
  readonly partitions?: number
  readonly assignment?: readonly (readonly number[])[]
  readonly on?: KafkaAddress
  readonly output?: string
}

const MOST_ORDERS = 5_000

function orderCrc(id: number): number {
  return recordCrc({ key: null, value: Buffer.from(JSON.stringify({ id })), headers: [] })
}

/** Each id once. */
export function once(...ids: number[]): Record<number, number> {
  return Object.fromEntries(ids.map(id => [id, 1]))
}

/** Orders as a task brings them. */
export async function* orders(...ids: number[]): AsyncGenerator<Order[]> {
  yield ids.map(id => ({ id }))
}

/** Orders of an attempt that is held up once it has drawn its rows: `reached` says that it is there, `go` lets it end. */
export function heldOrders(...ids: number[]) {
  const reached = Promise.withResolvers<void>()
  const go = Promise.withResolvers<void>()
  async function* rows(): AsyncGenerator<Order[]> {
    yield ids.map(id => ({ id }))
    reached.resolve()
    await go.promise
  }
  return { rows: rows(), reached: reached.promise, go: () => go.resolve() }
}

/**
 * Task 0 of batch 1 by an executor that waits in front of its commit, until `commit` is called; and another sink, `asking`, which has `looked` at the
 * ledger when it has seen that transaction open.
 */
export async function committing(world: SinkWorld) {
  const driver = await world.sink()
  await driver.fence?.(world.mark(1, 1))
  const [reached, released, looked] = [Promise.withResolvers<void>(), Promise.withResolvers<void>(), Promise.withResolvers<void>()]
  const held = faultySockets({
    match: api => api === API.endTxn,
    fault: () => {
      reached.resolve()
      return released.promise
    },
  })
  const writer = await world.sink({ kafka: { brokers: world.kafka.brokers, socketFactory: held.socketFactory } })
  const writing = writer.write(world.task(), orders(1), running)
  await reached.promise
  let looks = 0
  // A first look asks where the log ends and where it begins; the next is another.
  const watched = faultySockets({
    match: api => {
      if (api === API.listOffsets && ++looks === 3) looked.resolve()
      return false
    },
    fault: 'lose-answer',
  })
  const asking = await world.sink({ kafka: { brokers: world.kafka.brokers, socketFactory: watched.socketFactory } })
  return { asking, looked: looked.promise, writing, commit: () => released.resolve() }
}

/** Rows that nobody may ask for: of a task that is in already. */
export async function* undrawn(): AsyncGenerator<Order[]> {
  yield await Promise.reject(new Error('The rows of a task that is in were drawn.'))
}
