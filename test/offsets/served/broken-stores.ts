import { MemoryOffsetStore, type MemoryStreams } from '../../../offsets/memory/memory-offset-store.ts'
import { systemClock } from '../../../src/core/clock.ts'
import { isRetryable } from '../../../src/core/errors.ts'
import type { HistoryEntry, HistoryOptions, Lease, ResetOptions, StreamSnapshot } from '../../../src/core/offset-store.ts'
import type { Batch, PartitionOffset } from '../../../src/core/values.ts'
import { ServedOffsetStore } from './served-offset-store.ts'

/** Looks whether it may begin, and then begins: between the two another client does the same. */
export class LooksBeforeItBegins extends MemoryOffsetStore {
  override async begin(lease: Lease, batch: Batch): Promise<void> {
    const { pending, lastBatchId } = await this.read(lease.stream)
    await new Promise(setImmediate)
    if (pending === undefined && batch.id === lastBatchId + 1) await super.reset(lease, [], { discard: true })
    await super.begin(lease, { ...batch, id: (await this.read(lease.stream)).lastBatchId + 1 })
  }
}

/** Writes all positions back, those it was not told to move as it read them. */
export class WritesBackWhatItRead extends MemoryOffsetStore {
  override async reset(lease: Lease, offsets: readonly PartitionOffset[], options: ResetOptions = {}): Promise<void> {
    const { offsets: read } = await this.read(lease.stream)
    await new Promise(setImmediate)
    const others = read.filter(({ partition }) => !offsets.some(at => at.partition === partition))
    await super.reset(lease, [...others, ...offsets], options)
  }
}

/** Compares the time of a lease with the clock of whoever asks. */
export class GoesByItsOwnClock extends MemoryOffsetStore {
  constructor(streams: MemoryStreams) {
    super(streams, { clock: { ...systemClock, monotonic: () => Date.now() } })
  }
}

/** Keeps a begun batch to itself until it is committed. */
export class BeginsInItsHead extends MemoryOffsetStore {
  readonly #begun = new Map<number, Batch>()

  override async begin(_lease: Lease, batch: Batch): Promise<void> {
    this.#begun.set(batch.id, batch)
  }

  override async commit(lease: Lease, batchId: number): Promise<void> {
    const begun = this.#begun.get(batchId)
    if (begun !== undefined) await super.begin(lease, begun)
    await super.commit(lease, batchId)
  }
}

/** Gives the id of a batch that was discarded to the next one. */
export class UsesIdsTwice extends MemoryOffsetStore {
  readonly #streams: MemoryStreams

  constructor(streams: MemoryStreams) {
    super(streams)
    this.#streams = streams
  }

  override async reset(lease: Lease, offsets: readonly PartitionOffset[], options: ResetOptions = {}): Promise<void> {
    const { lastBatchId } = await this.read(lease.stream)
    await super.reset(lease, offsets, options)
    const stream = this.#streams.get(lease.stream)
    if (stream !== undefined) stream.head = { ...stream.head, lastBatchId }
  }
}

/** Trims starts and resets like any other entry. */
export class ForgetsItsStarts extends MemoryOffsetStore {
  override async *history(stream: string, options: HistoryOptions = {}): AsyncGenerator<HistoryEntry> {
    for await (const entry of super.history(stream, options)) if (entry.kind === 'batch') yield entry
  }
}

/** Loads the whole history for whoever reads it. */
export class HoldsItsHistory extends MemoryOffsetStore {
  override async *history(stream: string, options: HistoryOptions = {}): AsyncGenerator<HistoryEntry> {
    const all = await Array.fromAsync(super.history(stream, options))
    for (const index of all.keys()) yield all[index] as HistoryEntry
  }
}

/** Never trims: keeps what was restored beside what it has. */
export class NeverTrims extends MemoryOffsetStore {
  static readonly #restored = new Map<string, StreamSnapshot>()

  override async restore(snapshot: StreamSnapshot): Promise<void> {
    NeverTrims.#restored.set(snapshot.stream, snapshot)
    await super.restore(snapshot)
  }

  override async *history(stream: string, options: HistoryOptions = {}): AsyncGenerator<HistoryEntry> {
    let oldest = Number.POSITIVE_INFINITY
    for await (const entry of super.history(stream, options)) {
      if (entry.seq < oldest - 1 && oldest !== Number.POSITIVE_INFINITY) break
      oldest = entry.seq
      yield entry
    }
    if (options.limit !== undefined) return
    for (const entry of NeverTrims.#restored.get(stream)?.history.toReversed() ?? []) if (entry.seq < oldest) yield entry
  }
}

type Asked = Parameters<ServedOffsetStore['ask']>

/** Takes a connection that ended for a success. */
export class HopesForTheBest extends ServedOffsetStore {
  override async ask(...of: Asked): Promise<unknown> {
    return super.ask(...of).catch(error => {
      if (!isRetryable(error)) throw error
    })
  }
}

/** Sends a call again, whatever it is, when its connection has ended. */
export class SendsAgain extends ServedOffsetStore {
  override async ask(...of: Asked): Promise<unknown> {
    return super.ask(...of).catch(error => {
      if (!isRetryable(error)) throw error
      return this.ask(...of)
    })
  }
}

/** Says that a connection that ended is nothing that may pass. */
export class GivesUp extends ServedOffsetStore {
  override async ask(...of: Asked): Promise<unknown> {
    return super.ask(...of).catch(error => {
      throw isRetryable(error) ? new Error('socket hang up') : error
    })
  }
}
