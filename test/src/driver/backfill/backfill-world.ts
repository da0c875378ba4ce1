import { memoryOffsets } from '../../../../offsets/memory/index.ts'
import { silentLog } from '../../../../src/core/log.ts'
import type { OffsetStore } from '../../../../src/core/offset-store.ts'
import type { StartingOffsets } from '../../../../src/core/source.ts'
import type { BackfillOptions, BackfillPlan, StreamJob } from '../../../../src/index.ts'
import { stream } from '../../../../src/index.ts'
import { type CollectingSink, collectingSink, type MemorySource, memorySource } from '../../../../src/testing/index.ts'

/** When the first record of a world was written. */
export const FIRST_AT = Date.UTC(2021, 10, 1)
export const MINUTE = 60_000

/** The moment `minutes` after the first record. */
export function minute(minutes: number): { readonly at: 'timestamp'; readonly timestamp: number } {
  return { at: 'timestamp', timestamp: FIRST_AT + minutes * MINUTE }
}

/** A topic `orders` in memory whose records come once a minute in each partition, a store, and a sink that adds rows; all of them outlive the jobs. */
export class BackfillWorld {
  readonly source: MemorySource
  readonly store: OffsetStore
  readonly sink: CollectingSink<string>
  readonly #startingOffsets: StartingOffsets

  constructor({
    partitions = 2,
    startingOffsets = { at: 'earliest' } as StartingOffsets,
    store = memoryOffsets() as OffsetStore,
    sink = collectingSink<string>({}),
  } = {}) {
    this.source = memorySource({ topics: { orders: partitions }, startingOffsets })
    this.store = store
    this.sink = sink
    this.#startingOffsets = startingOffsets
  }

  /** Appends `count` records to each partition, a minute after the last ones. */
  async fill(count: number, partitions?: readonly number[]): Promise<void> {
    for (const { partition, offset } of await this.source.latestOffsets()) {
      if (partitions !== undefined && !partitions.includes(partition)) continue
      for (let id = offset; id < offset + count; id++) {
        this.source.append('orders', partition, { value: `${partition}:${id}`, timestamp: FIRST_AT + id * MINUTE })
      }
    }
  }

  job({ maxRecordsPerBatch = 20, onDataLoss = 'fail' as 'fail' | 'skip' } = {}): StreamJob {
    const source = Object.assign(this.source, { startingOffsets: this.#startingOffsets })
    return stream({ name: 'orders', offsets: this.store, batchIntervalMs: 0, limits: { maxRecordsPerBatch }, onDataLoss, log: silentLog })
      .from(source)
      .map(record => String(record.value))
      .to(this.sink, { name: 'rows' })
  }

  async runLive(): Promise<void> {
    await (await this.job().start({ until: 'latest' })).done
  }

  plan(options: Pick<BackfillOptions, 'from' | 'to'> & Partial<BackfillOptions>): Promise<BackfillPlan> {
    return this.job().planBackfill(options)
  }

  async backfill(options: Pick<BackfillOptions, 'from' | 'to'> & Partial<BackfillOptions>) {
    const run = await this.job().backfill(options)
    return { ...(await run.done), plan: run.plan }
  }

  /** Rows that a stream has written, sorted as text. */
  rowsOf(name: string): string[] {
    return this.sink.collected.flatMap(({ task, rows }) => (task.stream === name ? [...rows] : [])).sort()
  }
}

/** The values of offsets `[from, until)` of each partition, sorted as text. */
export function values(partitions: readonly number[], from: number, until: number): string[] {
  return partitions.flatMap(partition => Array.from({ length: until - from }, (_, at) => `${partition}:${from + at}`)).sort()
}

/** Ranges as `0 [20, 40)`. */
export function shown({ ranges }: BackfillPlan): string[] {
  return ranges.map(({ partition, fromOffset, untilOffset }) => `${partition} [${fromOffset}, ${untilOffset})`)
}
