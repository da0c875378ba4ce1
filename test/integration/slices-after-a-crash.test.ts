import { Client } from 'pg'
import { beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { jsonlSink } from '../../connectors/files/index.ts'
import { postgresSink } from '../../connectors/postgres/index.ts'
import { memoryOffsets } from '../../offsets/memory/index.ts'
import { silentLog } from '../../src/core/log.ts'
import { type HistoryEntry, inProcess, type OffsetStore, type Sink, stream } from '../../src/index.ts'
import { temporaryFolder } from '../connectors/files/temporary-folder.ts'
import { createTopic, kafkaCluster, uniqueName } from '../support/kafka.ts'
import { readAll } from '../support/oracle.ts'
import { produce } from '../support/produce.ts'
import { services } from '../support/services.ts'
import { placesIn } from './files-of-places.ts'
import { type Place, placeOf, SLICE, sourceOf, TaskWatch } from './slices-world.ts'

const PER_BATCH = 1_500
let topic: string
/** What Java reads: partition and offset. */
let byJava: string[]

beforeAll(async () => {
  topic = await createTopic(uniqueName('sliced'))
  await produce(kafkaCluster(), {
    topic,
    keys: true,
    count: 4_000,
    lingerMs: 50,
    compression: 'lz4',
    transactionRecords: 300,
    abortEvery: 4,
  })
  byJava = (await readAll(kafkaCluster(), topic, 'read_committed')).map(({ partition, offset }) => `${partition}:${offset}`)
})

type Output = { readonly sink: () => Sink<Place>; readonly read: () => Promise<string[]> }

const textOf = ({ part, place }: Place) => `${part}:${place}`
const byOffset = (a: string, b: string) => Number(a.split(':')[1]) - Number(b.split(':')[1])

async function table(options: { readonly key?: ['topic', 'place'] } = {}): Promise<Output> {
  const client = new Client(services().postgres)
  await client.connect()
  onTestFinished(() => client.end())
  const name = uniqueName('sliced').replaceAll('-', '_')
  await client.query(
    `create table ${name} (topic text, part int, place int, crc float8, key text${options.key ? ', primary key (topic, place)' : ''})`,
  )
  return {
    sink: () => postgresSink<Place>({ connectionString: services().postgres, table: name, ...options }),
    read: async () => (await client.query<Place>(`select * from ${name}`)).rows.map(textOf).sort(byOffset),
  }
}

function files(): Output {
  const directory = temporaryFolder()
  return {
    sink: () => jsonlSink({ directory }),
    read: async () => ((await placesIn(directory)) as unknown as Place[]).map(textOf).sort(byOffset),
  }
}

type RunOptions = {
  readonly output: Output
  readonly offsets: OffsetStore
  readonly name: string
  readonly concurrency: number
  readonly slice?: number
}

/** A job as a new process has it. `breakAt` is asked for each record. */
function declare(
  { output, offsets, name, concurrency, slice = SLICE }: RunOptions,
  watch: TaskWatch,
  breakAt: (place: Place) => void | Promise<void>,
) {
  const limits = { maxRecordsPerBatch: PER_BATCH, maxRecordsPerTask: slice }
  return stream({
    name,
    offsets,
    batchIntervalMs: 0,
    limits,
    executor: inProcess({ concurrency }),
    listeners: [watch.listener],
    log: silentLog,
  })
    .from(sourceOf([topic]))
    .map(async record => {
      const place = placeOf(record)
      await breakAt(place)
      return place
    })
    .to(output.sink(), { name: 'out' })
}

async function batchesOf(offsets: OffsetStore, name: string) {
  const entries: HistoryEntry[] = await Array.fromAsync(offsets.history(name))
  return entries.flatMap(entry => (entry.kind === 'batch' ? [entry.batch] : [])).sort((a, b) => a.id - b.id)
}

const sliceText = (id: number, index: number, { fromOffset, untilOffset }: { fromOffset: number; untilOffset: number }) =>
  `${id}/${index} ${topic}/0 [${fromOffset}, ${untilOffset})`

describe.for<[string, () => Output | Promise<Output>]>([
  ['files, side by side', files],
  ['a table that is appended to, side by side', () => table()],
  ['a table that is merged into, one after another', () => table({ key: ['topic', 'place'] })],
])('a batch of slices into %s', ([, open]) => {
  const start = async () => ({ output: await open(), offsets: memoryOffsets(), name: uniqueName('sliced') })
  const FAIL_AT = PER_BATCH + PER_BATCH / 2

  test('that failed in its middle is run again as the same slices, by another number of slots and under another limit', async () => {
    const world = await start()
    const before = new TaskWatch()
    const failing = declare({ ...world, concurrency: 3 }, before, ({ place }) => {
      if (place >= FAIL_AT) throw new Error('the disk caught fire')
    })
    await expect((await failing.start({ until: 'latest' })).done).rejects.toThrow('the disk caught fire')
    const begun = (await world.offsets.read(world.name)).pending
    expect(begun?.id).toBe(2)
    expect(begun?.ranges.length).toBe(Math.ceil(PER_BATCH / SLICE))

    const after = new TaskWatch()
    const again = declare({ ...world, concurrency: 5, slice: 1_000 }, after, () => {})
    await (await again.start({ until: 'latest' })).done
    const planned = begun?.ranges.map((range, index) => sliceText(2, index, range)) ?? []
    expect(after.slices.filter(slice => slice.startsWith('2/')).sort()).toEqual(planned.toSorted())
    expect((await batchesOf(world.offsets, world.name)).find(({ id }) => id === 2)?.ranges).toEqual(begun?.ranges)
    expect(await world.output.read()).toEqual(byJava)
  })

  test('that was stopped at once in its middle comes to the same rows, by a single slot', async () => {
    const world = await start()
    const reached = Promise.withResolvers<void>()
    const go = Promise.withResolvers<void>()
    const held = declare({ ...world, concurrency: 4 }, new TaskWatch(), async ({ place }) => {
      if (place < FAIL_AT) return
      reached.resolve()
      await go.promise
    })
    const run = await held.start({ until: 'latest' })
    await reached.promise
    const stopped = run.stop({ now: true })
    go.resolve()
    await stopped
    await run.done.catch(() => {})
    const begun = (await world.offsets.read(world.name)).pending
    expect(begun?.id).toBe(2)

    const after = new TaskWatch()
    await (await declare({ ...world, concurrency: 1 }, after, () => {}).start({ until: 'latest' })).done
    const planned = begun?.ranges.map((range, index) => sliceText(2, index, range)) ?? []
    expect(after.slices.filter(slice => slice.startsWith('2/'))).toEqual(planned)
    expect(await world.output.read()).toEqual(byJava)
  })
})
