import { beforeAll, describe, expect, test } from 'vitest'
import { OFFSET_COMMIT_CALL } from '../../../../connectors/kafka/cluster/calls.ts'
import { findCoordinator } from '../../../../connectors/kafka/cluster/committed-offsets.ts'
import { kafkaSource } from '../../../../connectors/kafka/index.ts'
import { completeOptions, type KafkaSourceOptions } from '../../../../connectors/kafka/options.ts'
import { OFFSET_COMMIT } from '../../../../connectors/kafka/protocol/offset-commit.ts'
import { Session } from '../../../../connectors/kafka/source/session.ts'
import { KafkajsTransport, kafkajsClient } from '../../../../connectors/kafka/transport/kafkajs-transport.ts'
import { describeGroup } from '../../../support/describe-group.ts'
import { createTopic, kafkaClient, kafkaCluster, sendMessages, uniqueName } from '../../../support/kafka.ts'

let topic: string

beforeAll(async () => {
  topic = await createTopic(uniqueName('mirrored'), { partitions: 2 })
  await sendMessages(
    topic,
    Array.from({ length: 10 }, (_, n) => ({ value: String(n), partition: n % 2 })),
  )
})

const open = (options: Partial<KafkaSourceOptions> = {}) =>
  kafkaSource({ kafka: { brokers: kafkaCluster().brokers }, topics: [topic], ...options })

const positions = (name = topic) => [
  { topic: name, partition: 0, offset: 3, leaderEpoch: 0 },
  { topic: name, partition: 1, offset: 5 },
]

describe('positions that a source tells a group', () => {
  test("are shown with their lag by Kafka's own tool", async () => {
    const group = uniqueName('group')
    await using source = open({ alsoCommitToGroup: group })
    await source.commitToGroup?.(positions())
    expect(await describeGroup(kafkaCluster(), group)).toEqual([
      { topic, partition: 0, offset: 3, lag: 2 },
      { topic, partition: 1, offset: 5, lag: 0 },
    ])
    await source.commitToGroup?.([{ topic, partition: 0, offset: 1 }])
    expect(await source.committedOffsets?.(group)).toMatchObject([
      { partition: 0, offset: 1 },
      { partition: 1, offset: 5 },
    ])
  })

  test('have their leader epoch with them where it is known', async () => {
    const group = uniqueName('group')
    await using source = open({ alsoCommitToGroup: group })
    await source.commitToGroup?.(positions())
    const [first, second] = (await source.committedOffsets?.(group)) ?? []
    expect([first?.leaderEpoch, second && 'leaderEpoch' in second]).toEqual([0, false])
  })

  test('are those of its own topics alone, and of topics that are gone nothing is said', async () => {
    const group = uniqueName('group')
    await using source = open({ alsoCommitToGroup: group, topics: [topic, 'gone'] })
    source.remember?.(['gone'])
    await source.commitToGroup?.([
      ...positions(),
      { topic: 'gone', partition: 0, offset: 1 },
      { topic: 'of another source', partition: 0, offset: 1 },
    ])
    expect(await source.committedOffsets?.(group)).toHaveLength(2)
  })

  test('have the names that the cluster knows, also under an alias', async () => {
    const group = uniqueName('group')
    await using source = open({ alsoCommitToGroup: group, alias: 'eu' })
    await source.commitToGroup?.([...positions(`eu:${topic}`), { topic, partition: 0, offset: 1 }])
    const listed = await describeGroup(kafkaCluster(), group)
    expect(listed.map(({ partition, offset }) => [partition, offset])).toEqual([
      [0, 3],
      [1, 5],
    ])
  })

  test('go nowhere where no group is named', async () => {
    await using source = open()
    await source.commitToGroup?.(positions())
    const unreachable = kafkaSource({ kafka: { brokers: ['127.0.0.1:1'] }, topics: [topic] })
    await unreachable.commitToGroup?.(positions())
    await unreachable.close()
  })

  test('are not told to a group that has members, which says so, and the source reads on', async () => {
    const group = uniqueName('group')
    const consumer = kafkaClient().consumer({ groupId: group })
    await consumer.connect()
    try {
      const joined = Promise.withResolvers<void>()
      consumer.on(consumer.events.GROUP_JOIN, () => joined.resolve())
      await consumer.subscribe({ topic })
      await consumer.run({ eachMessage: async () => {} })
      await joined.promise
      await using source = open({ alsoCommitToGroup: group })
      await expect(source.commitToGroup?.(positions())).rejects.toMatchObject({
        code: 'CONFIG',
        message: expect.stringMatching(new RegExp(`of ${topic}/0 was not committed to group ${group}: the group has members`)),
      })
      expect(await source.latestOffsets()).toHaveLength(2)
    } finally {
      await consumer.disconnect()
    }
  })

  test('are not waited for by who has given up', async () => {
    await using source = open({ alsoCommitToGroup: uniqueName('group') })
    const reason = new Error('enough')
    await expect(source.commitToGroup?.(positions(), { signal: AbortSignal.abort(reason) })).rejects.toBe(reason)
  })

  test('reach the group in every version of the request that is spoken here', async () => {
    const complete = completeOptions({ kafka: { brokers: kafkaCluster().brokers }, topics: [topic] })
    const session = new Session(complete, new KafkajsTransport(kafkajsClient(complete.kafka), 'the test'), 1)
    const signal = session.closing
    const partitions = positions().map(({ partition, offset, leaderEpoch = -1 }) => ({ partitionIndex: partition, offset, leaderEpoch }))
    await using source = open()
    try {
      const view = await session.metadata.view(signal)
      for (let version = OFFSET_COMMIT.minVersion; version <= OFFSET_COMMIT.maxVersion; version++) {
        const group = uniqueName(`version-${version}`)
        const coordinator = await findCoordinator(session, view, group, signal)
        if ('why' in coordinator) throw new Error(coordinator.why)
        const { topics } = await session.pool.with(coordinator.found, signal, client =>
          client.call(OFFSET_COMMIT_CALL, { group, topics: [{ name: topic, partitions }] }, { timeoutMs: 30_000, maxVersion: version }),
        )
        expect(topics, `version ${version}`).toEqual([
          {
            name: topic,
            partitions: [
              { partitionIndex: 0, errorCode: 0 },
              { partitionIndex: 1, errorCode: 0 },
            ],
          },
        ])
        expect(await source.committedOffsets?.(group), `version ${version}`).toMatchObject([
          { partition: 0, offset: 3, leaderEpoch: 0 },
          { partition: 1, offset: 5 },
        ])
      }
    } finally {
      session.close(new Error('the test is over'))
    }
  })
})
