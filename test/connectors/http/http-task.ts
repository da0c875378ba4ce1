import { type HttpSinkOptions, httpSink } from '../../../connectors/http/index.ts'
import { type Clock, systemClock } from '../../../src/core/clock.ts'
import { silentLog } from '../../../src/core/log.ts'
import type { Sink } from '../../../src/core/sink.ts'
import type { Task } from '../../../src/core/values.ts'
import { seededRandom } from '../../../src/testing/index.ts'

export type Row = { readonly id: number }

/** A task of ten offsets, as the dispatcher makes it. */
export function httpTask({ batchId = 7, index = 3, epoch = 1 } = {}): Task {
  const range = { topic: 'orders', partition: 3, fromOffset: 120, untilOffset: 180 }
  return { stream: 'orders', batchId, epoch, index, range, batchTime: 0, output: 'http:api', attempt: `${epoch}-${batchId}-${index}-1` }
}

/** Rows in arrays of so many, as a source might have fetched them. */
async function* rowsOf(count: number, arrays = 4): AsyncGenerator<Row[]> {
  for (let from = 0; from < count; from += arrays) {
    yield Array.from({ length: Math.min(arrays, count - from) }, (_, at) => ({ id: from + at }))
  }
}

export function ids(count: number): Row[] {
  return Array.from({ length: count }, (_, id) => ({ id }))
}

/** A clock on which sleeping takes no time, and which remembers how long everybody slept: waits are seen, and nobody waits for them. */
class NappingClock implements Clock {
  readonly naps: number[] = []
  #sleptMs = 0

  now(): number {
    return systemClock.now() + this.#sleptMs
  }

  monotonic(): number {
    return systemClock.monotonic() + this.#sleptMs
  }

  after(ms: number, call: () => void): () => void {
    return systemClock.after(ms, call)
  }

  async sleep(ms: number, signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted()
    this.naps.push(ms)
    this.#sleptMs += ms
  }
}

/** A sink that is prepared and open, on a clock that naps. */
export class OpenSink {
  readonly clock = new NappingClock()
  readonly sink: Sink<Row>
  readonly #over = new AbortController()

  constructor(options: HttpSinkOptions<Row>) {
    this.sink = httpSink<Row>(options, { clock: this.clock, random: seededRandom(1) })
  }

  async open(): Promise<this> {
    const context = { stream: 'orders', streamId: 'id-of-orders', output: 'http:api', signal: this.#over.signal, log: silentLog }
    await this.sink.prepare?.(context)
    await this.sink.open?.(context)
    return this
  }

  write(count = 10, task = httpTask(), signal = this.#over.signal): Promise<void> {
    return this.sink.write(task, rowsOf(count), { signal, log: silentLog })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.sink.close?.()
  }
}

export function openSink(options: HttpSinkOptions<Row>): Promise<OpenSink> {
  return new OpenSink(options).open()
}
