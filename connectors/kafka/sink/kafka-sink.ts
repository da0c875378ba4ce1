import { ConnectionError, isTidemarkError, JobError } from '../../../src/core/errors.ts'
import type { Log } from '../../../src/core/log.ts'
import type { FenceMark, ReadBackQuery, Sink, SinkContext } from '../../../src/core/sink.ts'
import type { Task } from '../../../src/core/values.ts'
import type { CompleteKafkaSourceOptions } from '../options.ts'
import { describeTarget } from '../source/describe-target.ts'
import { Fence } from './fence.ts'
import { ensureLedgerTopic } from './ledger/ledger-topic.ts'
import type { CompleteKafkaSinkOptions } from './options.ts'
import { Output } from './output.ts'
import { SinkCluster } from './producer/sink-cluster.ts'
import type { TransactionalProducer } from './producer/transactional-producer.ts'
import { readTopicLetters } from './read-letters.ts'
import { RowBatcher } from './records/row-batcher.ts'
import { isApplied, writeTask } from './write-task.ts'

type Identity = Pick<SinkContext, 'stream' | 'streamId' | 'output'>
type Held = { readonly output: Output; readonly fence: Fence }

/** {@link kafkaSink}: finds the output that a call is for, and opens the cluster when the first call comes. */
export class KafkaSink<Row> implements Sink<Row>, AsyncDisposable {
  readonly name: string
  readonly guarantee = 'exactly-once'
  /** Keys keep their order. */
  readonly ordering = 'partition'
  /** Who runs a task again takes its transactional id: a twin would end the attempt that it was to help. */
  readonly allowsTwins = false
  readonly target?: string
  readonly rewritten = { addsRows: true, sentence: 'written to the topic a second time' }
  readonly #options: CompleteKafkaSinkOptions<Row>
  readonly #ledgerReader: CompleteKafkaSourceOptions
  #cluster: SinkCluster | undefined
  readonly #outputs = new Map<string, Held>()

  /** `ledgerReader` are the options of a reader of the ledger topic. */
  constructor(options: CompleteKafkaSinkOptions<Row>, ledgerReader: CompleteKafkaSourceOptions) {
    const { kafka, topic, ledgerTopic } = options
    this.name = `kafka:${typeof topic === 'string' ? topic : 'by-row'}`
    const target = describeTarget(kafka, `${typeof topic === 'string' ? `topic ${topic}` : 'topics by row'}, ledger ${ledgerTopic}`)
    if (target !== undefined) this.target = target
    this.#options = options
    this.#ledgerReader = ledgerReader
  }

  async prepare(context: SinkContext): Promise<void> {
    const { topic, ledgerTopic } = this.#options
    const cluster = this.#open()
    const signal = cluster.session.signalOf(context.signal)
    if (typeof topic === 'string') await cluster.topic(topic, signal)
    await ensureLedgerTopic(cluster.session, ledgerTopic, signal)
    this.#hold(context)
  }

  async open(context: SinkContext): Promise<void> {
    this.#hold(context)
  }

  async fence(mark: FenceMark): Promise<void> {
    const { output, fence } = this.#hold(mark)
    await fence.raise(mark, output.cluster.session.closing)
  }

  async applied(task: Task): Promise<boolean> {
    const output = this.#outputOf(task)
    try {
      return await isApplied(output, task, output.cluster.session.closing)
    } catch (error) {
      // Asked before the first start, when nothing can be in: there is no ledger yet.
      const { topics } = isTidemarkError(error, 'CONFIG') ? error.details : {}
      if (Array.isArray(topics) && topics.includes(this.#options.ledgerTopic)) return false
      throw error
    }
  }

  async write(
    task: Task,
    rows: AsyncIterable<readonly Row[]>,
    context: { readonly signal: AbortSignal; readonly log: Log },
  ): Promise<void> {
    const output = this.#outputOf(task)
    const signal = output.cluster.session.signalOf(context.signal)
    signal.throwIfAborted()
    const sendRows = async (producer: TransactionalProducer) => {
      const countPartitions = async (topic: string) => (await output.cluster.topic(topic, signal)).leaders.size
      const batcher = new RowBatcher(this.#options, task, countPartitions)
      for await (const array of rows) await batcher.add(array, batches => producer.send(batches, signal))
      await producer.send(batcher.takeAll(), signal)
    }
    await writeTask(output, task, sendRows, signal)
  }

  readBack(query: ReadBackQuery): AsyncIterable<readonly unknown[]> {
    return readTopicLetters(this.#options, query)
  }

  async close(): Promise<void> {
    this.#cluster?.close(new ConnectionError(`${this.name} was closed.`, { retryable: false }))
    this.#cluster = undefined
    this.#outputs.clear()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  #hold({ stream, streamId, output: name }: Identity): Held {
    const key = JSON.stringify([stream, name])
    const held = this.#outputs.get(key)
    if (held?.output.owner.streamId === streamId) return held
    const { ledgerTopic, maxRequestBytes, transactionTimeoutMs, compression } = this.#options
    const destination = `${this.name} (ledger ${ledgerTopic})`
    const options = { destination, ledgerTopic, maxRequestBytes, transactionTimeoutMs, compression }
    const output = new Output(this.#open(), options, { stream, streamId, output: name })
    const made = { output, fence: new Fence(output) }
    this.#outputs.set(key, made)
    return made
  }

  #outputOf({ stream, output }: Task): Output {
    const held = this.#outputs.get(JSON.stringify([stream, output]))
    if (held !== undefined) return held.output
    throw new JobError(
      `${this.name} was given a task of output ${output} of stream ${stream} before it was opened for it: an executor calls open first.`,
    )
  }

  #open(): SinkCluster {
    this.#cluster ??= new SinkCluster(this.#ledgerReader)
    return this.#cluster
  }
}
