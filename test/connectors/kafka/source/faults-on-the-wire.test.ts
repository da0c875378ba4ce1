import { expect, test } from 'vitest'
import { collect } from '../../../support/collect.ts'
import { openScriptedSource } from './open-scripted-source.ts'

const RANGE = { topic: 'orders', partition: 0, fromOffset: 0, untilOffset: 30 }
const ALL = Array.from({ length: 30 }, (_, offset) => offset)
const offsetsOf = (records: readonly { readonly offset: number }[]) => records.map(({ offset }) => offset)

test('an answer that comes in pieces of one byte is put together', async () => {
  await using opened = await openScriptedSource([{ records: 30 }])
  const { cluster, source } = opened
  cluster.broker.script('Fetch', async (_asked, respond, frame) => ({ bytes: frame(respond()) }))
  const pieces = cluster.broker.sendInPieces(1)
  expect(offsetsOf(await collect(source, RANGE))).toEqual(ALL)
  expect(pieces()).toBeGreaterThan(500)
})

test('a size that no broker would announce ends the connection with the reason, and nothing is allocated for it', async () => {
  await using opened = await openScriptedSource([{ records: 30 }])
  const { cluster, source } = opened
  cluster.broker.script('Fetch', () => ({ bytes: Buffer.from('7fffffff00000000', 'hex') }))
  await expect(collect(source, RANGE)).rejects.toMatchObject({
    code: 'DECODE',
    message: expect.stringMatching(/announced a response of 2147483647 bytes: what answers there is not a Kafka broker/),
  })
  expect(process.memoryUsage().arrayBuffers).toBeLessThan(500_000_000)
})

test.for([-1, 0, 3])('a size of %i is no answer', async size => {
  await using opened = await openScriptedSource([{ records: 30 }])
  const { cluster, source } = opened
  const bytes = Buffer.alloc(8)
  bytes.writeInt32BE(size)
  cluster.broker.script('Fetch', () => ({ bytes }))
  await expect(collect(source, RANGE)).rejects.toMatchObject({ code: 'DECODE' })
})

test('an answer to another request than the one that waits is not believed: the connection is left and the fetch repeated', async () => {
  await using opened = await openScriptedSource([{ records: 30 }])
  const { cluster, source } = opened
  let isOutOfStep = true
  cluster.broker.script('Fetch', (_asked, respond, frame) => {
    if (!isOutOfStep) return undefined
    isOutOfStep = false
    return { bytes: frame(respond(), 4711) }
  })
  expect(offsetsOf(await collect(source, RANGE))).toEqual(ALL)
  const [first, second] = cluster.broker.asked('Fetch')
  expect(second?.connection).not.toBe(first?.connection)
})

test('an answer that nobody asked for ends the connection', async () => {
  await using opened = await openScriptedSource([{ records: 30 }])
  const { cluster, source } = opened
  cluster.broker.script('Metadata', (_asked, respond, frame) => ({ bytes: Buffer.concat([frame(respond()), frame(respond(), 99)]) }))
  await source.partitions()
  await cluster.broker.waitForNoConnections()
  expect(offsetsOf(await collect(source, RANGE))).toEqual(ALL)
})

test('bytes that do not fit the layout of the answer end the read with the api, the version and the place', async () => {
  await using opened = await openScriptedSource([{ records: 30 }])
  const { cluster, source } = opened
  cluster.broker.script('Fetch', (_asked, respond, frame) => {
    const whole = frame(respond())
    const cut = Buffer.from(whole.subarray(0, 60))
    cut.writeInt32BE(cut.length - 4)
    return { bytes: cut }
  })
  await expect(collect(source, RANGE)).rejects.toMatchObject({
    code: 'DECODE',
    message: expect.stringMatching(/The Fetch v17 response cannot be read at byte \d+/),
  })
})

test('a connection that closes in the middle of an answer is replaced at once', async () => {
  await using opened = await openScriptedSource([{ records: 30 }])
  const { cluster, source } = opened
  let cuts = 2
  cluster.broker.script('Fetch', (_asked, respond, frame) => {
    if (cuts-- <= 0) return undefined
    return { bytes: frame(respond()).subarray(0, 100), thenClose: true }
  })
  const startedAt = performance.now()
  expect(offsetsOf(await collect(source, RANGE))).toEqual(ALL)
  expect(performance.now() - startedAt).toBeLessThan(5_000)
})

test('an idle connection that the broker closed is not used again', async () => {
  await using opened = await openScriptedSource([{ records: 30 }])
  const { cluster, source } = opened
  await source.latestOffsets()
  cluster.broker.cut()
  await cluster.broker.waitForNoConnections()
  // The source hears of it within the next turns of the loop.
  for (let turn = 0; turn < 20; turn++) await new Promise(resolve => setImmediate(resolve))
  expect(await source.latestOffsets()).toMatchObject([{ offset: 30 }])
  // A request over a dead connection would have made it doubt who leads.
  expect(cluster.broker.asked('Metadata').length).toBe(1)
})

test('a quota is obeyed: the next request on that connection waits', async () => {
  await using opened = await openScriptedSource([{ records: 30, valueBytes: 100 }], { fetchMaxBytes: 1024 })
  const { cluster, source } = opened
  cluster.broker.script('Fetch', (_asked, respond) => ({
    ...respond(),
    throttleTimeMs: cluster.broker.asked('Fetch').length === 1 ? 300 : 0,
  }))
  expect(offsetsOf(await collect(source, RANGE))).toEqual(ALL)
  const [first, second] = cluster.broker.asked('Fetch')
  expect(second?.connection).toBe(first?.connection)
  expect((second?.at ?? 0) - (first?.at ?? 0)).toBeGreaterThanOrEqual(299)
})
