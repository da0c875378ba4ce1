import { expect, test } from 'vitest'
import { collect } from '../../../support/collect.ts'
import { scriptedValue } from '../../../support/scripted-broker.ts'
import { openScriptedSource } from './open-scripted-source.ts'

const PER_FETCH = 10
const BATCH = { records: 100, perBatch: PER_FETCH, valueBytes: 1000 }
// A batch is a little above 10,000 bytes, and a fetch asks for as much.
const FETCH = 11_000
const RANGE = { topic: 'orders', partition: 0, fromOffset: 0, untilOffset: 100 }

test('the next fetch is sent before the records of the last are taken', async () => {
  await using opened = await openScriptedSource([BATCH], { fetchMaxBytes: FETCH })
  const { cluster, source } = opened
  const reader = source.read(RANGE)[Symbol.asyncIterator]()
  const first = await reader.next()
  expect(first.value?.[0]?.value).toEqual(scriptedValue(0, 1000))
  // Nothing is asked of the reader any more, and still the second fetch comes.
  const second = await cluster.broker.waitFor('Fetch', 2)
  expect(second.request.topics[0]?.partitions[0]).toMatchObject({ fetchOffset: PER_FETCH, lastFetchedEpoch: 0 })
  await reader.return?.()
})

test('a reader fetches one answer ahead, and no further', async () => {
  await using opened = await openScriptedSource([BATCH], { fetchMaxBytes: FETCH })
  const { cluster, source } = opened
  const reader = source.read(RANGE)[Symbol.asyncIterator]()
  await reader.next()
  await cluster.broker.waitFor('Fetch', 2)
  // Whatever else the source might send would be on its way before this one, over the same kind of connection.
  await source.latestOffsets()
  await source.earliestOffsets()
  expect(cluster.broker.asked('Fetch').length).toBe(2)
  await reader.return?.()
})

test('where the byte budget has no room, nothing is fetched ahead', async () => {
  await using opened = await openScriptedSource([BATCH], { fetchMaxBytes: FETCH, maxBytesInFlight: FETCH })
  const { cluster, source } = opened
  const reader = source.read(RANGE)[Symbol.asyncIterator]()
  await reader.next()
  await source.latestOffsets()
  await source.earliestOffsets()
  expect(cluster.broker.asked('Fetch').length).toBe(1)
  let records = PER_FETCH
  for (let next = await reader.next(); !next.done; next = await reader.next()) records += next.value.length
  expect(records).toBe(100)
})

test('readers that wait for the budget get their turn, and all come to their ends', async () => {
  await using opened = await openScriptedSource(
    Array.from({ length: 8 }, () => BATCH),
    { fetchMaxBytes: FETCH, maxBytesInFlight: 2 * FETCH },
  )
  const { source } = opened
  const reads = Array.from({ length: 8 }, (_, partition) => collect(source, { ...RANGE, partition }))
  for (const records of await Promise.all(reads)) expect(records.map(({ offset }) => offset)).toEqual([...Array(100).keys()])
})

test('what all readers hold and have asked for stays within the budget', async () => {
  const budget = 3 * FETCH
  await using opened = await openScriptedSource(
    Array.from({ length: 8 }, () => BATCH),
    { fetchMaxBytes: FETCH, maxBytesInFlight: budget },
  )
  const { cluster, source } = opened
  let asked = 0
  let most = 0
  cluster.broker.script('Fetch', ({ request }) => {
    asked += request.topics[0]?.partitions[0]?.partitionMaxBytes ?? 0
    most = Math.max(most, asked)
    return undefined
  })
  await Promise.all(
    Array.from({ length: 8 }, async (_, partition) => {
      // An answer's bytes are let go when all of its records were taken: here one array an answer.
      for await (const records of source.read({ ...RANGE, partition })) if (records.length > 0) asked -= FETCH
    }),
  )
  expect(most).toBeGreaterThan(FETCH)
  expect(most).toBeLessThanOrEqual(budget)
})

test('a batch larger than a fetch, and than the whole budget, comes all the same', async () => {
  await using opened = await openScriptedSource([{ records: 20, perBatch: 10, valueBytes: 100_000 }], {
    fetchMaxBytes: 65_536,
    maxBytesInFlight: 65_536,
  })
  const records = await collect(opened.source, { ...RANGE, untilOffset: 20 })
  expect(records.map(({ offset }) => offset)).toEqual([...Array(20).keys()])
})

test('a small range at the head of a long log asks for about its size, once the weight of its records is known', async () => {
  await using opened = await openScriptedSource([{ records: 20_000, perBatch: 1000, valueBytes: 100 }])
  const { cluster, source } = opened
  await collect(source, { ...RANGE, untilOffset: 10_000 })
  const before = cluster.broker.asked('Fetch').length
  await collect(source, { ...RANGE, fromOffset: 10_000, untilOffset: 10_100 })
  const [small] = cluster.broker.asked('Fetch').slice(before)
  expect(small?.request.topics[0]?.partitions[0]?.partitionMaxBytes).toBeLessThan(100_000)
})

test('bytes are told as they arrive', async () => {
  await using opened = await openScriptedSource([BATCH], { fetchMaxBytes: FETCH })
  const told: number[] = []
  await collect(opened.source, RANGE, { onBytes: bytes => told.push(bytes) })
  const log = opened.cluster.partition('orders').batches.reduce((sum, { bytes }) => sum + bytes.length, 0)
  expect(told.length).toBe(10)
  expect(told.reduce((sum, bytes) => sum + bytes, 0)).toBe(log)
})
