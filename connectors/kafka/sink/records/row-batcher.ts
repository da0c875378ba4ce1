import { ConfigError, RecordError } from '../../../../src/core/errors.ts'
import { nameRow, placeDetails, type RowPlace } from '../../../../src/core/name-row.ts'
import { showRange, type Task } from '../../../../src/core/values.ts'
import { showValue } from '../../../../src/util/show-value.ts'
import { type CompleteKafkaSinkOptions, isTopicName } from '../options.ts'
import type { FilledBatch } from '../producer/transactional-producer.ts'
import { BatchBuilder } from './batch-builder.ts'
import { checkPartition, partitionOfKey, Turns } from './choose-partition.ts'
import { type RowContent, rowContent } from './row-content.ts'

/** How many full batches' worth of bytes may be collected before they go, full or not. */
const MOST_BATCHES_HELD = 8
const NO_KEY = Buffer.alloc(0)

type TopicBatches = { readonly topic: string; readonly turns: Turns; readonly builders: (BatchBuilder | undefined)[] }

/** Turns a task's rows into record batches, one a partition at a time. Batches are handed over when full, when many are held, and at the end. */
export class RowBatcher<Row> {
  readonly #options: CompleteKafkaSinkOptions<Row>
  readonly #content: RowContent<Row>
  readonly #task: Task
  readonly #countPartitions: (topic: string) => Promise<number>
  readonly #topics = new Map<string, TopicBatches>()
  #scratch = Buffer.allocUnsafe(256)
  #full: FilledBatch[] = []
  #heldBytes = 0
  #count = 0

  constructor(options: CompleteKafkaSinkOptions<Row>, task: Task, countPartitions: (topic: string) => Promise<number>) {
    this.#options = options
    this.#content = rowContent(options)
    this.#task = task
    this.#countPartitions = countPartitions
  }

  /** Takes rows, and hands batches over as they are ready. */
  async add(rows: readonly Row[], hand: (batches: FilledBatch[]) => Promise<void>): Promise<void> {
    const { topic: named, maxRequestBytes } = this.#options
    for (const row of rows) {
      const topic = typeof named === 'string' ? named : named(row)
      const batches = this.#topics.get(topic) ?? (await this.#open(topic))
      try {
        this.#append(row, batches)
      } catch (error) {
        throw nameRow(error, this.#row, `for topic ${topic}`)
      }
      this.#count += 1
      if (this.#full.length > 0) await hand(this.#takeFull())
      else if (this.#heldBytes >= MOST_BATCHES_HELD * maxRequestBytes) await hand(this.takeAll())
    }
  }

  /** Everything that is held. */
  takeAll(): FilledBatch[] {
    const all = this.#takeFull()
    for (const { topic, builders } of this.#topics.values()) {
      builders.forEach((records, partition) => {
        if (records !== undefined) all.push({ topic, partition, records })
        builders[partition] = undefined
      })
    }
    this.#heldBytes = 0
    return all
  }

  #append(row: Row, { topic, turns, builders }: TopicBatches): void {
    const content = this.#content
    const key = content.key(row)
    let keyBytes: Uint8Array = NO_KEY
    let keyLength = -1
    if (typeof key === 'string') {
      if (key.length * 3 > this.#scratch.length) this.#scratch = Buffer.allocUnsafe(key.length * 3)
      keyBytes = this.#scratch
      keyLength = this.#scratch.write(key, 0, 'utf8')
    } else if (key !== null) {
      keyBytes = key
      keyLength = key.length
    }
    const partition = this.#choose(row, topic, turns, builders.length, keyBytes, keyLength)
    const value = content.value(row)
    const headers = content.headers(row)
    const timestamp = content.timestamp(row, this.#task.batchTime)

    let records = builders[partition]
    const before = records?.bytes ?? 0
    if (records === undefined || !records.append(keyBytes, keyLength, value, timestamp, headers)) {
      if (records !== undefined) {
        this.#full.push({ topic, partition, records })
        this.#heldBytes -= records.bytes
      }
      records = new BatchBuilder(this.#options.maxRequestBytes)
      builders[partition] = records
      if (!records.append(keyBytes, keyLength, value, timestamp, headers)) throw tooLarge(topic, this.#options.maxRequestBytes, value)
      this.#heldBytes += records.bytes
    } else this.#heldBytes += records.bytes - before
    if (keyLength < 0) turns.used(records.bytes - before)
  }

  #choose(row: Row, topic: string, turns: Turns, partitions: number, key: Uint8Array, keyLength: number): number {
    if (this.#options.partition !== undefined) return checkPartition(this.#options.partition(row), topic, partitions)
    return keyLength < 0 ? turns.next(partitions) : partitionOfKey(key, keyLength, partitions)
  }

  #takeFull(): FilledBatch[] {
    const full = this.#full
    this.#full = []
    return full
  }

  /** The row in hand. */
  get #row(): RowPlace {
    return { task: this.#task, place: this.#count }
  }

  async #open(topic: string): Promise<TopicBatches> {
    if (!isTopicName(topic)) throw noTopic(topic, this.#row)
    const partitions = await this.#countPartitions(topic).catch((error: unknown) => {
      throw nameRow(error, this.#row, `the first of its task for topic ${topic}`)
    })
    const { batchId, index } = this.#task
    const batches = { topic, turns: new Turns(batchId + index), builders: new Array<BatchBuilder | undefined>(partitions).fill(undefined) }
    this.#topics.set(topic, batches)
    return batches
  }
}

/** The job's function may give anything. */
function noTopic(given: unknown, row: RowPlace): RecordError {
  const { batchId, output, range } = row.task
  return new RecordError(
    `Row ${row.place + 1} of ${showRange(range)} (batch ${batchId}, output ${output}) has no topic: the function topic of kafkaSink gave ` +
      `${showValue(given)} for it, and must give the name of a topic: letters, digits, ".", "_" and "-". Mend it, or leave such rows out with a ` +
      'filter() before this output.',
    { details: placeDetails(row) },
  )
}

function tooLarge(topic: string, maxRequestBytes: number, value: Buffer | string | null): ConfigError {
  const bytes = value === null ? 0 : Buffer.byteLength(value)
  return new ConfigError(
    `A record for topic ${topic} has a value of ${bytes} bytes and does not fit a batch of ${maxRequestBytes} bytes. Raise maxRequestBytes of kafkaSink, ` +
      `and max.message.bytes of topic ${topic} with it.`,
    { details: { topic, bytes, maxRequestBytes } },
  )
}
