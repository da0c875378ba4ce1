import { expect, test } from 'vitest'
import { collect } from '../../../support/collect.ts'
import { topicIdOf } from '../../../support/scripted-broker.ts'
import { openScriptedSource } from './open-scripted-source.ts'

const RANGE = { topic: 'orders', partition: 0, fromOffset: 5, untilOffset: 30 }

/** Reads until the error, and gives it with the offsets that came before it. */
async function readUntilLoss(source: Parameters<typeof collect>[0], range: typeof RANGE & { leaderEpoch?: number; topicId?: string }) {
  const offsets: number[] = []
  try {
    for await (const records of source.read(range)) offsets.push(...records.map(({ offset }) => offset))
  } catch (error) {
    return { error, offsets }
  }
  throw new RangeError('The read came to its end.')
}

test('offsets below the log start are lost to retention: exactly those, and the rest can be read', async () => {
  await using opened = await openScriptedSource([{ records: 40, logStart: 20 }])
  const { error, offsets } = await readUntilLoss(opened.source, RANGE)
  expect(error).toMatchObject({ code: 'DATA_LOSS', lossCause: 'retention', missing: [{ ...RANGE, untilOffset: 20 }] })
  expect(String(error)).toMatch(/orders\/0 \[5, 20\) is gone: the log of orders\/0 begins at 20 now/)
  expect(offsets).toEqual([])
  expect((await collect(opened.source, { ...RANGE, fromOffset: 20 })).length).toBe(10)
})

test('retention that passes the whole range takes no more than the range', async () => {
  await using opened = await openScriptedSource([{ records: 40, logStart: 35 }])
  const { error } = await readUntilLoss(opened.source, RANGE)
  expect(error).toMatchObject({ lossCause: 'retention', missing: [RANGE] })
})

test('what was read before retention came by is not missing', async () => {
  await using opened = await openScriptedSource([{ records: 40, valueBytes: 100 }], { fetchMaxBytes: 1024 })
  const { cluster, source } = opened
  const reader = source.read(RANGE)[Symbol.asyncIterator]()
  cluster.broker.script('Fetch', ({ request }) => {
    if ((request.topics[0]?.partitions[0]?.fetchOffset ?? 0) > 5) cluster.partition('orders').logStart = 35
    return undefined
  })
  const seen: number[] = []
  const error = await (async () => {
    for (;;) {
      const next = await reader.next()
      if (next.done) throw new RangeError('The read came to its end.')
      seen.push(...next.value.map(({ offset }) => offset))
    }
  })().catch((failure: unknown) => failure)
  const position = (seen.at(-1) ?? 0) + 1
  expect(seen.length).toBeGreaterThan(0)
  expect(error).toMatchObject({ lossCause: 'retention', missing: [{ ...RANGE, fromOffset: position }] })
})

test('after an election the new leader is asked where the planned epoch ended, and below the end of the range that is truncation', async () => {
  await using opened = await openScriptedSource([{ records: 40, leaderEpoch: 7 }])
  const { cluster, source } = opened
  cluster.partition('orders').epochEnds = new Map([[6, 12]])
  const { error, offsets } = await readUntilLoss(source, { ...RANGE, leaderEpoch: 6 })
  expect(error).toMatchObject({ code: 'DATA_LOSS', lossCause: 'truncation', missing: [{ ...RANGE, fromOffset: 12, leaderEpoch: 6 }] })
  expect(offsets).toEqual([])
  expect(cluster.broker.asked('Fetch').length).toBe(0)
})

test('an election that cut nothing of the range is asked about once, and the range is read', async () => {
  await using opened = await openScriptedSource([{ records: 40, leaderEpoch: 7, valueBytes: 100 }], { fetchMaxBytes: 1024 })
  const { cluster, source } = opened
  cluster.partition('orders').epochEnds = new Map([[6, 30]])
  expect((await collect(source, { ...RANGE, leaderEpoch: 6 })).length).toBe(25)
  expect(cluster.broker.asked('OffsetForLeaderEpoch').length).toBe(1)
})

test('while the new leader cannot say where the planned epoch ended, nothing of it is read', async () => {
  await using opened = await openScriptedSource([{ records: 40, leaderEpoch: 7 }])
  const { cluster, source } = opened
  cluster.partition('orders').epochEnds = new Map([[6, 12]])
  let refusals = 2
  cluster.broker.script('OffsetForLeaderEpoch', (_asked, respond) => {
    if (refusals-- <= 0) return undefined
    const UNKNOWN_LEADER_EPOCH = 75
    const { topics, throttleTimeMs } = respond()
    return {
      throttleTimeMs,
      topics: topics.map(topic => ({
        ...topic,
        partitions: topic.partitions.map(partition => ({ ...partition, errorCode: UNKNOWN_LEADER_EPOCH, endOffset: -1 })),
      })),
    }
  })
  const { error } = await readUntilLoss(source, { ...RANGE, leaderEpoch: 6 })
  expect(error).toMatchObject({ lossCause: 'truncation' })
  expect(cluster.broker.asked('Fetch').length).toBe(0)
})

