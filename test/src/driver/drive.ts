import { setImmediate } from 'node:timers/promises'
import { memoryOffsets } from '../../../offsets/memory/index.ts'
import type { BatchInfo, StreamEvent } from '../../../src/core/events.ts'
import { silentLog } from '../../../src/core/log.ts'
import type { OffsetStore } from '../../../src/core/offset-store.ts'
import type { Sink } from '../../../src/core/sink.ts'
import { type DriveOptions, Driver } from '../../../src/driver/driver.ts'
import { inProcess } from '../../../src/executors/in-process.ts'
import { completeOptions, type StreamOptions } from '../../../src/streams/options.ts'
import { CollectingSink, ManualClock, MemorySource, seededRandom } from '../../../src/testing/index.ts'

/** A source, a store and a sink that outlive their drivers, on a clock that stands still until a test moves it. */
export class DriverWorld {
  readonly clock = new ManualClock()
  readonly source: MemorySource
  readonly store: OffsetStore = memoryOffsets()
  readonly sink: Sink<unknown>
  /** Every batch that was completed, by all drivers. */
  readonly batches: BatchInfo[] = []
  readonly events: StreamEvent[] = []

  constructor(topics: Readonly<Record<string, number>>, sink: (clock: ManualClock) => Sink<unknown> = () => new CollectingSink({})) {
    this.source = new MemorySource({ topics, clock: this.clock })
    this.sink = sink(this.clock)
  }

  /** Starts a driver, as another process would; it has planned, and what it began is under way. */
  async start(options: Partial<StreamOptions>, how: DriveOptions = {}): Promise<Driver> {
    const { clock, source, store, sink } = this
    const world = { clock, random: seededRandom(1) }
    const driver = new Driver(
      {
        stream: 'limits',
        outputs: new Map([['out', { name: 'out', source, stages: [], sink }]]),
        batchFunctions: new Map(),
        sources: [{ name: 'memory', source, isolation: 'read_uncommitted', startingOffsets: { at: 'earliest' } }],
        demanded: undefined,
        hash: 'limits',
        store,
        executor: inProcess({}, world),
        options: completeOptions({ name: 'limits', ...options }).driver(),
        listeners: [event => this.#hear(event)],
        log: silentLog,
        world,
      },
      how,
    )
    await driver.started
    await setImmediate()
    return driver
  }

  /** As {@link start}, for `await using`: the clock is moved until the driver has ended, so that a batch in hand can finish. */
  async running(options: Partial<StreamOptions>): Promise<AsyncDisposable> {
    const driver = await this.start(options)
    return { [Symbol.asyncDispose]: () => this.end(driver) }
  }

  /** Stops a driver and gives its batch in hand the time it takes. */
  async end(driver: Driver): Promise<void> {
    let hasEnded = false
    const ended = driver.stop().then(() => {
      hasEnded = true
    })
    while (!hasEnded) await this.clock.advance(100)
    await ended
  }

  /** Appends so many records of so many bytes. */
  append(topic: string, partition: number, count: number, bytes = 1): void {
    const value = Buffer.alloc(bytes, 'x')
    for (let id = 0; id < count; id++) this.source.append(topic, partition, { value })
  }

  /** Moves the clock on in small steps, so that what sleeps, wakes and sleeps again does so at its time. */
  async pass(ms: number, stepMs = 10): Promise<void> {
    const until = this.clock.monotonic() + ms
    while (this.clock.monotonic() < until) await this.clock.advance(Math.min(stepMs, until - this.clock.monotonic()))
  }

  #hear(event: StreamEvent): void {
    this.events.push(event)
    if (event.type === 'batchCompleted') this.batches.push(event.batch)
  }
}

/** Offsets a batch covers. */
export function sizeOf({ ranges }: Pick<BatchInfo, 'ranges'>): number {
  return ranges.reduce((sum, range) => sum + range.untilOffset - range.fromOffset, 0)
}

/** Where a batch's partitions end, by partition. */
export function endsOf({ ranges }: Pick<BatchInfo, 'ranges'>): Record<string, number> {
  return Object.fromEntries(ranges.map(range => [`${range.topic}-${range.partition}`, range.untilOffset]))
}
