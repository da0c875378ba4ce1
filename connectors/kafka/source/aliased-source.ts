import { DataLossError, isDataLoss, isTidemarkError } from '../../../src/core/errors.ts'
import type { CallOptions, Isolation, ReadOptions, Source, StartingOffsets } from '../../../src/core/source.ts'
import type { OffsetRange, PartitionOffset, TopicPartition } from '../../../src/core/values.ts'
import type { KafkaRecord } from '../record.ts'
import type { KafkaSource } from './kafka-source.ts'

/** Stands between alias and topic: no topic of Kafka can have it. */
const SEPARATOR = ':'

/**
 * A source under an alias, so that two clusters with topics of one name can be read in one job: to the job topic `orders` of alias `eu` is
 * `eu:orders`, in offsets, ranges, records and errors. The cluster never hears of it.
 */
export class AliasedSource implements Source<KafkaRecord>, AsyncDisposable {
  readonly name: string
  readonly target?: string
  readonly startingOffsets: StartingOffsets
  readonly isolation: Isolation
  readonly findsTopics: boolean
  readonly commitToGroup?: NonNullable<Source<KafkaRecord>['commitToGroup']>
  readonly #source: KafkaSource
  readonly #prefix: string

  constructor(source: KafkaSource, alias: string) {
    this.#source = source
    this.#prefix = `${alias}${SEPARATOR}`
    this.name = `${source.name} as ${alias}`
    if (source.target !== undefined) this.target = source.target
    this.isolation = source.isolation
    this.findsTopics = source.findsTopics
    this.startingOffsets = this.#aliasStart(source.startingOffsets)
    const { commitToGroup } = source
    if (commitToGroup === undefined) return
    this.commitToGroup = (offsets, options) => {
      const own = offsets.filter(({ topic }) => topic.startsWith(this.#prefix))
      return this.#naming(commitToGroup(this.#unalias(own), options))
    }
  }

  names(topic: string): boolean {
    return topic.startsWith(this.#prefix) && this.#source.names(this.#bare(topic))
  }

  remember(topics: readonly string[]): void {
    this.#source.remember(topics.map(topic => this.#bare(topic)))
  }

  async partitions(options?: CallOptions): Promise<TopicPartition[]> {
    return this.#alias(await this.#naming(this.#source.partitions(options)))
  }

  async earliestOffsets(options?: CallOptions): Promise<PartitionOffset[]> {
    return this.#alias(await this.#naming(this.#source.earliestOffsets(options)))
  }

  async latestOffsets(options?: CallOptions): Promise<PartitionOffset[]> {
    return this.#alias(await this.#naming(this.#source.latestOffsets(options)))
  }

  async offsetsForTimestamp(timestamp: number, options?: CallOptions): Promise<PartitionOffset[]> {
    return this.#alias(await this.#naming(this.#source.offsetsForTimestamp(timestamp, options)))
  }

  async committedOffsets(group: string, options?: CallOptions): Promise<PartitionOffset[]> {
    return this.#alias(await this.#naming(this.#source.committedOffsets(group, options)))
  }

  async epochEndOffsets(positions: readonly PartitionOffset[], options?: CallOptions): Promise<PartitionOffset[]> {
    return this.#alias(await this.#naming(this.#source.epochEndOffsets(this.#unalias(positions), options)))
  }

  async awaitRecords(from: readonly PartitionOffset[], options?: CallOptions): Promise<PartitionOffset[]> {
    return this.#alias(await this.#naming(this.#source.awaitRecords(this.#unalias(from), options)))
  }

  prefetch(ranges: readonly OffsetRange[], options: ReadOptions): void {
    this.#source.prefetch(this.#unalias(ranges), options)
  }

  async *read(range: OffsetRange, options: ReadOptions = {}): AsyncGenerator<readonly KafkaRecord[]> {
    const { onDataLoss, ...rest } = options
    const told = onDataLoss && { onDataLoss: (loss: DataLossError) => onDataLoss(this.#aliasLoss(loss)) }
    const [bare] = this.#unalias([range])
    try {
      yield* this.#source.readAs(bare as OffsetRange, range.topic, { ...rest, ...told })
    } catch (error) {
      // One that `onDataLoss` threw has its alias already.
      if (isDataLoss(error) && error.missing.every(({ topic }) => !topic.startsWith(this.#prefix))) throw this.#aliasLoss(error)
      throw this.#named(error)
    }
  }

  close(): Promise<void> {
    return this.#source.close()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  #bare(topic: string): string {
    return topic.startsWith(this.#prefix) ? topic.slice(this.#prefix.length) : topic
  }

  #naming<T>(answer: Promise<T>): Promise<T> {
    return answer.catch(error => {
      throw this.#named(error)
    })
  }

  /** Says of which cluster an error tells: its topic may be in the others too. Several who wait for one answer are given the same error. */
  #named(error: unknown): unknown {
    if (isTidemarkError(error) && !error.message.includes(this.#prefix)) error.message = `${this.#prefix} ${error.message}`
    return error
  }

  #alias<At extends TopicPartition>(all: readonly At[]): At[] {
    return all.map(at => ({ ...at, topic: `${this.#prefix}${at.topic}` }))
  }

  #unalias<At extends TopicPartition>(all: readonly At[]): At[] {
    return all.map(at => ({ ...at, topic: this.#bare(at.topic) }))
  }

  #aliasLoss(loss: DataLossError): DataLossError {
    const { resumeAt, cause } = loss
    return new DataLossError(loss.lossCause, `${this.#prefix}${loss.message}`, this.#alias(loss.missing), {
      cause,
      ...(resumeAt !== undefined && { resumeAt }),
    })
  }

  /** People name topics as the cluster does; with the alias it is the same topic. */
  #aliasStart(start: StartingOffsets): StartingOffsets {
    if (start.at === 'exact') return { ...start, offsets: this.#alias(this.#unalias(start.offsets)) }
    if (start.at === 'each') return { ...start, partitions: this.#alias(this.#unalias(start.partitions)) }
    return start
  }
}
