import { Kafka, logLevel } from 'kafkajs'
import { expect, test } from 'vitest'
import { kafkaSource } from '../../../../connectors/kafka/index.ts'
import { createCluster, firstConnection } from '../../../../connectors/kafka/transport/kafkajs-internals.ts'

const kafka = () => new Kafka({ brokers: ['localhost:9092'], clientId: 'mine', logLevel: logLevel.NOTHING })

test('kafkajs 2.2.4 has the parts that connections are opened with', async () => {
  const pool = await createCluster(kafka()).connectionPoolBuilder.build()
  expect(pool).toMatchObject({ host: 'localhost', port: 9092, clientId: 'mine' })
  expect(firstConnection(pool).socket).toBeUndefined()
})

test('another client, or another version of it, is refused with what is missing and what to install', async () => {
  const source = kafkaSource({ kafka: { admin: () => ({}) } as unknown as Kafka, topics: ['orders'] })
  await expect(source.latestOffsets()).rejects.toMatchObject({
    code: 'UNSUPPORTED',
    message: expect.stringMatching(/has no Kafka\.createCluster as 2\.2\.4 has it.*install that version exactly/),
  })
})

test.for(['destroy', 'scheduleCheckPendingRequests', 'scheduleRequestTimeoutCheck'])(
  'a queue of requests without %s is refused, before a connection is opened with it',
  async method => {
    const pool = await createCluster(kafka()).connectionPoolBuilder.build()
    Object.defineProperty(pool.pool[0]?.requestQueue, method, { value: undefined })
    expect(() => firstConnection(pool)).toThrow(`RequestQueue.${method}`)
  },
)
