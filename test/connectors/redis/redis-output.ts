import { Redis } from 'ioredis'
import { onTestFinished } from 'vitest'
import { silentLog } from '../../../src/core/log.ts'
import type { FenceMark, Sink, SinkContext } from '../../../src/core/sink.ts'
import type { OffsetRange, Task } from '../../../src/core/values.ts'
import { uniqueName } from '../../support/kafka.ts'
import { services } from '../../support/services.ts'

const NEVER = new AbortController().signal

/** A client of the shared Redis, or of another, closed with the test. */
export function redisClient(url = services().redis): Redis {
  const client = new Redis(url)
  onTestFinished(() => client.disconnect())
  return client
}

/** What `write` is called with when nobody aborts. */
export const running = { signal: NEVER, log: silentLog }

/** One stream's output with names of its own, and what a driver says to it. */
export class TestOutput {
  readonly stream = uniqueName('orders')
  readonly output = 'redis'

  context(parts: Partial<SinkContext> = {}): SinkContext {
    return { stream: this.stream, streamId: 'id-1', output: this.output, signal: NEVER, log: silentLog, ...parts }
  }

  /** Batch 1 of epoch 1, where nothing else is said. */
  mark(parts: Partial<FenceMark> = {}): FenceMark {
    const { stream, output } = this
    return { stream, output, streamId: 'id-1', epoch: 1, owner: 'host:1', lastBegun: 1, lastComplete: 0, ...parts }
  }

  task({ range, ...parts }: Partial<Omit<Task, 'range'>> & { readonly range?: Partial<OffsetRange> } = {}): Task {
    const { stream, output } = this
    return {
      ...{ stream, output, batchId: 1, epoch: 1, index: 0, batchTime: 0, attempt: '1-1-0-0' },
      range: { topic: 'orders', partition: 0, fromOffset: 0, untilOffset: 10, ...range },
      ...parts,
    }
  }

  /** A sink as a new process has it: prepared, open and fenced. */
  async start<Row>(sink: Sink<Row>, parts: Partial<FenceMark> = {}): Promise<Sink<Row>> {
    const context = this.context(parts.streamId === undefined ? {} : { streamId: parts.streamId })
    onTestFinished(() => sink.close?.())
    await sink.prepare?.(context)
    await sink.open?.(context)
    await sink.fence?.(this.mark(parts))
    return sink
  }
}

/** Rows `from` to `until` as a task brings them, in arrays of 256. */
export async function* rowsOf<Row>(from: number, until: number, make: (id: number) => Row): AsyncGenerator<readonly Row[]> {
  for (let at = from; at < until; at += 256) {
    yield Array.from({ length: Math.min(256, until - at) }, (_, n) => make(at + n))
  }
}
