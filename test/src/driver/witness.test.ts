import { describe, expect, test } from 'vitest'
import { memoryOffsets } from '../../../offsets/memory/index.ts'
import { silentLog } from '../../../src/core/log.ts'
import type { OffsetStore } from '../../../src/core/offset-store.ts'
import type { Sink } from '../../../src/core/sink.ts'
import { type StartOptions, stream } from '../../../src/index.ts'
import { collectingSink, type MemorySource, memorySource } from '../../../src/testing/index.ts'

type World = { source: MemorySource; store: OffsetStore; sink: Sink<number> }

function appendNumbers({ source }: World, from: number, until: number): void {
  for (let id = from; id < until; id++) source.append('orders', id % 2, { value: String(id) })
}

async function run({ source, store, sink }: World, options: StartOptions = {}) {
  const job = stream({ name: 'orders', offsets: store, batchIntervalMs: 0, limits: { maxRecordsPerBatch: 4 }, log: silentLog })
    .from(source)
    .map(record => Number(record.value))
    .to(sink)
  return (await job.start({ until: 'latest', ...options })).done
}

async function ranWorld(): Promise<World> {
  const here = { source: memorySource({ topics: { orders: 2 } }), store: memoryOffsets(), sink: collectingSink<number>() }
  appendNumbers(here, 0, 8)
  await run(here)
  appendNumbers(here, 8, 10)
  return here
}

/** A copy of the store as it is now. */
async function copyOf(store: OffsetStore): Promise<OffsetStore> {
  const copy = memoryOffsets()
  await copy.restore(await store.snapshot('orders'))
  return copy
}

describe('the destination is a witness', () => {
  test('a store that was deleted stops the stream, and nothing is written', async () => {
    const here = await ranWorld()
    await expect(run({ ...here, store: memoryOffsets() })).rejects.toMatchObject({
      code: 'CONFLICT',
      message: expect.stringContaining('the store was replaced'),
    })
    expect(here.sink).toMatchObject({ rows: expect.objectContaining({ length: 8 }) })
  })

  test('a store that was rolled back stops the stream, and nothing is written twice', async () => {
    const here = await ranWorld()
    const old = await copyOf(here.store)
    await run(here)
    // As many starts as the lost ones had, or the epoch alone would tell.
    for (let start = 0; start < 3; start++) await old.release(await old.acquire('orders', 'somebody', 1_000))
    await expect(run({ ...here, store: old })).rejects.toMatchObject({
      code: 'CONFLICT',
      message: expect.stringContaining('the store was rolled back'),
    })
    expect(here.sink).toMatchObject({ rows: expect.objectContaining({ length: 10 }) })
  })

  test('a destination that was rolled back stops the stream and names the batches to replay', async () => {
    const here = await ranWorld()
    await run(here)
    const emptied = { ...here, sink: collectingSink<number>() }
    await expect(run(emptied)).rejects.toMatchObject({
      code: 'CONFLICT',
      message: expect.stringContaining('does not have batches up to 3 of stream orders'),
    })
    expect(emptied.sink.rows).toEqual([])

    await run(emptied, { adopt: ['collect'] })
    appendNumbers(emptied, 10, 12)
    await run(emptied)
    expect(emptied.sink.rows).toEqual([10, 11])
  })

  test('a destination that is rolled back under a driver that runs stops it before the next batch', async () => {
    const here = { source: memorySource({ topics: { orders: 2 } }), store: memoryOffsets() }
    const [before, after] = [collectingSink<number>(), collectingSink<number>()]
    let fences = 0
    const failingOver: Sink<number> = new Proxy(before, {
      get(_, name) {
        if (name === 'fence') fences += 1
        // The start's fence, then those of two batches.
        const now = fences > 3 ? after : before
        const value: unknown = Reflect.get(now, name, now)
        return typeof value === 'function' ? value.bind(now) : value
      },
    })
    const world = { ...here, sink: failingOver }
    appendNumbers(world, 0, 12)
    await expect(run(world)).rejects.toMatchObject({
      code: 'CONFLICT',
      message: expect.stringContaining('does not have batches up to 2 of stream orders'),
    })
    expect(after.rows).toEqual([])
    expect(before.rows).toHaveLength(8)
  })

  test('a destination that lacks one task of the last batch is told from a whole one', async () => {
    const here = await ranWorld()
    const lossy = collectingSink<number>()
    const { sink } = here
    // Its write is answered and never happens: a failover lost the end of the log.
    const forgetful: Sink<number> = Object.create(lossy, {
      write: {
        value: async (task: Parameters<Sink<number>['write']>[0], ...rest: never[]) =>
          task.batchId === 2 && task.index === 1 ? undefined : Reflect.apply(lossy.write, lossy, [task, ...rest]),
      },
      fence: { value: lossy.fence.bind(lossy) },
      applied: { value: lossy.applied.bind(lossy) },
    })
    const other = { source: memorySource({ topics: { orders: 2 } }), store: memoryOffsets(), sink: forgetful }
    appendNumbers(other, 0, 8)
    await run(other)
    await expect(run(other)).rejects.toMatchObject({ code: 'CONFLICT', message: expect.stringContaining('does not have batch 2') })
    expect(sink).toBeDefined()
  })

  test('an output that is new to an old stream is no destination that lost its rows', async () => {
    const here = await ranWorld()
    const job = stream({ name: 'orders', offsets: here.store, batchIntervalMs: 0, log: silentLog })
    const numbers = job.from(here.source).map(record => Number(record.value))
    numbers.to(here.sink)
    const added = collectingSink<number>({ name: 'added' })
    numbers.to(added)
    await (await job.start({ until: 'latest' })).done
    expect(added.rows).toEqual([8, 9])
  })

  test('adopt names an output of the job, or is refused', async () => {
    const here = await ranWorld()
    await expect(run(here, { adopt: ['colect'] })).rejects.toMatchObject({ code: 'CONFIG', message: expect.stringContaining('collect') })
  })
})

describe('what an output promises', () => {
  test('is asked again when it has seen its server, and a weaker one is refused by name', async () => {
    const here = await ranWorld()
    const weak = Object.assign(Object.create(here.sink), {
      guarantee: 'exactly-once',
      async open() {
        weak.guarantee = 'at-least-once'
      },
    })
    const job = stream({ name: 'weak', offsets: memoryOffsets(), guarantee: 'exactly-once', log: silentLog })
    job.from(here.source).to(weak, { name: 'cluster' })
    const run = job.start({ until: 'latest' })
    await expect(run).rejects.toMatchObject({ code: 'CONFIG', message: expect.stringContaining("output cluster is 'at-least-once'") })
  })
})
