import { describe, expect, test } from 'vitest'
import { memoryOffsets } from '../../../offsets/memory/index.ts'
import type { StreamEvent } from '../../../src/core/events.ts'
import { silentLog } from '../../../src/core/log.ts'
import { type StreamJob, stream } from '../../../src/index.ts'
import { collectingSink, type MemorySource, memorySource } from '../../../src/testing/index.ts'

type Shape = readonly (readonly [source: MemorySource, outputs: readonly string[]])[]

/** A stream whose sources and outputs differ from start to start. */
class Changing {
  readonly store = memoryOffsets()
  readonly events: StreamEvent[] = []
  readonly sinks = new Map<string, ReturnType<typeof collectingSink<string>>>()

  declare(shape: Shape): StreamJob {
    const job = stream({
      name: 'orders',
      offsets: this.store,
      log: silentLog,
      batchIntervalMs: 0,
      listeners: [event => this.events.push(event)],
    })
    for (const [source, outputs] of shape) {
      const flow = job.from(source).map(record => String(record.value))
      for (const output of outputs) flow.to(this.sink(output))
    }
    return job
  }

  sink(name: string) {
    const sink = this.sinks.get(name) ?? collectingSink<string>({ name })
    this.sinks.set(name, sink)
    return sink
  }

  async run(shape: Shape): Promise<void> {
    await (await this.declare(shape).start({ until: 'latest' })).done
  }

  get changes(): string[] {
    return this.events.flatMap(event => (event.type === 'jobChanged' ? [event.message] : []))
  }
}

function filled(topic: string, ...values: string[]): MemorySource {
  const source = memorySource({ topics: { [topic]: 1 }, name: `source of ${topic}` })
  source.append(topic, 0, ...values.map(value => ({ value })))
  return source
}

describe('a job that changed', () => {
  test('is said: outputs that came, went or have another name, topics that came or went; one that did not, is not', async () => {
    const here = new Changing()
    const [orders, payments] = [filled('orders', 'o1'), filled('payments', 'p1')]
    await here.run([[orders, ['a', 'b']]])
    await here.run([[orders, ['a', 'b']]])
    expect(here.changes).toEqual([])
    orders.append('orders', 0, { value: 'o2' })
    await here.run([
      [orders, ['a', 'c']],
      [payments, ['d']],
    ])
    expect(here.changes).toEqual([
      'the job is not the one that ran last: new outputs, which get rows from the next batch on: c, d; outputs that are gone: b; ' +
        'topics that are new to it: payments',
    ])
    expect(here.sink('a').rows).toEqual(['o1', 'o2'])
    expect(here.sink('c').rows).toEqual(['o2'])
    expect(here.sink('d').rows).toEqual(['p1'])
  })

  test('that no longer names a topic keeps its offsets: nothing is lost, and it goes on where it was once named again', async () => {
    const here = new Changing()
    const [orders, payments] = [filled('orders', 'o1'), filled('payments', 'p1')]
    const both: Shape = [
      [orders, ['a']],
      [payments, ['b']],
    ]
    await here.run(both)
    payments.append('payments', 0, { value: 'p2' })
    await here.run([[orders, ['a']]])
    expect(here.changes.at(-1)).toContain('topics it no longer names, whose offsets are kept as they are: payments')
    expect(here.events.some(event => event.type === 'dataLoss')).toBe(false)
    await here.run(both)
    expect(here.sink('b').rows).toEqual(['p1', 'p2'])
  })
})

describe('a job that changed while a batch was begun', () => {
  async function crashed() {
    const here = new Changing()
    const [orders, payments] = [filled('orders', 'o1'), filled('payments', 'p1')]
    const shape: Shape = [
      [orders, ['a']],
      [payments, ['b']],
    ]
    here.sink('a').failNext(new Error('crash'))
    await expect(here.run(shape)).rejects.toThrow('crash')
    return { here, orders, payments, shape }
  }

  test('is refused by name where an output or a topic of the batch has gone, and nothing is committed', async () => {
    const { here, orders, payments } = await crashed()
    const renamed: Shape = [
      [orders, ['other']],
      [payments, ['b']],
    ]
    await expect(here.run(renamed)).rejects.toMatchObject({
      code: 'JOB',
      message: expect.stringMatching(/Batch 1 .* no longer has its output a\. Put it back/),
    })
    await expect(here.run([[payments, ['a', 'b']]])).rejects.toMatchObject({
      code: 'JOB',
      message: expect.stringMatching(/no longer has its topic orders/),
    })
    expect((await here.store.read('orders')).pending?.id).toBe(1)
  })

  test('is refused where all names are there but a topic goes to none of its outputs: its rows would be nowhere', async () => {
    const { here, orders, payments } = await crashed()
    const swapped: Shape = [
      [orders, ['new']],
      [payments, ['a', 'b']],
    ]
    await expect(here.run(swapped)).rejects.toMatchObject({
      code: 'JOB',
      message: expect.stringMatching(/topic orders/),
      details: { topics: ['orders'] },
    })
  })

  test('runs the batch where it has gained outputs and sources, and says what it gained', async () => {
    const { here, orders, payments } = await crashed()
    await here.run([
      [orders, ['a', 'c']],
      [payments, ['b']],
      [filled('refunds', 'r1'), ['d']],
    ])
    expect(here.sink('a').rows).toEqual(['o1'])
    expect(here.sink('c').rows).toEqual([])
    expect(here.sink('d').rows).toEqual(['r1'])
    expect(here.changes.at(-1)).toMatch(/new outputs, .*: c, d; topics that are new to it: refunds/)
  })
})
