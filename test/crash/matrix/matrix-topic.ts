import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Endpoint } from '../../connectors/http/endpoint.ts'
import { createTopic, kafkaCluster, uniqueName } from '../../support/kafka.ts'
import { readAll } from '../../support/oracle.ts'
import { produce } from '../../support/produce.ts'
import { services } from '../../support/services.ts'
import { openHttpEndpoint } from './http-endpoint.ts'
import type { MatrixStream, OutputKind, StoreKind } from './plan.ts'
import { prepareOutput } from './read-output.ts'

/** A topic of two partitions with committed and aborted transactions, and what Java reads of it. */
export class MatrixTopic {
  readonly topic: string
  /** Every record under read_committed as `partition:offset`, sorted as text. */
  readonly byJava: readonly string[]
  readonly #folder: string
  readonly #endpoint: Endpoint

  private constructor(topic: string, byJava: readonly string[], folder: string, endpoint: Endpoint) {
    this.topic = topic
    this.byJava = byJava
    this.#folder = folder
    this.#endpoint = endpoint
  }

  static async fill(about: string, count: number): Promise<MatrixTopic> {
    const topic = await createTopic(uniqueName(about), { partitions: 2 })
    await produce(kafkaCluster(), { topic, count, keys: true, transactionRecords: 25, abortEvery: 5, producers: 2 })
    const records = await readAll(kafkaCluster(), topic, 'read_committed')
    const byJava = records.map(({ partition, offset }) => `${partition}:${offset}`).sort()
    return new MatrixTopic(topic, byJava, await mkdtemp(join(tmpdir(), 'tidemark-matrix-')), await openHttpEndpoint())
  }

  /** A new stream that reads the topic, with what its output writes into. */
  async stream(store: StoreKind, output: OutputKind, options: Partial<MatrixStream> = {}): Promise<MatrixStream> {
    const name = uniqueName('matrix')
    const stream: MatrixStream = {
      ...{ stream: name, store, output, target: name.replaceAll('-', '_'), folder: join(this.#folder, name) },
      ...{ brokers: kafkaCluster().brokers, topic: this.topic, ...services(), http: this.#endpoint.url },
      // Whoever was there before is dead, and nobody need wait for the end of its lease.
      ...{ recordsPerBatch: 40, leaseTtlMs: 10_000, until: 'latest', steal: true, ...options },
    }
    await mkdir(stream.folder, { recursive: true })
    await prepareOutput(stream, kafkaCluster())
    if (stream.alsoInto !== undefined) await prepareOutput({ ...stream, target: stream.alsoInto }, kafkaCluster())
    return stream
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#endpoint.close()
    await rm(this.#folder, { recursive: true, force: true })
  }
}
