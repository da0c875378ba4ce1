import { expect, test } from 'vitest'
import { kafkaSink, kafkaSource } from '../../../../connectors/kafka/index.ts'
import { memoryOffsets } from '../../../../offsets/memory/index.ts'
import { stream } from '../../../../src/index.ts'
import { createTopic, kafkaCluster, uniqueName } from '../../../support/kafka.ts'
import { readAll } from '../../../support/oracle.ts'
import { produce } from '../../../support/produce.ts'

test('a stream from topic to topic, stopped and started, brings what is committed there and nothing twice', async () => {
  const { brokers } = kafkaCluster()
  const kafka = { brokers }
  const from = await createTopic(uniqueName('from'), { partitions: 3 })
  const to = await createTopic(uniqueName('to'), { partitions: 3 })
  await produce(kafkaCluster(), { topic: from, count: 3_000, keys: true, transactionRecords: 100, abortEvery: 4 })
  const offsets = memoryOffsets()
  const job = () =>
    stream({ name: from, offsets, guarantee: 'exactly-once', batchIntervalMs: 0, limits: { maxRecordsPerBatch: 400 } })
      .from(kafkaSource({ kafka, topics: [from] }))
      .to(kafkaSink({ kafka, topic: to, compression: 'lz4' }))
  const first = await job().start({
    until: { at: 'exact', offsets: [0, 1, 2].map(partition => ({ topic: from, partition, offset: 500 })) },
  })
  await first.done
  const second = await job().start({ until: 'latest' })
  await second.done
  const crcs = async (topic: string) => (await readAll(kafkaCluster(), topic, 'read_committed')).map(({ crc }) => crc).sort()
  const expected = await crcs(from)
  expect(expected.length).toBeGreaterThan(2_000)
  expect(await crcs(to)).toEqual(expected)
})
