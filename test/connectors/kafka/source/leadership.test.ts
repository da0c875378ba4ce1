import { expect, test } from 'vitest'
import { collect } from '../../../support/collect.ts'
import type { ScriptedBroker } from '../../../support/scripted-broker.ts'
import { openScriptedSource } from './open-scripted-source.ts'

const NOT_LEADER_OR_FOLLOWER = 6
const range = (untilOffset: number, more = {}) => ({ topic: 'orders', partition: 0, fromOffset: 0, untilOffset, ...more })
const offsetsOf = (records: readonly { readonly offset: number }[]) => records.map(({ offset }) => offset)
const upTo = (end: number) => Array.from({ length: end }, (_, offset) => offset)

/** Has a broker answer fetches for what it no longer leads with who does, as KIP-951 has it. */
function tellNewLeader(broker: ScriptedBroker | undefined, endpoint: { nodeId: number; address: string }, leaderEpoch: number): void {
  const [host = '', port] = endpoint.address.split(':')
  broker?.script('Fetch', (_asked, respond) => {
    const response = respond()
    const responses = response.responses.map(topic => ({
      ...topic,
      partitions: topic.partitions.map(partition => ({
        ...partition,
        errorCode: NOT_LEADER_OR_FOLLOWER,
        currentLeader: { leaderId: endpoint.nodeId, leaderEpoch },
      })),
    }))
    return { ...response, responses, nodeEndpoints: [{ nodeId: endpoint.nodeId, host, port: Number(port), rack: null }] }
  })
}

test('a new leader that a fetch answer names is followed without asking for metadata', async () => {
  await using opened = await openScriptedSource([{ records: 30 }], { brokers: 2 })
  const { cluster, source } = opened
  await source.partitions()
  const [first, second] = cluster.brokers
  cluster.change(() => Object.assign(cluster.partition('orders'), { leaderId: 2, leaderEpoch: 1 }))
  tellNewLeader(first, { nodeId: 2, address: cluster.addresses[1] ?? '' }, 1)
  expect(offsetsOf(await collect(source, range(30)))).toEqual(upTo(30))
  expect(first?.asked('Fetch').length).toBe(1)
  expect(second?.asked('Fetch').length).toBeGreaterThan(0)
  expect(cluster.brokers.flatMap(broker => broker.asked('Metadata')).length).toBe(1)
})

test('a broker that leads no longer and names nobody sends the reader to the metadata', async () => {
  await using opened = await openScriptedSource([{ records: 30 }], { brokers: 2 })
  const { cluster, source } = opened
  await source.partitions()
  cluster.change(() => Object.assign(cluster.partition('orders'), { leaderId: 2, leaderEpoch: 0 }))
  expect(offsetsOf(await collect(source, range(30)))).toEqual(upTo(30))
  expect(cluster.brokers.flatMap(broker => broker.asked('Metadata')).length).toBe(2)
})

test('a fenced epoch (ours is old) is cured by metadata', async () => {
  await using opened = await openScriptedSource([{ records: 30 }])
  const { cluster, source } = opened
  await source.partitions()
  cluster.change(() => Object.assign(cluster.partition('orders'), { leaderEpoch: 3 }))
  expect(offsetsOf(await collect(source, range(30)))).toEqual(upTo(30))
  expect(cluster.broker.asked('Metadata').length).toBe(2)
})

test('an epoch that the broker does not know yet is waited for, without asking for metadata', async () => {
  await using opened = await openScriptedSource([{ records: 30, leaderEpoch: 5 }])
  const { cluster, source } = opened
  await source.partitions()
  cluster.change(() => Object.assign(cluster.partition('orders'), { leaderEpoch: 4 }))
  cluster.broker.script('Fetch', () => {
    if (cluster.broker.asked('Fetch').length === 3) cluster.partition('orders').leaderEpoch = 5
    return undefined
  })
  expect(offsetsOf(await collect(source, range(30)))).toEqual(upTo(30))
  expect(cluster.broker.asked('Metadata').length).toBe(1)
})

