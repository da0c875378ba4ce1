import { createServer, type Socket } from 'node:net'
import { expect, test } from 'vitest'
import { kafkaSource } from '../../../../connectors/kafka/index.ts'
import { collect } from '../../../support/collect.ts'
import { openScriptedSource } from './open-scripted-source.ts'

const RANGE = { topic: 'orders', partition: 0, fromOffset: 0, untilOffset: 30 }
const REASON = new Error('that will do')

/** Aborts when `when` is there, and expects the call to fail with the signal's reason right away. */
async function expectAbort(call: (signal: AbortSignal) => Promise<unknown>, when: Promise<unknown>): Promise<void> {
  const abort = new AbortController()
  const outcome = call(abort.signal).then(
    () => 'it came to its end',
    (error: unknown) => error,
  )
  await when
  const abortedAt = performance.now()
  abort.abort(REASON)
  expect(await outcome).toBe(REASON)
  expect(performance.now() - abortedAt).toBeLessThan(5_000)
}

test('while connecting: to something that takes the connection and says nothing; its socket is closed', async () => {
  const accepted = Promise.withResolvers<Socket>()
  const server = createServer(accepted.resolve)
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as { port: number }
  const source = kafkaSource({ kafka: { brokers: [`127.0.0.1:${port}`] }, topics: ['orders'] })
  const closed = accepted.promise.then(socket => new Promise(resolve => socket.resume().once('close', resolve)))
  await expectAbort(signal => collect(source, RANGE, { signal }), accepted.promise)
  // The connection was opened for the metadata, which others may wait for: it goes with the source.
  await source.close()
  await closed
  await new Promise(resolve => server.close(resolve))
})

test('while waiting for the metadata', async () => {
  await using opened = await openScriptedSource([{ records: 30 }])
  const { cluster, source } = opened
  cluster.broker.script('Metadata', () => 'nothing')
  await expectAbort(signal => collect(source, RANGE, { signal }), cluster.broker.waitFor('Metadata'))
  await source.close()
  await cluster.broker.waitForNoConnections()
})

test('while the broker is asked which versions it speaks', async () => {
  await using opened = await openScriptedSource([{ records: 30 }])
  const { cluster, source } = opened
  cluster.broker.script('ApiVersions', () => 'nothing')
  await expectAbort(signal => collect(source, RANGE, { signal }), cluster.broker.waitFor('ApiVersions'))
  await source.close()
  await cluster.broker.waitForNoConnections()
})

test('while waiting for offsets', async () => {
  await using opened = await openScriptedSource([{ records: 30 }])
  const { cluster, source } = opened
  cluster.broker.script('ListOffsets', () => 'nothing')
  await expectAbort(signal => source.latestOffsets({ signal }), cluster.broker.waitFor('ListOffsets'))
})

test('while waiting for a fetch: its connection is closed, since the answer would come to whoever is next', async () => {
  await using opened = await openScriptedSource([{ records: 30 }])
  const { cluster, source } = opened
  cluster.broker.script('Fetch', () => 'nothing')
  await expectAbort(signal => collect(source, RANGE, { signal }), cluster.broker.waitFor('Fetch'))
  await cluster.broker.waitForNoConnections()
})

test('while waiting for the byte budget', async () => {
  await using opened = await openScriptedSource([{ records: 30 }, { records: 30 }], { maxBytesInFlight: 1024, fetchMaxBytes: 1024 })
  const { source } = opened
  const holder = source.read(RANGE)[Symbol.asyncIterator]()
  await holder.next()
  await expectAbort(signal => collect(source, { ...RANGE, partition: 1 }, { signal }), source.latestOffsets())
  await holder.return?.()
  // Whoever gave up left the queue: the next one is not behind it.
  expect((await collect(source, { ...RANGE, partition: 1 })).length).toBe(30)
})

test('while waiting to try again', async () => {
  await using opened = await openScriptedSource([{ records: 30 }])
  const { cluster, source } = opened
  cluster.broker.script('Fetch', () => 'close')
  await expectAbort(signal => collect(source, RANGE, { signal }), cluster.broker.waitFor('Fetch', 5))
})

test('while the broker has the reader wait out a quota', async () => {
  await using opened = await openScriptedSource([{ records: 30, valueBytes: 100 }], { fetchMaxBytes: 1024 })
  const { cluster, source } = opened
  cluster.broker.script('Fetch', (_asked, respond) => ({ ...respond(), throttleTimeMs: 60_000 }))
  const seen = Promise.withResolvers<void>()
  await expectAbort(async signal => {
    for await (const _records of source.read(RANGE, { signal })) seen.resolve()
  }, seen.promise)
})

test('between two arrays: the next one is not given any more', async () => {
  await using opened = await openScriptedSource([{ records: 10_000, perBatch: 5000 }])
  const { source } = opened
  const abort = new AbortController()
  const reader = source.read({ ...RANGE, untilOffset: 10_000 }, { signal: abort.signal })[Symbol.asyncIterator]()
  await reader.next()
  abort.abort(REASON)
  await expect(reader.next()).rejects.toBe(REASON)
})

test('before anything was begun: nothing is sent', async () => {
  await using opened = await openScriptedSource([{ records: 30 }])
  const { cluster, source } = opened
  await source.latestOffsets()
  const before = cluster.broker.requests.length
  const signal = AbortSignal.abort(REASON)
  const [at] = await source.latestOffsets()
  const calls = [
    () => collect(source, RANGE, { signal }),
    () => source.latestOffsets({ signal }),
    () => source.offsetsForTimestamp(0, { signal }),
    () => source.awaitRecords(at === undefined ? [] : [at], { signal }),
    () => source.partitions({ signal }),
  ]
  for (const call of calls) await expect(call()).rejects.toBe(REASON)
  expect(cluster.broker.requests.length).toBe(before + 1)
})

test('a reader that is left early leaves no connection with an answer under way, and gives back what it held', async () => {
  await using opened = await openScriptedSource([{ records: 30, valueBytes: 500 }], { fetchMaxBytes: 6000, maxBytesInFlight: 12_000 })
  const { cluster, source } = opened
  for (let round = 0; round < 20; round++) {
    for await (const records of source.read(RANGE)) {
      expect(records[0]?.offset).toBe(0)
      break
    }
  }
  expect((await collect(source, RANGE)).length).toBe(30)
  expect(cluster.broker.connections.open).toBeLessThanOrEqual(2)
})
