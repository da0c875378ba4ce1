import { memoryOffsets } from '../../../offsets/memory/index.ts'
import { JOB_BRAND } from '../../../src/core/brands.ts'
import type { StreamEvent } from '../../../src/core/events.ts'
import { silentLog } from '../../../src/core/log.ts'
import type { HistoryEntry, OffsetStore } from '../../../src/core/offset-store.ts'
import { systemRandom } from '../../../src/core/random.ts'
import type { OffsetRange } from '../../../src/core/values.ts'
import { Driver } from '../../../src/driver/driver.ts'
import type { NextBatch } from '../../../src/driver/inspect-job.ts'
import { inProcess, type StreamJob, type StreamOptions, stream } from '../../../src/index.ts'
import { completeOptions } from '../../../src/streams/options.ts'
import { type CollectingSink, collectingSink, type ManualClock, type MemorySource, memorySource } from '../../../src/testing/index.ts'

/** A stream `orders` of two partitions whose records are numbers, with what outlives its runs. */
export type LossyWorld = {
  source: MemorySource
  readonly store: OffsetStore
  readonly sink: CollectingSink<number>
  readonly events: StreamEvent[]
  /** Called with every event, before the driver goes on. */
  onEvent: (event: StreamEvent) => void
}

export function lossyWorld(source = memorySource({ topics: { orders: 2 } })): LossyWorld {
  return { source, store: memoryOffsets(), sink: collectingSink<number>(), events: [], onEvent: () => {} }
}

/** One start of the stream, as another process would make it: batches of two records a partition, one task at a time. */
export function declareOrders(here: LossyWorld, options: Partial<StreamOptions> = {}): StreamJob {
  return stream({
    name: 'orders',
    offsets: here.store,
    batchIntervalMs: 0,
    limits: { maxRecordsPerBatch: 4 },
    log: silentLog,
    executor: inProcess({ concurrency: 1 }),
    listeners: [
      event => {
        here.events.push(event)
        here.onEvent(event)
      },
    ],
    ...options,
  })
    .from(here.source)
    .map(record => Number(record.value))
    .to(here.sink)
}

/** Appends `ids`, the even ones to partition 0. */
export function appendIds(source: MemorySource, from: number, until: number): void {
  for (let id = from; id < until; id++) source.append('orders', id % 2, { value: String(id) })
}

/** Every number that is in the source's logs now. */
export async function existing(source: MemorySource): Promise<number[]> {
  const ends = new Map((await source.latestOffsets()).map(end => [`${end.topic}/${end.partition}`, end.offset]))
  const found: number[] = []
  for (const { topic, partition, offset } of await source.earliestOffsets()) {
    const range = { topic, partition, fromOffset: offset, untilOffset: ends.get(`${topic}/${partition}`) ?? offset }
    for await (const records of source.read(range)) found.push(...records.map(record => Number(record.value)))
  }
  return found.sort((a, b) => a - b)
}

export async function historyOf(store: OffsetStore): Promise<HistoryEntry[]> {
  return (await Array.fromAsync(store.history('orders'))).reverse()
}

/** What was told to be lost, as `cause topic/partition [from, until)`, sorted. */
export function toldLosses(events: readonly StreamEvent[]): string[] {
  return events.flatMap(event => (event.type === 'dataLoss' ? showMissing(event.cause, event.missing) : [])).sort()
}

export function showMissing(cause: string, missing: readonly OffsetRange[]): string[] {
  return missing.map(({ topic, partition, fromOffset, untilOffset }) => `${cause} ${topic}/${partition} [${fromOffset}, ${untilOffset})`)
}

/** Resolves when an event that `test` asks for has come. */
export function seen(here: LossyWorld, test: (event: StreamEvent) => boolean): Promise<void> {
  if (here.events.some(test)) return Promise.resolve()
  return new Promise(resolve => {
    const before = here.onEvent
    here.onEvent = event => {
      before(event)
      if (test(event)) resolve()
    }
  })
}

/** What `tidemark plan` prints. */
export function inspectOrders(here: LossyWorld, options: Partial<StreamOptions> = {}): Promise<NextBatch> {
  const job = declareOrders(here, options) as unknown as Record<symbol, { inspect(options: { signal: AbortSignal }): Promise<NextBatch> }>
  const internals = job[JOB_BRAND]
  if (internals === undefined) throw new RangeError('A job has its internals.')
  return internals.inspect({ signal: new AbortController().signal })
}

/** The same stream without stages of its own, by a clock that stands still: its rows are the records. */
export function driveOrders(here: LossyWorld, clock: ManualClock, options: Partial<StreamOptions> = {}): Driver {
  const { source, sink, store } = here
  const stages = [{ kind: 'map', label: 'map', concurrency: 1, apply: (record: { value: Buffer }) => Number(record.value) }] as const
  const complete = completeOptions({ name: 'orders', batchIntervalMs: 0, limits: { maxRecordsPerBatch: 4 }, ...options })
  return new Driver(
    {
      stream: 'orders',
      store,
      sources: [{ name: 'memory', source, isolation: 'read_uncommitted', startingOffsets: { at: 'earliest' } }],
      outputs: new Map([['collect', { name: 'collect', source, stages, sink: sink as never }]]),
      batchFunctions: new Map(),
      demanded: undefined,
      hash: 'by hand',
      executor: inProcess({}, { clock }),
      options: complete.driver(),
      listeners: [
        event => {
          here.events.push(event)
          here.onEvent(event)
        },
      ],
      log: silentLog,
      world: { clock, random: systemRandom },
    },
    {},
  )
}