test('offsets are asked of the leader that took over when a broker is gone', async () => {
  await using opened = await openScriptedSource([{ records: 30 }], { brokers: 2 })
  const { cluster, source } = opened
  expect(await source.latestOffsets()).toMatchObject([{ offset: 30 }])
  await cluster.broker.close()
  cluster.change(() => Object.assign(cluster.partition('orders'), { leaderId: 2, leaderEpoch: 1 }))
  expect(await source.latestOffsets()).toMatchObject([{ offset: 30, leaderEpoch: 1 }])
})

test('a broker that dies in the middle of an answer is not waited for: the rest comes from who leads then', async () => {
  await using opened = await openScriptedSource([{ records: 300, perBatch: 30, valueBytes: 1000 }], { brokers: 2 })
  const { cluster, source } = opened
  const [first, second] = cluster.brokers
  first?.script('Fetch', (_asked, respond, frame) => {
    cluster.change(() => Object.assign(cluster.partition('orders'), { leaderId: 2, leaderEpoch: 1 }))
    return { bytes: frame(respond()).subarray(0, 5000), thenClose: true }
  })
  const startedAt = performance.now()
  expect(offsetsOf(await collect(source, range(300)))).toEqual(upTo(300))
  expect(performance.now() - startedAt).toBeLessThan(5_000)
  expect(second?.asked('Fetch').length).toBeGreaterThan(0)
})

test('an empty answer below the end of the range proves nothing and is asked again: a new leader may lag', async () => {
  await using opened = await openScriptedSource([{ records: 30 }])
  const { cluster, source } = opened
  let empty = 3
  cluster.broker.script('Fetch', (_asked, respond) => {
    if (empty-- <= 0) return undefined
    const response = respond()
    const responses = response.responses.map(topic => ({
      ...topic,
      partitions: topic.partitions.map(partition => ({ ...partition, records: Buffer.alloc(0), highWatermark: 10, lastStableOffset: 10 })),
    }))
    return { ...response, responses }
  })
  expect(offsetsOf(await collect(source, range(30)))).toEqual(upTo(30))
  expect(cluster.broker.asked('Fetch').length).toBe(4)
})

test.for([
  [5, 'LEADER_NOT_AVAILABLE'],
  [7, 'REQUEST_TIMED_OUT'],
  [9, 'REPLICA_NOT_AVAILABLE'],
  [56, 'KAFKA_STORAGE_ERROR'],
  [78, 'OFFSET_NOT_AVAILABLE'],
  [-1, 'UNKNOWN_SERVER_ERROR'],
] as const)('error %i (%s) passes: the fetch is tried again', async ([errorCode]) => {
  await using opened = await openScriptedSource([{ records: 30 }])
  const { cluster, source } = opened
  let failures = 2
  cluster.broker.script('Fetch', (_asked, respond) => {
    if (failures-- <= 0) return undefined
    const response = respond()
    const responses = response.responses.map(topic => ({
      ...topic,
      partitions: topic.partitions.map(partition => ({ ...partition, errorCode, records: Buffer.alloc(0) })),
    }))
    return { ...response, responses }
  })
  expect(offsetsOf(await collect(source, range(30)))).toEqual(upTo(30))
})

test.for([
  [29, 'AUTH', /Fetch of orders\/0 at 0: not allowed \(TOPIC_AUTHORIZATION_FAILED\)/],
  [76, 'UNSUPPORTED', /too old to send zstd/],
  [2, 'DECODE', /CORRUPT_MESSAGE/],
  [12345, 'UNSUPPORTED', /answered error \(12345\)/],
] as const)('error %i ends the read with %s', async ([errorCode, code, message]) => {
  await using opened = await openScriptedSource([{ records: 30 }])
  const { cluster, source } = opened
  cluster.broker.script('Fetch', (_asked, respond) => {
    const response = respond()
    const responses = response.responses.map(topic => ({
      ...topic,
      partitions: topic.partitions.map(partition => ({ ...partition, errorCode, records: Buffer.alloc(0) })),
    }))
    return { ...response, responses }
  })
  await expect(collect(source, range(30))).rejects.toMatchObject({ code, message: expect.stringMatching(message) })
})
