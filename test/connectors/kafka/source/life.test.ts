import { expect, test } from 'vitest'
import { collect } from '../../../support/collect.ts'
import { openScriptedSource } from './open-scripted-source.ts'

// From before the first connection: Node warns of a negative timer once in a process.
const warnings: Error[] = []
process.on('warning', warning => warnings.push(warning))

const RANGE = { topic: 'orders', partition: 0, fromOffset: 0, untilOffset: 30 }

test('making a source and a reader connects nothing', async () => {
  await using opened = await openScriptedSource([{ records: 30 }])
  opened.source.read(RANGE)
  await new Promise(resolve => setImmediate(resolve))
  expect(opened.cluster.broker.connections.ever).toBe(0)
})

test('a closed source leaves no connection, and a read that is under way fails', async () => {
  await using opened = await openScriptedSource([{ records: 30 }])
  const { cluster, source } = opened
  cluster.broker.script('Fetch', () => 'nothing')
  const read = collect(source, RANGE)
  const waits = source.awaitRecords([{ topic: 'orders', partition: 0, offset: 30 }])
  const outcomes = Promise.allSettled([read, waits])
  await cluster.broker.waitFor('Fetch', 2)
  await source.close()
  for (const outcome of await outcomes) {
    expect(outcome).toMatchObject({
      reason: { code: 'CONNECTION', retryable: false, message: expect.stringMatching(/kafka:orders was closed/) },
    })
  }
  await cluster.broker.waitForNoConnections()
})

test('a reader whose source is closed between two arrays fails at the next', async () => {
  await using opened = await openScriptedSource([{ records: 10_000, perBatch: 5_000 }])
  const reader = opened.source.read({ ...RANGE, untilOffset: 10_000 })[Symbol.asyncIterator]()
  await reader.next()
  await opened.source.close()
  await expect(reader.next()).rejects.toMatchObject({ message: expect.stringMatching(/was closed/) })
  await opened.cluster.broker.waitForNoConnections()
})

test('a source that is used again after its end opens again', async () => {
  await using opened = await openScriptedSource([{ records: 30 }])
  const { cluster, source } = opened
  expect((await collect(source, RANGE)).length).toBe(30)
  await source.close()
  await source.close()
  await cluster.broker.waitForNoConnections()
  expect((await collect(source, RANGE)).length).toBe(30)
  await source.close()
  await cluster.broker.waitForNoConnections()
})

test('an open source that is asked nothing runs no timer', async () => {
  const timers = () => process.getActiveResourcesInfo().filter(kind => kind === 'Timeout').length
  const before = timers()
  await using opened = await openScriptedSource(Array.from({ length: 20 }, () => ({ records: 30 })))
  const { source } = opened
  const { signal } = new AbortController()
  await Promise.all(Array.from({ length: 20 }, (_, partition) => collect(source, { ...RANGE, partition }, { signal })))
  await source.latestOffsets({ signal })
  expect(timers()).toBeLessThanOrEqual(before)
})

test('connections are used again, one for each range that is read at the same time', async () => {
  await using opened = await openScriptedSource(Array.from({ length: 4 }, () => ({ records: 30 })))
  const { cluster, source } = opened
  for (let round = 0; round < 10; round++) {
    await Promise.all(Array.from({ length: 4 }, (_, partition) => collect(source, { ...RANGE, partition })))
  }
  expect(cluster.broker.connections.ever).toBeLessThanOrEqual(5)
})

test.for([
  [{ ...RANGE, fromOffset: -1 }, /is no range/],
  [{ ...RANGE, fromOffset: 31 }, /is no range/],
  [{ ...RANGE, untilOffset: 2 ** 53 }, /is no range/],
  [{ ...RANGE, fromOffset: 0.5 }, /is no range/],
  [{ ...RANGE, topic: 'order' }, /topics does not name order/],
] as const)('a range that cannot be is refused before anything is sent', async ([range, message]) => {
  await using opened = await openScriptedSource([{ records: 30 }])
  expect(() => opened.source.read(range)).toThrow(message)
  expect(opened.cluster.broker.connections.ever).toBe(0)
})

test('an empty range has no records and needs no broker', async () => {
  await using opened = await openScriptedSource([{ records: 30 }])
  expect(await collect(opened.source, { ...RANGE, fromOffset: 30 })).toEqual([])
  expect(opened.cluster.broker.connections.ever).toBe(0)
})

test('arrays hold at most 4,096 records', async () => {
  await using opened = await openScriptedSource([{ records: 20_000, perBatch: 10_000 }])
  const lengths: number[] = []
  for await (const records of opened.source.read({ ...RANGE, untilOffset: 20_000 })) lengths.push(records.length)
  expect(Math.max(...lengths)).toBeLessThanOrEqual(4096)
  expect(lengths.reduce((sum, length) => sum + length, 0)).toBe(20_000)
})

test('none of it made Node warn, of the negative timers of kafkajs or of listeners that pile up', async () => {
  await new Promise(resolve => setImmediate(resolve))
  expect(warnings).toEqual([])
})
