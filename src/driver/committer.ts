import type { Lease, OffsetStore } from '../core/offset-store.ts'
import type { RunnableJob } from '../core/runnable-job.ts'
import type { FenceMark, Sink } from '../core/sink.ts'
import type { Batch } from '../core/values.ts'
import type { World } from './driver-job.ts'
import type { RecentBatches } from './recent-batches.ts'
import { type RetryOptions, retrying } from './retry.ts'

/** What is said to outputs beyond the batch numbers. */
export type FenceFacts = Pick<RecentBatches, 'lastWritten'> & {
  /** At a start: outputs whose fence a person has looked at. */
  readonly adopt?: readonly string[]
}

/**
 * Writes a batch's life into the store and the outputs. A call whose outcome is unknown is sent again: the store takes the very same begin
 * or commit twice as once, so nothing is guessed.
 */
export class Committer {
  readonly #store: OffsetStore
  readonly #lease: Lease
  readonly #job: Pick<RunnableJob, 'outputs'>
  readonly #world: World
  readonly #retry: RetryOptions

  constructor(store: OffsetStore, lease: Lease, job: Pick<RunnableJob, 'outputs'>, world: World, retry: RetryOptions) {
    this.#store = store
    this.#lease = lease
    this.#job = job
    this.#world = world
    this.#retry = retry
  }

  /** Makes the intent durable: from here on the batch is these ranges, whoever runs it. */
  async begin(batch: Batch): Promise<void> {
    await this.#repeat(() => this.#store.begin(this.#lease, batch, { signal: this.#retry.signal }))
  }

  /**
   * Raises the fence of every output named. Before a batch's first task, and after a takeover also without a batch: a paused executor of
   * the driver before could otherwise write into a batch that is complete.
   */
  async fence(outputs: readonly string[], lastBegun: number, lastComplete: number, about: FenceFacts): Promise<void> {
    const { stream, streamId, epoch, owner } = this.#lease
    await this.#forEachSink(outputs, (sink, output) => {
      const lastWritten = about.lastWritten.get(output)
      const mark: FenceMark = {
        ...{ stream, streamId, output, epoch, owner, lastBegun, lastComplete },
        ...(lastWritten !== undefined && { lastWritten }),
        ...(about.adopt?.includes(output) && { adopt: true }),
      }
      return sink.fence?.(mark)
    })
  }

  /** Completes the batch: each output first, then the offsets of all partitions at once. */
  async commit(batch: Batch, outputs: readonly string[]): Promise<void> {
    await this.#forEachSink(outputs, (sink, output) => sink.commitBatch?.({ ...batch, stream: this.#lease.stream, output }))
    await this.#repeat(() => this.#store.commit(this.#lease, batch.id, { signal: this.#retry.signal }))
  }

  async #forEachSink(outputs: readonly string[], call: (sink: Sink<never>, output: string) => Promise<void> | undefined): Promise<void> {
    for (const output of outputs) {
      const sink = this.#job.outputs.get(output)?.sink
      if (sink !== undefined) await this.#repeat(async () => call(sink, output))
    }
  }

  #repeat(call: () => Promise<void>): Promise<void> {
    return retrying(this.#world, this.#retry, call)
  }
}
