import { expect, test } from 'vitest'
import type { OffsetRange } from '../../../src/core/values.ts'
import { type MemorySource, memorySource } from '../../../src/testing/index.ts'

const range = (fromOffset: number, untilOffset: number, rest: Partial<OffsetRange> = {}): OffsetRange => ({
  topic: 'orders',
  partition: 0,
  fromOffset,
  untilOffset,
  ...rest,
})

async function offsetsOf(source: MemorySource, of: OffsetRange, signal?: AbortSignal): Promise<number[]> {
  const offsets: number[] = []
  for await (const records of source.read(of, { signal })) {
    expect(records.length).toBeLessThanOrEqual(4_096)
    offsets.push(...records.map(({ offset }) => offset))
  }
  return offsets
}

function filled(records: number): MemorySource {
  const source = memorySource({ topics: { orders: 2 } })
  source.append('orders', 0, ...Array.from({ length: records }, (_, n) => ({ value: `${n}`, timestamp: n * 10 })))
  return source
}

test('a range is read exactly, in order', async () => {
  const source = filled(10_000)
  expect(await offsetsOf(source, range(7, 9_321))).toEqual(Array.from({ length: 9_314 }, (_, n) => n + 7))
  expect(source.reads).toEqual([range(7, 9_321)])
})

test('records come back as they were appended', async () => {
  const source = memorySource({ topics: { orders: 1 } })
  source.append('orders', 0, { key: 'k', value: null, timestamp: 5, headers: [['h', Buffer.from('v')]] })
  for await (const records of source.read(range(0, 1))) {
    const headers = [['h', Buffer.from('v')]]
    expect(records).toEqual([{ topic: 'orders', partition: 0, offset: 0, timestamp: 5, key: Buffer.from('k'), value: null, headers }])
  }
})

test('gaps and a range that ends in one are read to their end', async () => {
  const source = filled(3)
  source.skip('orders', 0, 4)
  expect(source.append('orders', 0, { value: 'a' })).toBe(7)
  source.skip('orders', 0, 2)
  expect(await offsetsOf(source, range(1, 10))).toEqual([1, 2, 7])
  expect(await offsetsOf(source, range(3, 7))).toEqual([])
})

test('positions and lookups by time are those of the log', async () => {
  const source = filled(5)
  source.deleteBefore('orders', 0, 2)
  const offsets = async (call: 'earliestOffsets' | 'latestOffsets') => (await source[call]()).map(({ offset }) => offset)
  expect(await offsets('earliestOffsets')).toEqual([2, 0])
  expect(await offsets('latestOffsets')).toEqual([5, 0])
  expect((await source.offsetsForTimestamp(31)).map(({ offset }) => offset)).toEqual([4, 0])
  expect((await source.offsetsForTimestamp(999)).map(({ offset }) => offset)).toEqual([5, 0])
  expect(await source.partitions()).toEqual([
    { topic: 'orders', partition: 0 },
    { topic: 'orders', partition: 1 },
  ])
})

test('a read beyond the end waits for the records', async () => {
  const source = filled(2)
  const reading = offsetsOf(source, range(0, 4))
  source.append('orders', 0, { value: 'a' })
  source.append('orders', 0, { value: 'b' })
  expect(await reading).toEqual([0, 1, 2, 3])
})

test('a read that waits ends with its signal', async () => {
  const controller = new AbortController()
  const reason = new Error('stopped')
  const reading = expect(offsetsOf(filled(2), range(0, 4), controller.signal)).rejects.toBe(reason)
  controller.abort(reason)
  await reading
})

test('lost records are told with their cause and their ranges', async () => {
  const retention = filled(10)
  retention.deleteBefore('orders', 0, 4)
  await expect(offsetsOf(retention, range(2, 8))).rejects.toMatchObject({ lossCause: 'retention', missing: [range(2, 4)] })

  const truncation = filled(10)
  truncation.truncate('orders', 0, 6)
  truncation.append('orders', 0, ...Array.from({ length: 9 }, () => ({ value: 'other' })))
  const lost = range(2, 8, { leaderEpoch: 0 })
  await expect(offsetsOf(truncation, lost)).rejects.toMatchObject({ lossCause: 'truncation', missing: [{ ...lost, fromOffset: 6 }] })
  expect(await offsetsOf(truncation, range(2, 6, { leaderEpoch: 0 }))).toEqual([2, 3, 4, 5])
  expect(await offsetsOf(truncation, range(2, 8, { leaderEpoch: 1 }))).toHaveLength(6)

  const recreated = filled(10)
  const topicId = (await recreated.latestOffsets())[0]?.topicId ?? expect.fail()
  recreated.createTopic('orders', 1)
  await expect(offsetsOf(recreated, range(2, 8, { topicId }))).rejects.toMatchObject({ lossCause: 'recreated' })
  recreated.removeTopic('orders')
  await expect(offsetsOf(recreated, range(2, 8))).rejects.toMatchObject({ lossCause: 'removed' })
})

test('a clean election loses nothing', async () => {
  const source = filled(5)
  source.electLeader('orders', 0)
  source.append('orders', 0, { value: 'a' })
  expect(await offsetsOf(source, range(0, 5, { leaderEpoch: 0 }))).toHaveLength(5)
  expect((await source.latestOffsets())[0]).toMatchObject({ offset: 6, leaderEpoch: 1 })
})

test('waiting for records ends when a partition that is waited for has some', async () => {
  const source = filled(2)
  const waiting = source.awaitRecords([{ topic: 'orders', partition: 0, offset: 2 }])
  source.append('orders', 1, { value: 'not waited for' })
  source.append('orders', 0, { value: 'a' })
  expect(await waiting).toMatchObject([{ topic: 'orders', partition: 0, offset: 3 }])
  expect(await source.awaitRecords([{ topic: 'orders', partition: 1, offset: 0 }])).toMatchObject([{ partition: 1, offset: 1 }])
})

test('the next calls fail as often as they were told to, a read after so many records', async () => {
  const source = filled(10)
  const error = new Error('the broker hung up')
  source.failNext('latestOffsets', error, { times: 2 })
  await expect(source.latestOffsets()).rejects.toBe(error)
  await expect(source.latestOffsets()).rejects.toBe(error)
  expect(await source.latestOffsets()).toHaveLength(2)
  expect(source.calls.latestOffsets).toBe(3)

  source.failNext('read', error, { afterRecords: 3 })
  const got: number[] = []
  const reading = (async () => {
    for await (const records of source.read(range(2, 9))) got.push(...records.map(({ offset }) => offset))
  })()
  await expect(reading).rejects.toBe(error)
  expect(got).toEqual([2, 3, 4])
  expect(await offsetsOf(source, range(2, 9))).toHaveLength(7)
})