test('a fetch answer with a diverging epoch is truncation: the log was cut behind what was read last', async () => {
  await using opened = await openScriptedSource([{ records: 40, valueBytes: 100 }], { fetchMaxBytes: 1024 })
  const { cluster, source } = opened
  cluster.broker.script('Fetch', ({ request }, respond) => {
    const [asked] = request.topics[0]?.partitions ?? []
    if (asked?.lastFetchedEpoch !== 0) return undefined
    const response = respond()
    const responses = response.responses.map(topic => ({
      ...topic,
      partitions: topic.partitions.map(partition => ({
        ...partition,
        records: Buffer.alloc(0),
        divergingEpoch: { epoch: 0, endOffset: 9 },
      })),
    }))
    return { ...response, responses }
  })
  const { error } = await readUntilLoss(source, RANGE)
  expect(error).toMatchObject({ lossCause: 'truncation', missing: [{ ...RANGE, fromOffset: 9 }] })
})

test('a topic with another id than the range was planned for was made again: all of the range is gone', async () => {
  await using opened = await openScriptedSource([{ records: 40 }])
  const { cluster, source } = opened
  const { error } = await readUntilLoss(source, { ...RANGE, topicId: topicIdOf(9) })
  expect(error).toMatchObject({ lossCause: 'recreated', missing: [{ ...RANGE, topicId: topicIdOf(9) }] })
  expect(cluster.broker.asked('Fetch').length).toBe(0)
})

test('a topic that is made again while it is read is noticed by its id, not read on', async () => {
  await using opened = await openScriptedSource([{ records: 40, valueBytes: 100 }], { fetchMaxBytes: 1024 })
  const { cluster, source } = opened
  const [planned] = await source.latestOffsets()
  cluster.broker.script('Fetch', ({ request }) => {
    const topic = cluster.topics.get('orders')
    if (topic !== undefined && (request.topics[0]?.partitions[0]?.fetchOffset ?? 0) > 5) topic.topicId = topicIdOf(2)
    return undefined
  })
  const { error } = await readUntilLoss(source, { ...RANGE, topicId: planned?.topicId ?? '' })
  expect(error).toMatchObject({ lossCause: 'recreated' })
})

test('a topic that is deleted while it is read is lost, once the cluster has said so for a while', async () => {
  await using opened = await openScriptedSource([{ records: 40, valueBytes: 100 }], { fetchMaxBytes: 1024 })
  const { cluster, source } = opened
  cluster.broker.script('Fetch', ({ request }) => {
    if ((request.topics[0]?.partitions[0]?.fetchOffset ?? 0) > 5) cluster.topics.delete('orders')
    return undefined
  })
  const { error, offsets } = await readUntilLoss(source, RANGE)
  expect(error).toMatchObject({ lossCause: 'removed', missing: [{ ...RANGE, fromOffset: (offsets.at(-1) ?? 0) + 1 }] })
  // Named by the job and gone: no error of the configuration, and no further wait.
  expect(await source.partitions()).toEqual([])
})

test('an abort list in no order hides exactly the aborted records', async () => {
  const producer = (producerId: bigint) => ({ producerId, isTransactional: true })
  const value = (offset: number) => ({ offset, value: Buffer.from(String(offset)) })
  const marker = (offset: number, producerId: bigint, type: 0 | 1) => ({
    records: [{ offset, key: Buffer.from([0, 0, 0, type]), value: Buffer.alloc(6) }],
    ...producer(producerId),
    isControl: true,
  })
  await using opened = await openScriptedSource([
    {
      batches: [
        { records: [value(0)], ...producer(1n) },
        { records: [value(1)], ...producer(2n) },
        marker(2, 2n, 0),
        { records: [value(3)], ...producer(2n) },
        { records: [value(4)], ...producer(1n) },
        marker(5, 2n, 1),
        marker(6, 1n, 0),
        { records: [value(7)] },
        { records: [value(8)], ...producer(1n) },
        marker(9, 1n, 0),
      ],
      // As brokers list them, by their ends, and one more out of place.
      aborted: [
        { producerId: 1, firstOffset: 8 },
        { producerId: 2, firstOffset: 1 },
        { producerId: 1, firstOffset: 0 },
      ],
    },
  ])
  const committed = await collect(opened.source, { ...RANGE, fromOffset: 0, untilOffset: 10 })
  expect(committed.map(({ offset }) => offset)).toEqual([3, 7])
  const all = await collect(opened.source, { ...RANGE, fromOffset: 0, untilOffset: 10 }, { isolation: 'read_uncommitted' })
  expect(all.map(({ offset }) => offset)).toEqual([0, 1, 3, 4, 7, 8])
})
