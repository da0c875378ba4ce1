import { once } from 'node:events'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { beforeAll, describe, expect, test } from 'vitest'
import { kafkaSource } from '../../connectors/kafka/index.ts'
import type { KafkaSourceOptions } from '../../connectors/kafka/options.ts'
import { memoryOffsets } from '../../offsets/memory/index.ts'
import { silentLog } from '../../src/core/log.ts'
import { type StreamOptions, stream, type Until } from '../../src/index.ts'
import { createTopic, kafkaCluster, sendMessages, uniqueName } from '../support/kafka.ts'

const RECORDS = 10_000
const FIRST_AT = 1_700_000_000_000
let topic: string

beforeAll(async () => {
  topic = await createTopic(uniqueName('flow'), { partitions: 2 })
  const messages = Array.from({ length: RECORDS }, (_, id) => ({ partition: id % 2, value: String(id), timestamp: String(FIRST_AT + id) }))
  await sendMessages(topic, messages)
})

function source(options: Partial<KafkaSourceOptions> = {}) {
  return kafkaSource({ kafka: { brokers: kafkaCluster().brokers }, topics: [topic], ...options })
}

function job(options: Partial<StreamOptions> = {}) {
  return stream({ name: 'flow', offsets: memoryOffsets(), batchIntervalMs: 0, log: silentLog, ...options })
}

const idOf = (record: { value: Buffer | null }) => Number(record.value)
const idsOfPartition = (partition: number) => Array.from({ length: RECORDS / 2 }, (_, at) => 2 * at + partition)

describe('forEachRange', () => {
  test('gets each range once, as arrays in offset order, with its task', async () => {
    const ranges: { at: string; ids: number[] }[] = []
    const run = await job({ limits: { maxRecordsPerBatch: 5_000 } })
      .from(source())
      .map(idOf)
      .forEachRange(async (rows, { range, batchId, index }) => {
        const ids: number[] = []
        for await (const array of rows) {
          expect(array.length).toBeLessThanOrEqual(4_096)
          ids.push(...array)
        }
        ranges.push({ at: `${batchId}/${index} ${range.partition}:${range.fromOffset}-${range.untilOffset}`, ids })
      })
      .start({ until: 'latest' })
    expect(await run.done).toMatchObject({ reason: 'done', batches: 2, records: RECORDS })
    ranges.sort((a, b) => (a.at < b.at ? -1 : 1))
    expect(ranges.map(({ at }) => at)).toEqual(['1/0 0:0-2500', '1/1 1:0-2500', '2/0 0:2500-5000', '2/1 1:2500-5000'])
    expect(ranges.filter((_, at) => at % 2 === 0).flatMap(({ ids }) => ids)).toEqual(idsOfPartition(0))
    expect(ranges.filter((_, at) => at % 2 === 1).flatMap(({ ids }) => ids)).toEqual(idsOfPartition(1))
  })

  test('may leave rows unread; the range counts as done', async () => {
    let ranges = 0
    const run = await job()
      .from(source())
      .forEachRange(async rows => {
        for await (const _ of rows) break
        ranges += 1
      })
      .start({ until: 'latest' })
    expect(await run.done).toMatchObject({ reason: 'done', batches: 1 })
    expect(ranges).toBe(2)
  })
})

test('forEachBatch gets a batch with all of its rows, partition by partition in the order of its ranges', async () => {
  const batches: { id: number; ids: readonly number[]; offsets: number }[] = []
  const run = await job({ limits: { maxRecordsPerBatch: 4_000, maxRecordsPerTask: 500 } })
    .from(source())
    .map(idOf)
    .forEachBatch((ids, { id, ranges }) => {
      batches.push({ id, ids, offsets: ranges.reduce((sum, range) => sum + range.untilOffset - range.fromOffset, 0) })
    })
    .start({ until: 'latest' })
  await run.done
  expect(batches.map(({ id, offsets }) => [id, offsets])).toEqual([
    [1, 4_000],
    [2, 4_000],
    [3, 2_000],
  ])
  for (const { ids, offsets } of batches) expect(ids.length).toBe(offsets)
  const first = batches[0]?.ids ?? []
  expect(first).toEqual([...idsOfPartition(0).slice(0, 2_000), ...idsOfPartition(1).slice(0, 2_000)])
})

test('mapRange takes a range as a whole: arrays in, arrays out', async () => {
  const sums: { partition: number; sum: number; count: number }[] = []
  const run = await job()
    .from(source())
    .map(idOf)
    .mapRange(async function* sumUp(rows, { range }) {
      let sum = 0
      let count = 0
      for await (const array of rows) {
        for (const id of array) sum += id
        count += array.length
      }
      yield [{ partition: range.partition, sum, count }]
    })
    .forEachBatch(rows => {
      sums.push(...rows)
    })
    .start({ until: 'latest' })
  await run.done
  const expected = [0, 1].map(partition => ({
    partition,
    sum: idsOfPartition(partition).reduce((sum, id) => sum + id, 0),
    count: RECORDS / 2,
  }))
  expect(sums).toEqual(expected)
})

