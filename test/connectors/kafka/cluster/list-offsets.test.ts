import { expect, test } from 'vitest'
import { kafkaSource } from '../../../../connectors/kafka/index.ts'
import type { ListOffsetsPartition } from '../../../../connectors/kafka/protocol/list-offsets.ts'
import { ScriptedCluster } from '../../../support/scripted-broker.ts'

/** Has a broker answer ListOffsets as `change` wants, for each partition and try (from 0). */
function change(
  cluster: ScriptedCluster,
  answer: (partition: ListOffsetsPartition, tries: number) => ListOffsetsPartition | undefined,
): void {
  for (const broker of cluster.brokers) {
    broker.script('ListOffsets', (_asked, respond) => {
      const tries = broker.asked('ListOffsets').length - 1
      const { topics, throttleTimeMs } = respond()
      return {
        throttleTimeMs,
        topics: topics.map(topic => ({ ...topic, partitions: topic.partitions.flatMap(at => answer(at, tries) ?? []) })),
      }
    })
  }
}

const open = (cluster: ScriptedCluster) => kafkaSource({ kafka: { brokers: cluster.addresses }, topics: ['orders'] })

test('all partitions of a leader go into one request, and leaders are asked at the same time', async () => {
  const partitions = Array.from({ length: 40 }, (_, index) => ({ records: index, leaderId: 1 + (index % 2) }))
  await using cluster = await ScriptedCluster.start({ orders: partitions }, { brokers: 2 })
  const source = open(cluster)
  expect((await source.latestOffsets()).map(({ partition, offset }) => [partition, offset])).toEqual(
    partitions.map((_, index) => [index, index]),
  )
  expect(cluster.brokers.map(broker => broker.asked('ListOffsets').length)).toEqual([1, 1])
  await source.close()
})

test.for([
  [6, 'NOT_LEADER_OR_FOLLOWER', 2],
  [74, 'FENCED_LEADER_EPOCH', 2],
  [75, 'UNKNOWN_LEADER_EPOCH', 1],
  [78, 'OFFSET_NOT_AVAILABLE', 1],
] as const)('error %i (%s) passes, and only the partition that had it is asked again', async ([errorCode, _name, metadata]) => {
  await using cluster = await ScriptedCluster.start({ orders: [{ records: 10 }, { records: 20 }] })
  change(cluster, (at, tries) => (tries === 0 && at.partitionIndex === 1 ? { ...at, errorCode, offset: -1 } : at))
  const source = open(cluster)
  expect(await source.latestOffsets()).toMatchObject([{ offset: 10 }, { offset: 20 }])
  const [, again] = cluster.broker.asked('ListOffsets')
  expect(again?.request.topics[0]?.partitions.map(at => at.partitionIndex)).toEqual([1])
  expect(cluster.broker.asked('Metadata').length).toBe(metadata)
  await source.close()
})

test('a partition that is left out of the answer is asked for again', async () => {
  await using cluster = await ScriptedCluster.start({ orders: [{ records: 10 }, { records: 20 }] })
  change(cluster, (at, tries) => (tries === 0 && at.partitionIndex === 1 ? undefined : at))
  const source = open(cluster)
  expect(await source.latestOffsets()).toMatchObject([{ offset: 10 }, { offset: 20 }])
  await source.close()
})

test('a partition without a leader is waited for, and the leader that is elected then is asked', async () => {
  await using cluster = await ScriptedCluster.start({ orders: [{ records: 10, leaderId: -1 }] })
  cluster.broker.script('Metadata', () => {
    if (cluster.broker.asked('Metadata').length === 3) cluster.partition('orders').leaderId = 1
    return undefined
  })
  const source = open(cluster)
  expect(await source.latestOffsets()).toMatchObject([{ offset: 10 }])
  await source.close()
})

test('a right that is missing ends it, with the partition', async () => {
  await using cluster = await ScriptedCluster.start({ orders: [{ records: 10 }] })
  change(cluster, at => ({ ...at, errorCode: 29, offset: -1 }))
  const source = open(cluster)
  await expect(source.latestOffsets()).rejects.toMatchObject({
    code: 'AUTH',
    message: expect.stringMatching(/ListOffsets of orders\/0: not allowed/),
  })
  await source.close()
})

test('a log from before times were kept has no record at any time: its end', async () => {
  await using cluster = await ScriptedCluster.start({ orders: [{ records: 10 }] })
  const UNSUPPORTED_FOR_MESSAGE_FORMAT = 43
  cluster.broker.script('ListOffsets', ({ request }, respond) => {
    const { topics, throttleTimeMs } = respond()
    if ((request.topics[0]?.partitions[0]?.timestamp ?? 0) < 0) return undefined
    const refuse = (at: ListOffsetsPartition) => ({ ...at, errorCode: UNSUPPORTED_FOR_MESSAGE_FORMAT, offset: -1 })
    return { throttleTimeMs, topics: topics.map(topic => ({ ...topic, partitions: topic.partitions.map(refuse) })) }
  })
  const source = open(cluster)
  expect(await source.offsetsForTimestamp(1)).toMatchObject([{ offset: 10 }])
  await source.close()
})
