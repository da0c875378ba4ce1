import { expect, test } from 'vitest'
import type { DataLossError } from '../../../../src/core/errors.ts'
import type { OffsetRange } from '../../../../src/core/values.ts'
import { topicIdOf } from '../../../support/scripted-broker.ts'
import { openScriptedSource, type ScriptedSource } from './open-scripted-source.ts'

const RANGE = { topic: 'orders', partition: 0, fromOffset: 5, untilOffset: 30 }

/** Reads what is left of a range, with what was told to be missing. */
async function readOn({ source }: ScriptedSource, range: OffsetRange) {
  const offsets: number[] = []
  const losses: DataLossError[] = []
  for await (const records of source.read(range, { onDataLoss: loss => losses.push(loss) })) {
    offsets.push(...records.map(({ offset }) => offset))
  }
  return {
    offsets,
    missing: losses.flatMap(({ lossCause, missing }) => missing.map(({ fromOffset, untilOffset }) => [lossCause, fromOffset, untilOffset])),
  }
}

const span = (from: number, until: number) => Array.from({ length: until - from }, (_, at) => from + at)

test('retention: the rest of the range is read from where the log begins', async () => {
  await using opened = await openScriptedSource([{ records: 40, logStart: 20 }])
  expect(await readOn(opened, RANGE)).toEqual({ offsets: span(20, 30), missing: [['retention', 5, 20]] })
})

test('retention that comes by in the middle: the epoch of what was read before says nothing about what follows', async () => {
  await using opened = await openScriptedSource([{ records: 40, valueBytes: 100 }], { fetchMaxBytes: 1024 })
  const { cluster } = opened
  const epochs: number[] = []
  cluster.broker.script('Fetch', ({ request }) => {
    const [asked] = request.topics[0]?.partitions ?? []
    if ((asked?.fetchOffset ?? 0) > 5) cluster.partition('orders').logStart = 25
    if (asked?.fetchOffset === 25) epochs.push(asked.lastFetchedEpoch)
    return undefined
  })
  const { offsets, missing } = await readOn(opened, RANGE)
  const [[, from = 0] = []] = missing as [string, number, number][]
  expect(offsets).toEqual([...span(5, from), ...span(25, 30)])
  expect(missing).toEqual([['retention', from, 25]])
  expect(epochs[0]).toBe(-1)
})

test('a log that was cut: read up to the cut, and the leader is asked again whether that is whole', async () => {
  await using opened = await openScriptedSource([{ records: 40, leaderEpoch: 7 }])
  opened.cluster.partition('orders').epochEnds = new Map([[6, 12]])
  expect(await readOn(opened, { ...RANGE, leaderEpoch: 6 })).toEqual({ offsets: span(5, 12), missing: [['truncation', 12, 30]] })
})

test('a log that was cut in front of the range: nothing of it is read', async () => {
  await using opened = await openScriptedSource([{ records: 40, leaderEpoch: 7 }])
  opened.cluster.partition('orders').epochEnds = new Map([[6, 2]])
  expect(await readOn(opened, { ...RANGE, leaderEpoch: 6 })).toEqual({ offsets: [], missing: [['truncation', 5, 30]] })
})

test('a log that parts from what was read, with an end beyond the range: no more of it is read than was', async () => {
  await using opened = await openScriptedSource([{ records: 40, valueBytes: 100 }], { fetchMaxBytes: 1024 })
  opened.cluster.broker.script('Fetch', ({ request }, respond) => {
    if (request.topics[0]?.partitions[0]?.lastFetchedEpoch !== 0) return undefined
    const response = respond()
    const responses = response.responses.map(topic => ({
      ...topic,
      partitions: topic.partitions.map(partition => ({
        ...partition,
        records: Buffer.alloc(0),
        divergingEpoch: { epoch: -1, endOffset: 35 },
      })),
    }))
    return { ...response, responses }
  })
  const { offsets, missing } = await readOn(opened, RANGE)
  const reached = (offsets.at(-1) ?? 0) + 1
  expect(offsets).toEqual(span(5, reached))
  expect(missing).toEqual([['truncation', reached, 30]])
})

test('a topic that was made again with fewer partitions is told as such, not waited for as a partition without a leader', async () => {
  await using opened = await openScriptedSource([{ records: 40 }])
  const range = { ...RANGE, partition: 1, topicId: topicIdOf(9) }
  expect(await readOn(opened, range)).toEqual({ offsets: [], missing: [['recreated', 5, 30]] })
})