test('asynchronous functions keep the order of rows, however late each of them answers', async () => {
  const seen: number[] = []
  let atWork = 0
  let mostAtWork = 0
  const run = await job()
    .from(source())
    .map(
      async record => {
        atWork += 1
        mostAtWork = Math.max(mostAtWork, atWork)
        // Every third answers some turns later than those behind it.
        for (let turn = idOf(record) % 3; turn > 0; turn--) await nextTurn()
        atWork -= 1
        return idOf(record)
      },
      { concurrency: 8 },
    )
    .filter(async id => id % 10 !== 0)
    .flatMap(async id => [id, -id])
    .forEachBatch(ids => {
      seen.push(...ids)
    })
    .start({ until: 'latest' })
  await run.done
  expect(seen).toEqual([...idsOfPartition(0), ...idsOfPartition(1)].filter(id => id % 10 !== 0).flatMap(id => [id, -id]))
  expect(mostAtWork).toBeGreaterThan(1)
})

test('several outputs get their rows from one read, each with its own stages', async () => {
  const bytes = { alone: 0, shared: 0 }
  const got = { even: 0, odd: 0, all: 0 }
  const alone = await job()
    .from(source())
    .forEachBatch(() => {})
    .start({
      until: 'latest',
      listeners: [
        event => {
          if (event.type === 'batchCompleted') bytes.alone += event.batch.numBytes ?? 0
        },
      ],
    })
  await alone.done

  let mapped = 0
  const several = job()
  const ids = several.from(source()).map(record => {
    mapped += 1
    return idOf(record)
  })
  ids
    .filter(id => id % 2 === 0)
    .forEachBatch(
      rows => {
        got.even += rows.length
      },
      { name: 'even' },
    )
  ids
    .filter(id => id % 2 === 1)
    .forEachBatch(
      rows => {
        got.odd += rows.length
      },
      { name: 'odd' },
    )
  ids.forEachBatch(
    rows => {
      got.all += rows.length
    },
    { name: 'all' },
  )
  const run = await several.start({
    until: 'latest',
    listeners: [
      event => {
        if (event.type === 'batchCompleted') bytes.shared += event.batch.numBytes ?? 0
      },
    ],
  })
  expect(await run.done).toMatchObject({ records: RECORDS })
  expect(got).toEqual({ even: RECORDS / 2, odd: RECORDS / 2, all: RECORDS })
  expect(mapped).toBe(RECORDS)
  expect(bytes.shared).toBe(bytes.alone)
})

describe('until', () => {
  async function idsUntil(until: Until) {
    const ids: number[] = []
    const run = await job()
      .from(source())
      .map(idOf)
      .forEachBatch(rows => {
        ids.push(...rows)
      })
      .start({ until })
    expect(await run.done).toMatchObject({ reason: 'done' })
    return ids.sort((a, b) => a - b)
  }

  test('a timestamp ends in front of the first record at or after it, in every partition', async () => {
    expect(await idsUntil({ at: 'timestamp', timestamp: FIRST_AT + 1_234 })).toEqual(Array.from({ length: 1_234 }, (_, id) => id))
  })

  test('a timestamp after the last record ends with what is there', async () => {
    expect(await idsUntil({ at: 'timestamp', timestamp: FIRST_AT + RECORDS })).toHaveLength(RECORDS)
  })

  test('exact offsets end there, and a partition that is not named is not read', async () => {
    expect(await idsUntil({ at: 'exact', offsets: [{ topic, partition: 1, offset: 7 }] })).toEqual([1, 3, 5, 7, 9, 11, 13])
  })

  test('an offset of a partition that is not there is refused, since the run would never end', async () => {
    await expect(idsUntil({ at: 'exact', offsets: [{ topic, partition: 9, offset: 7 }] })).rejects.toMatchObject({
      code: 'CONFIG',
      message: expect.stringContaining(`until names ${topic}/9, which no source of the job has`),
    })
  })
})

test('a run that is stopped finishes the batch in hand, and the next run goes on behind it', async () => {
  const offsets = memoryOffsets()
  const ids: number[] = []
  const inHand = new EventTarget()
  const release = Promise.withResolvers<void>()
  const counting = job({ offsets, limits: { maxRecordsPerBatch: 1_000 } })
    .from(source())
    .map(idOf)
    .forEachBatch(async (rows, { id }) => {
      if (id === 3) {
        inHand.dispatchEvent(new Event('third'))
        await release.promise
      }
      ids.push(...rows)
    })
  const third = once(inHand, 'third')
  const run = await counting.start()
  await third
  const stopped = run.stop()
  release.resolve()
  await stopped
  expect(await run.done).toMatchObject({ reason: 'stopped', batches: 3, records: 3_000 })
  await (await counting.start({ until: 'latest' })).done
  expect(ids.toSorted((a, b) => a - b)).toEqual(Array.from({ length: RECORDS }, (_, id) => id))
})

test('a start without a broker fails at once, and says which address did not answer', async () => {
  const startedAt = performance.now()
  const started = job()
    .from(source({ kafka: { brokers: ['127.0.0.1:1'] } }))
    .forEachBatch(() => {})
    .start()
  await expect(started).rejects.toMatchObject({ code: 'CONNECTION', message: expect.stringContaining('127.0.0.1:1') })
  expect(performance.now() - startedAt).toBeLessThan(5_000)
})
