import { expect, test } from 'vitest'
import { collect } from '../../../support/collect.ts'
import type { ScriptedCluster } from '../../../support/scripted-broker.ts'
import { openScriptedSource } from './open-scripted-source.ts'

const RANGE = { topic: 'orders', partition: 0, fromOffset: 0, untilOffset: 40 }
const OFFSETS = Array.from({ length: 40 }, (_, offset) => offset)

/** Turns a bit in the last byte of answers: `always`, or of the first to each offset, `times` in all. Gives the connections that fetches went over. */
function damage(cluster: ScriptedCluster, { always = false, times = Number.POSITIVE_INFINITY } = {}): number[] {
  const connections: number[] = []
  const damaged = new Set<number>()
  cluster.broker.script('Fetch', ({ request, connection }, respond) => {
    connections.push(connection)
    const offset = request.topics[0]?.partitions[0]?.fetchOffset ?? 0
    if ((damaged.has(offset) && !always) || damaged.size >= times) return undefined
    damaged.add(offset)
    const response = respond()
    const responses = response.responses.map(topic => ({
      ...topic,
      partitions: topic.partitions.map(partition => {
        if (partition.records.length === 0) return partition
        const records = Buffer.from(partition.records)
        records[records.length - 1] = (records.at(-1) ?? 0) ^ 1
        return { ...partition, records }
      }),
    }))
    return { ...response, responses }
  })
  return connections
}

test('bytes that were damaged on the way are fetched once more, over a connection that nobody has used, and every record comes once', async () => {
  await using opened = await openScriptedSource([{ records: 40 }])
  const connections = damage(opened.cluster, { times: 1 })
  expect((await collect(opened.source, RANGE)).map(({ offset }) => offset)).toEqual(OFFSETS)
  expect(connections.length).toBe(2)
  expect(connections[1]).toBeGreaterThan(connections[0] ?? 0)
})

test('bytes that are damaged again are damaged in the log: the read fails with the place, after one retry', async () => {
  await using opened = await openScriptedSource([{ records: 40 }])
  const connections = damage(opened.cluster, { always: true })
  await expect(collect(opened.source, RANGE)).rejects.toMatchObject({
    code: 'DECODE',
    message: expect.stringMatching(/^orders\/0: the batch at offset 30 cannot be read: its checksum is/),
    details: { topic: 'orders', partition: 0 },
  })
  expect(connections.length).toBe(2)
})

test('damage halfway is met with what was fetched ahead on its way: nothing is lost, doubled or left behind', async () => {
  await using opened = await openScriptedSource([{ records: 40, valueBytes: 100 }], { fetchMaxBytes: 1024, maxBytesInFlight: 8_192 })
  const connections = damage(opened.cluster)
  expect((await collect(opened.source, RANGE)).map(({ offset }) => offset)).toEqual(OFFSETS)
  expect(new Set(connections).size).toBeGreaterThan(1)
  // The budget is whole again: a second read has room.
  expect((await collect(opened.source, RANGE)).length).toBe(40)
})

test('a broker that says the records are corrupt is asked once more over a fresh connection', async () => {
  await using opened = await openScriptedSource([{ records: 40 }])
  const connections: number[] = []
  opened.cluster.broker.script('Fetch', ({ connection }, respond) => {
    connections.push(connection)
    if (connections.length > 1) return undefined
    const CORRUPT_MESSAGE = 2
    const response = respond()
    const responses = response.responses.map(topic => ({
      ...topic,
      partitions: topic.partitions.map(partition => ({ ...partition, errorCode: CORRUPT_MESSAGE, records: Buffer.alloc(0) })),
    }))
    return { ...response, responses }
  })
  expect((await collect(opened.source, RANGE)).length).toBe(40)
  expect(connections[1]).toBeGreaterThan(connections[0] ?? 0)
})
