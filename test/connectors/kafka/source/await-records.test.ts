import { expect, test } from 'vitest'
import { openScriptedSource } from './open-scripted-source.ts'

const at = (offset: number, partition = 0) => ({ topic: 'orders', partition, offset })

test('it resolves with the end as soon as there is something beyond what is known', async () => {
  await using opened = await openScriptedSource([{ records: 30 }])
  const { cluster, source } = opened
  expect(await source.awaitRecords([at(10)])).toMatchObject([{ ...at(30), leaderEpoch: 0 }])
  const news = source.awaitRecords([at(30)])
  await cluster.broker.waitFor('Fetch', 2)
  const changedAt = performance.now()
  cluster.change(() => {
    const partition = cluster.partition('orders')
    const [last] = partition.batches.slice(-1)
    if (last === undefined) throw new RangeError('The log is empty.')
    const bytes = Buffer.from(last.bytes)
    bytes.writeBigInt64BE(30n, 0)
    partition.batches.push({ baseOffset: 30, lastOffset: 39, bytes })
    Object.assign(partition, { highWatermark: 40, lastStableOffset: 40 })
  })
  expect(await news).toMatchObject([at(40)])
  expect(performance.now() - changedAt).toBeLessThan(5_000)
})

test('under read_committed what an open transaction wrote is waited for until it ends', async () => {
  await using opened = await openScriptedSource([{ records: 30, lastStableOffset: 20 }])
  const { cluster, source } = opened
  const news = source.awaitRecords([at(20)])
  let isResolved = false
  news.then(() => {
    isResolved = true
  })
  await cluster.broker.waitFor('Fetch')
  cluster.change(() => {})
  await source.latestOffsets()
  expect(isResolved).toBe(false)
  cluster.change(() => Object.assign(cluster.partition('orders'), { lastStableOffset: 30 }))
  expect(await news).toMatchObject([at(30)])
})

test('many partitions of one leader are waited for by one request, and those that have nothing are left out', async () => {
  await using opened = await openScriptedSource(Array.from({ length: 50 }, () => ({ records: 30 })))
  const { cluster, source } = opened
  const from = Array.from({ length: 50 }, (_, partition) => at(partition === 7 ? 20 : 30, partition))
  expect(await source.awaitRecords(from)).toMatchObject([at(30, 7)])
  const fetches = cluster.broker.asked('Fetch')
  expect(fetches.length).toBe(1)
  // Idle, it is a request every five seconds, and what it brings of records is as little as a broker sends.
  expect(fetches[0]?.request).toMatchObject({ maxWaitMs: 5_000, minBytes: 1, maxBytes: 1 })
})

test('the wait on a second broker stays on its way when the first has news, and serves the next call', async () => {
  await using opened = await openScriptedSource([{ records: 30 }, { records: 30, leaderId: 2 }], { brokers: 2 })
  const { cluster, source } = opened
  const [first, second] = cluster.brokers
  expect(await source.awaitRecords([at(20), at(30, 1)])).toMatchObject([at(30)])
  await second?.waitFor('Fetch')
  const abort = new AbortController()
  const next = source.awaitRecords([at(30), at(30, 1)], { signal: abort.signal })
  await first?.waitFor('Fetch', 2)
  abort.abort(new Error('enough'))
  await expect(next).rejects.toThrow('enough')
  expect(second?.asked('Fetch').length).toBe(1)
})

test('a leader that moved ends the wait without news, and the next one asks whoever leads now', async () => {
  await using opened = await openScriptedSource([{ records: 30 }], { brokers: 2 })
  const { cluster, source } = opened
  await source.partitions()
  cluster.change(() => Object.assign(cluster.partition('orders'), { leaderId: 2, leaderEpoch: 1 }))
  expect(await source.awaitRecords([at(20)])).toEqual([])
  expect(await source.awaitRecords([at(20)])).toMatchObject([at(30)])
  expect(cluster.brokers[1]?.asked('Fetch').length).toBe(1)
})

test('a broker that goes away ends the wait with an error that may be tried again', async () => {
  await using opened = await openScriptedSource([{ records: 30 }])
  const { cluster, source } = opened
  const news = source.awaitRecords([at(30)])
  await cluster.broker.waitFor('Fetch')
  cluster.broker.cut()
  await expect(news).rejects.toMatchObject({ code: 'CONNECTION', retryable: true })
})

test('an aborted wait rejects with the reason at once', async () => {
  await using opened = await openScriptedSource([{ records: 30 }])
  const { cluster, source } = opened
  const abort = new AbortController()
  const news = source.awaitRecords([at(30)], { signal: abort.signal })
  await cluster.broker.waitFor('Fetch')
  const reason = new Error('enough')
  abort.abort(reason)
  await expect(news).rejects.toBe(reason)
})
